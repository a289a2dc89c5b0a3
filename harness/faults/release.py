"""Moving nodes to another release over the store that they have."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from harness.core.errors import FaultError
from harness.distribution import Release
from harness.faults.base import Detail
from harness.faults.process import RESTART_TIMEOUT_S, ProcessFault
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster


class ChangeRelease(ProcessFault):
    """A graceful stop, and a start with another release: `to` the one of the upgrade, or back to the first.

    The store stays; the configuration file is the one that the release would have been given from the start, and how it
    differs is recorded (`conf`: key -> [before, now]). A node that has that release already is refused: it would be a
    restart that is taken for a change.
    """

    kind: Literal["change-release"] = "change-release"
    timeout_s: float = 60.0
    to: Literal["upgrade", "first"] = "upgrade"

    def inject(self, cluster: Cluster) -> Detail:
        """Stops the targets one after the other. Raises FaultError for one that has the wanted release."""
        wanted = self._release(cluster)
        for node in self.targets(cluster):
            if cluster.outfit(node).release == wanted:
                raise FaultError(f"{node} runs {wanted.label} already: there is nothing to change")
        first = self._labels(cluster)
        ended = {node: str(cluster.stop_node(node, self.timeout_s)) for node in self.targets(cluster)}
        return {**ended, "from": first}

    def heal(self, cluster: Cluster) -> Detail:
        """Gives each that does not run the other release, and starts it."""
        wanted = self._release(cluster)
        changed = {}
        for node in self.targets(cluster):
            if not cluster.runtime.state(node).alive and cluster.outfit(node).release != wanted:
                keys = cluster.install(node, wanted)
                changed[node] = {key: list(pair) for key, pair in keys.items()}
        return {**super().heal(cluster), "to": self._labels(cluster), "conf": changed}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """As of any restart; and each broker is asked which version it is.

        Raises FaultError for one that says another than that of the released version it was given. What a candidate
        should say nobody knows; what it says is recorded (`says`).
        """
        seen = super().await_recovery(cluster)
        release = self._release(cluster)
        says = {}
        for node in set(self.targets(cluster)) & set(cluster.brokers()):
            info = wait_for(
                partial(cluster.looks.runtime_info, node),
                what=f"{node} to say which release it is",
                timeout_s=RESTART_TIMEOUT_S,
            )
            says[node] = str(info.get("brokerVersionDesc", ""))
            expected = "V" + str(release.version).replace(".", "_")
            if release.home is None and not says[node].startswith(expected):
                raise FaultError(f"{node} was given {release.label} and says that it is {says[node] or 'nothing'}")
        return {**seen, "says": says}

    def _release(self, cluster: Cluster) -> Release:
        if cluster.plan.upgrade is None:
            raise FaultError("there is no second release to move to: run it with --upgrade-from and --upgrade-to")
        return cluster.plan.upgrade if self.to == "upgrade" else cluster.plan.release

    def _labels(self, cluster: Cluster) -> dict[str, str]:
        return {node: cluster.outfit(node).release.label for node in self.targets(cluster)}
