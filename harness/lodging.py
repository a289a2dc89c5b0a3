"""The cluster of one scenario: brought up for it, or taken over from one that left it clean; and how it is let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from uuid import uuid4

from harness.cluster import Cluster, ClusterPlan
from harness.cluster.adopted import Adopted
from harness.cluster.footprint import Footprint
from harness.core.errors import HarnessError, SetupError
from harness.core.tenants import prefix_of_run
from harness.distribution import Jre, Release
from harness.evidence import write_json
from harness.keep import Keeper
from harness.planning import cluster_plan
from harness.pool import Pool, Standing
from harness.runtime.base import Runtime
from harness.runtime.local import LocalRuntime
from harness.scenario import Scenario
from harness.settings import Settings
from harness.sharing import spares, under, why_alone
from harness.workloads.crew import ClientKit

Say = Callable[[str], None]
OpenRuntime = Callable[..., Runtime]
"""Takes `run_id`, `evidence`, `work_dir` and `state_dir` as `LocalRuntime.open` does."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What was obtained for a run: the release under test, the JRE, what the clients need, the machines.

    `pool` keeps clusters between scenarios; without it each scenario has one of its own. `upgrade` is the release that
    scenarios may move nodes to.
    """

    release: Release
    jre: Jre
    kit: ClientKit
    """Of the run's first client."""
    capabilities: Mapping[str, str | None]
    open_runtime: OpenRuntime = LocalRuntime.open
    keeper: Keeper | None = None
    pool: Pool | None = None
    upgrade: Release | None = None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """Scenarios on a cluster of others are numbered: each has names of its own there."""
    token: str = field(default_factory=lambda: uuid4().hex[:6])
    """The run's own word in these names."""
    kits: Mapping[str, ClientKit] = field(default_factory=dict)
    """By client as `--client` has it, where a run has several."""

    def kit_of(self, client: str) -> ClientKit:
        """What that client's workers are made of. Raises SetupError rather than let another one stand for it."""
        if self.kits and client not in self.kits:
            raise SetupError(f"no client {client} was obtained for this run, only {', '.join(self.kits)}: run it again")
        return self.kits.get(client, self.kit)


class Lodging:
    """Obtains a scenario's cluster and lets go of it. `scenario` is what runs: under other names on a shared cluster.

    `took` are the seconds of the bring-up, empty where there was none; `before` are the scenarios that had run there.
    """

    def __init__(self, scenario: Scenario, settings: Settings, equipment: Equipment, directory: Path, say: Say) -> None:
        self.scenario = scenario
        self.took: Mapping[str, float] = {}
        self.before: tuple[str, ...] = ()
        self.may_be_shared = False
        """The scenario came to its end, and every fault was undone."""
        self._declared = scenario
        self._settings = settings
        self._equipment = equipment
        self._directory = directory
        self._say = say

    def obtain(self) -> Standing:
        """A cluster that is up, and the scenario stored as it will run on it.

        Raises `NodeDied`, `WaitTimeout` and the like for one that does not come up; what was started is ended then.
        """
        if self._equipment.keeper is not None:
            self._equipment.keeper.release()
        self.scenario, self.took, self.before = self._declared, {}, ()
        if self._settings.found is not None:
            number = next(self._equipment.numbers)
            self.scenario = under(self._declared, prefix_of_run(self._equipment.token, number))
        taken = self._equipment.pool.take(self._declared, self._plan) if self._equipment.pool is not None else None
        if taken is None:
            self._store()
            return self._bring_up()
        standing, self.scenario = taken
        try:
            self.before = tuple(standing.tenants[:-1])
            self._say(f"on the cluster that {self.before[-1]} left clean")
            self._store()
        except BaseException:
            standing.close()  # nobody else knows of it any more
            raise
        return standing

    def _store(self) -> None:
        write_json(self._directory / "scenario.json", self.scenario.model_dump(mode="json"))

    def let_go(self, standing: Standing, error_type: object, *_error: object) -> None:
        """Ends the cluster, or keeps it (--keep), or hands it on; an interruption and trouble end it.

        What goes wrong here is said, and hides nothing of what was recorded before: that is judged all the same.
        """
        going_on = False
        try:
            going_on = error_type is None and (self._keep(standing) or self._hand_on(standing))
        except HarnessError as error:
            self._say(f"its cluster ends with it: {error}")
        finally:
            if not going_on:
                self._end(standing)
        if self.before:
            try:
                standing.copy_logs(self._directory)
            except HarnessError as error:
                self._say(str(error))

    def _end(self, standing: Standing) -> None:
        try:
            standing.close()
        except HarnessError as error:
            self._say(f"its cluster could not be ended, `rmq-harness clean` removes it: {error}")

    def _plan(self, scenario: Scenario) -> ClusterPlan:
        kit = self._equipment
        return cluster_plan(scenario, self._settings, kit.release, kit.jre, upgrade=kit.upgrade)

    def _bring_up(self) -> Standing:
        run_id = f"{self.scenario.name[:40]}-{uuid4().hex[:8]}"
        work, state = self._settings.state / "work", self._settings.state
        runtime = self._equipment.open_runtime(run_id=run_id, evidence=self._directory, work_dir=work, state_dir=state)
        with ExitStack() as failing:
            failing.callback(runtime.close)
            plan = self._plan(self.scenario)
            shares = self._equipment.pool is not None and not why_alone(self.scenario, plan.topology)
            if shares:
                topics, groups = spares()
                plan = replace(plan, spare_topics=topics, spare_groups=groups)
            ours = plan.foreign is None
            made = Cluster(plan, runtime, self._say) if ours else Adopted(plan, runtime, run_id, self._say)
            cluster = failing.enter_context(made)
            started = cluster.start()
            self.took = {"wall_s": started.wall_s, "cpu_s": started.cpu_s or 0.0}
            footprint = Footprint.of(cluster) if shares else None
            failing.pop_all()
        return Standing(cluster, runtime, work / run_id, self._directory, [self.scenario.name], footprint)

    def _keep(self, standing: Standing) -> bool:
        """With --keep, leaves up a cluster that came up, until the next scenario."""
        if self._equipment.keeper is None:
            return False
        try:
            self._equipment.keeper.keep(standing.cluster, standing.runtime, standing.place.name, self._directory)
        except (HarnessError, OSError) as error:
            self._say(f"the cluster could not be kept: {error}")
            return False
        return True

    def _hand_on(self, standing: Standing) -> bool:
        """Keeps for the next scenario a cluster that was left as it was found."""
        pool = self._equipment.pool
        if pool is None or standing.footprint is None or not self.may_be_shared:
            return False
        if remains := standing.remains():
            self._say(f"its cluster ends with it: {remains[0]}")
            return False
        return pool.offer(standing)
