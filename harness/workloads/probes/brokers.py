"""What the brokers hold, and whether the cluster is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.core.errors import HarnessError
from harness.faults.select import select
from harness.workloads.probes.base import Probe, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class ReadBack(Probe):
    """The oracle reads every queue of the topics on the targets, message by message, as phase `phase`.

    Of the scenario's topics, or of those named, such as `%DLQ%g`: one that a target does not know is not there.

    Name as targets who is to be read then: one that does not run, or refuses reads, makes the reading incomplete.
    """

    kind: Literal["read-back"] = "read-back"
    phase: str
    target: str = "broker/*"
    topics: tuple[str, ...] = ()

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"messages", "queues", "incomplete", "skipped", "complete"}`; the rows themselves are in the history."""
        return stage.read_back(self.phase, select(self.target, stage.cluster), self.topics)


class SyncDisks(Probe):
    """Brings everything written so far on the targets' disks beyond the reach of a power cut.

    For topic and group metadata, which no release syncs: a scenario about messages must not lose those instead.
    """

    kind: Literal["sync-disks"] = "sync-disks"
    target: str = "broker/*"

    def run(self, stage: Stage) -> list[str]:
        """The nodes whose disks were synced."""
        nodes = select(self.target, stage.cluster)
        for node in nodes:
            stage.cluster.runtime.sync_disk(node)
        return list(nodes)


class AwaitHealthy(Probe):
    """Waits until the cluster is whole again and says how long it took."""

    WAITS: ClassVar[bool] = True
    kind: Literal["await-healthy"] = "await-healthy"
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"healthy", "seconds", "wrong": [...]}`."""
        began_ns = stage.now_ns()
        wrong: list[str] = []
        try:
            stage.cluster.wait_healthy(self.timeout_s)
        except HarnessError as error:
            wrong = [str(error)]
        return {"healthy": not wrong, "seconds": seconds_since(stage, began_ns), "wrong": wrong}
