"""The cluster between two scenarios: kept if it was left clean, given to the next that may have it, else ended.

One at a time: an idle cluster costs processor time that the next scenario's own would have to be measured without.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.cluster import Cluster, ClusterPlan
from harness.cluster.footprint import Footprint
from harness.core.errors import EvidenceError
from harness.runtime.base import Runtime
from harness.scenario import Scenario
from harness.sharing import TENANTS, as_tenant, has_spares_for, why_alone

SLAVE_READS: Final = "slaveReadEnable"
Planner = Callable[[Scenario], ClusterPlan]


@dataclass(slots=True)
class Standing:
    """A cluster that is up, and for whom it was. Closing it ends the cluster and its runtime; idempotent.

    `place` is its work directory, named by its run id. `evidence` is the directory of its first scenario: all its
    nodes' logs go on there.
    """

    cluster: Cluster
    runtime: Runtime
    place: Path
    evidence: Path
    tenants: list[str]
    footprint: Footprint | None
    """How it was before its first scenario; None for a cluster that nobody shares."""

    def close(self) -> None:
        """Ends everything."""
        try:
            self.cluster.close()
        finally:
            self.runtime.close()

    def copy_logs(self, directory: Path) -> None:
        """Gives a later scenario the nodes' files: its evidence is whole without the first one's."""
        try:
            shutil.copytree(self.evidence / "nodes", directory / "nodes", dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise EvidenceError(f"the nodes' logs cannot be copied to {directory}: {error}") from error

    def remains(self) -> tuple[str, ...]:
        """What is not as it was when its first scenario began: ill health, clients, configuration, topics."""
        for client in self.cluster.clients():
            self.cluster.remove_client(client)
        if ill := self.cluster.health().problems:
            return ill
        if self.footprint is None:
            return ("nobody looked at it before its first scenario",)
        self._close_slaves(self.footprint)
        return self.footprint.differences(Footprint.of(self.cluster))

    def _close_slaves(self, footprint: Footprint) -> None:
        """Undoes what the oracle set to read slaves that serve nobody (5.x)."""
        for node in self.cluster.slaves():
            then = (footprint.configs.get(node) or {}).get(SLAVE_READS)
            now = (self.cluster.looks.config(node) or {}).get(SLAVE_READS)
            if then is not None and now not in (None, then):
                self.cluster.admin.update_broker_config(self.cluster.address(node), {SLAVE_READS: then})


class Pool:
    """At most one idle cluster. Whoever is done with the run drops it."""

    def __init__(self) -> None:
        self._idle: Standing | None = None

    def take(self, scenario: Scenario, plan: Planner) -> tuple[Standing, Scenario] | None:
        """The idle cluster, if the scenario may have it, and the scenario under the names it has there.

        One that it may not have is ended: its own is about to be started.
        """
        standing, self._idle = self._idle, None
        if standing is None:
            return None
        with ExitStack() as unless_taken:
            unless_taken.callback(standing.close)
            renamed = as_tenant(scenario, len(standing.tenants) + 1)
            wanted = plan(renamed)
            special = any(topic.attributes for topic in wanted.topics)  # spare topics are plain ones
            alone = why_alone(scenario, wanted.topology) or special or not has_spares_for(renamed)
            if alone or _ground(wanted) != _ground(standing.cluster.plan):
                return None
            unless_taken.pop_all()
        standing.cluster = standing.cluster.handed_on(wanted)
        standing.tenants.append(scenario.name)
        return standing, renamed

    def offer(self, standing: Standing) -> bool:
        """Keeps a cluster that was left clean; False, with nothing done, for one that has had enough scenarios."""
        if len(standing.tenants) >= TENANTS:
            return False
        self.drop()
        self._idle = standing
        return True

    def drop(self) -> None:
        """Ends the idle cluster, if there is one. Idempotent."""
        standing, self._idle = self._idle, None
        if standing is not None:
            standing.close()


def _ground(plan: ClusterPlan) -> ClusterPlan:
    """What two scenarios on one cluster must agree in."""
    return replace(plan, topics=(), groups=(), spare_topics=(), spare_groups=())
