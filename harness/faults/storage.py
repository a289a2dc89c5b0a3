"""Damage to disks: power cut, a disk filled past a ratio, a store destroyed."""

from __future__ import annotations

import signal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.core.errors import FaultError
from harness.faults.base import Detail, Fault
from harness.faults.process import RESTART_TIMEOUT_S, ProcessFault, kill_and_wait
from harness.faults.select import select
from harness.runtime.base import FailsBy, FileEntry
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
        kill_and_wait(cluster, nodes)
        for node in nodes:
            cluster.runtime.empty_store(node)
        return {}

    def bites(self, cluster: Cluster) -> bool:
        """The process is gone and the store holds not a byte."""
        return super().bites(cluster) and not any(
            file.size_bytes for node in self.targets(cluster) for file in cluster.runtime.list_files(node, "store")
        )


class LoseFiles(ProcessFault):
    """Kill -9, then the files of the store that match are emptied: all that the product had written to them is gone.

    `files` is a glob below the store, such as `config/consumerOffset.json*`; the backups that the product falls back
    on must match too. Raises FaultError if none matches: a fault that takes nothing away shows nothing.
    """

    kind: Literal["lose-files"] = "lose-files"
    files: str

    def inject(self, cluster: Cluster) -> Detail:
        """Kills every target, then empties the files of each."""
        nodes = self.targets(cluster)
        kill_and_wait(cluster, nodes)
        lost: dict[str, list[str]] = {}
        for node in nodes:
            lost[node] = [file.path for file in self._matching(cluster, node)]
            if not lost[node]:
                raise FaultError(f"{node} has no file {self.files!r} in its store to lose")
            for path in lost[node]:
                cluster.runtime.write_file(node, path, b"")
        return {"lost": lost}

    def bites(self, cluster: Cluster) -> bool:
        """The process is gone and what is left of the files holds not a byte."""
        return super().bites(cluster) and not any(
            file.size_bytes for node in self.targets(cluster) for file in self._matching(cluster, node)
        )

    def _matching(self, cluster: Cluster, node: str) -> list[FileEntry]:
        wanted = PurePosixPath("store", self.files)
        files = cluster.runtime.list_files(node, "store")
        return [file for file in files if PurePosixPath(file.path).match(str(wanted))]


class FailDisk(ProcessFault):
    """The disk answers EIO, reads and writes alike, or EROFS to every change; the process goes on.

    What the page cache has is still read.

    Healed as a machine whose disk was put right: what runs is killed, the disk mounted again, the node started. What
    had failed to be written is not there then.
    """

    kind: Literal["fail-disk"] = "fail-disk"
    how: FailsBy = "eio"

    def needs(self) -> frozenset[str]:
        """A disk that can be made to fail."""
        return frozenset({"io-error"})

    def inject(self, cluster: Cluster) -> Detail:
        """Makes the disks of all targets fail."""
        for node in self.targets(cluster):
            cluster.runtime.fail_disk(node, self.how)
        return {}

    def bites(self, cluster: Cluster) -> bool:
        """No target's disk takes a block."""
        return not any(cluster.runtime.disk_answers(node) for node in self.targets(cluster))

    def heal(self, cluster: Cluster) -> Detail:
        """Mends the disks, which ends what ran on them, and starts the nodes again."""
        for node in self.targets(cluster):
            cluster.runtime.mend_disk(node)
        return super().heal(cluster)


class SlowDisk(Fault):
    """Every sync of a file on the disk takes `delay_s` longer; reads, and writes of other files, do not wait.

    What writes to the same file through a descriptor waits as well, for the kernel lets nobody in while it is synced;
    what writes to a mapping of it does not. The process goes on.
    """

    kind: Literal["slow-disk"] = "slow-disk"
    target: str
    delay_s: float

    def needs(self) -> frozenset[str]:
        """A disk that can be slowed down."""
        return frozenset({"slow-disk"})

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected nodes."""
        return select(self.target, cluster)

    def inject(self, cluster: Cluster) -> Detail:
        """Slows the disks of all targets down."""
        for node in self.targets(cluster):
            cluster.runtime.slow_disk(node, self.delay_s)
        return {}

    def bites(self, cluster: Cluster) -> bool:
        """A sync of ours takes as long on every target's disk."""
        return all(cluster.runtime.sync_s(node) >= self.delay_s for node in self.targets(cluster))

    def heal(self, cluster: Cluster) -> Detail:
        """The disks are as quick as before."""
        for node in self.targets(cluster):
            cluster.runtime.slow_disk(node, 0)
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """Syncs are quick again, and the brokers take writes."""
        wait_for(
            lambda: not any(cluster.runtime.sync_s(node) >= self.delay_s for node in self.targets(cluster)),
            what=f"quick syncs on the disks of {', '.join(self.targets(cluster))}",
            timeout_s=10,
        )
        cluster.wait_healthy(RESTART_TIMEOUT_S)
        return {}


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
