"""What brokers keep of groups and of themselves: committed offsets, which may be moved, and settings in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.faults.select import select
from harness.wire.replies import QueueRef
from harness.workloads.probes.base import Probe

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class MoveOffsets(Probe):
    """Commits another offset for a group on every queue of a topic of each target.

    To the queue's first offset, or so far beyond its last that the broker has no message there: what a group is left
    with whose broker lost the end of its queues. Nobody of the group may run meanwhile, for it would commit its own.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"queues", "moved"})
    kind: Literal["move-offsets"] = "move-offsets"
    group: str
    to: Literal["first", "beyond"]
    target: str = "master/*"
    topic: int = 0
    beyond: int = 1000

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"queues", "moved"}`: of how many queues, and how many the broker tells now. Raises WireError."""
        moved = queues = 0
        admin = stage.cluster.admin
        for node in select(self.target, stage.cluster):
            for number in range(stage.cluster.plan.topics[self.topic].queues):
                queue = QueueRef(stage.cluster.address(node), stage.topics[self.topic], number)
                first = self.to == "first"
                offset = admin.min_offset(queue) if first else admin.max_offset(queue) + self.beyond
                admin.commit_offset(queue, self.group, offset)
                moved += admin.consumer_offset(queue, self.group) == offset
                queues += 1
        return {"queues": queues, "moved": moved}


class Setting(Probe):
    """The value of a setting that is in force on each target, as the broker tells it."""

    SEEN: ClassVar[frozenset[str] | None] = None
    kind: Literal["setting"] = "setting"
    target: str
    key: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{node: value}`; null of one that does not answer, or does not know the key."""
        nodes = select(self.target, stage.cluster)
        return {node: (stage.cluster.looks.config(node) or {}).get(self.key) for node in nodes}
