"""Damage to disks: power cut, a disk filled past a ratio, a store destroyed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.faults.base import Detail, Fault
from harness.faults.process import RESTART_TIMEOUT_S, ProcessFault
from harness.faults.select import select
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster


class CutPower(ProcessFault):
    """The machine under the node loses power: what was not synced to its disk is gone.

    The process is stopped, the filesystem shut down without flushing its log, the process killed and the filesystem
    mounted again from what had reached the image. Other nodes see a machine that vanished.
    """

    kind: Literal["cut-power"] = "cut-power"

    def needs(self) -> frozenset[str]:
        """A disk that can forget."""
        return frozenset({"power-cut"})

    def inject(self, cluster: Cluster) -> Detail:
        """Stops, shuts down, kills and remounts, one target after the other, the stop of all of them first."""
        nodes = self.targets(cluster)
        for node in nodes:
            cluster.runtime.signal(node, signal.SIGSTOP)
        for node in nodes:
            cluster.runtime.cut_power(node)
        return {}


class DestroyStore(ProcessFault):
    """The machine is lost with its disk: kill -9, then everything in the store is deleted."""

    returns: ClassVar[bool] = False

    kind: Literal["destroy-store"] = "destroy-store"

    def inject(self, cluster: Cluster) -> Detail:
        """Kills every target, then empties every store."""
        nodes = self.targets(cluster)
        for node in nodes:
            cluster.runtime.signal(node, signal.SIGKILL)
        for node in nodes:
            cluster.runtime.wait_exit(node, 10)
            cluster.runtime.empty_store(node)
        return {}

    def bites(self, cluster: Cluster) -> bool:
        """The process is gone and the store holds not a byte."""
        return super().bites(cluster) and not any(
            file.size_bytes for node in self.targets(cluster) for file in cluster.runtime.list_files(node, "store")
        )


class FillDisk(Fault):
    """Fills the node's sized disk with a file that is not the broker's, until `ratio` of it is used.

    With `await_health` False it counts as recovered when there is space again: whether writes return is then for the
    scenario to see and to judge.
    """

    kind: Literal["fill-disk"] = "fill-disk"
    target: str
    ratio: float
    await_health: bool = True

    def needs(self) -> frozenset[str]:
        """A disk of its own size."""
        return frozenset({"sized-disk"})

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected nodes."""
        return select(self.target, cluster)

    def inject(self, cluster: Cluster) -> Detail:
        """Allocates the filler."""
        for node in self.targets(cluster):
            cluster.runtime.fill_disk(node, self.ratio)
        return {}

    def bites(self, cluster: Cluster) -> bool:
        """The filesystem is at least as full as asked, to half a percent."""
        return all(cluster.runtime.disk_usage(node).ratio >= self.ratio - 0.005 for node in self.targets(cluster))

    def heal(self, cluster: Cluster) -> Detail:
        """Deletes the filler."""
        for node in self.targets(cluster):
            cluster.runtime.free_disk(node)
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """There is space again and (unless told otherwise) the brokers take writes again."""
        wait_for(
            lambda: all(cluster.runtime.disk_usage(node).ratio < self.ratio - 0.01 for node in self.targets(cluster)),
            what=f"space on the disks of {', '.join(self.targets(cluster))}",
            timeout_s=10,
        )
        if self.await_health:
            cluster.wait_healthy(RESTART_TIMEOUT_S)
        return {}
