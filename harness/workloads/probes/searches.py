"""Looking messages up, as a console does: by key, by message id, by the time they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.faults.select import select
from harness.wire.errors import Refused
from harness.wire.message import StoredMessage
from harness.wire.replies import QueueRef
from harness.workloads.probes.base import Probe

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class Search(Probe):
    """Takes messages from all over the queues that the target serves, and looks each of them up there in three ways.

    Those of a queue lie at equal distances from its first offset to its last. By key, the index must name that very
    message; by id, the log has it at that place; by time, the first offset found is of a message stored at that time.
    What is in no queue is not looked for: whether everything is in one is for the oracle to say.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"asked", "missed", "strangers"})
    kind: Literal["search"] = "search"
    target: str
    topic: int = 0
    of_each_queue: int = 50

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"asked", "missed": {"key", "id", "time"}, "strangers"}`: how many were looked up, and not found that way.

        `strangers` is how many messages were found for keys that nobody ever sent, as many as were asked. Raises
        WireError.
        """
        (node,) = select(self.target, stage.cluster)
        asked = strangers = 0
        missed = {"key": 0, "id": 0, "time": 0}
        for queue in range(stage.cluster.plan.topics[self.topic].queues):
            ref = QueueRef(stage.cluster.address(node), stage.topics[self.topic], queue)
            for message in self._some(stage, ref):
                asked += 1
                missed["key"] += not _by_key(stage, ref, message)
                missed["id"] += not _by_id(stage, ref, message)
                missed["time"] += not _by_time(stage, ref, message)
                strangers += len(stage.cluster.admin.query_by_key(ref.address, ref.topic, f"never-sent-{asked}"))
        return {"asked": asked, "missed": missed, "strangers": strangers}

    def _some(self, stage: Stage, ref: QueueRef) -> list[StoredMessage]:
        first, end = stage.cluster.admin.min_offset(ref), stage.cluster.admin.max_offset(ref)
        count = min(self.of_each_queue, end - first)
        offsets = [first + number * (end - first) // count for number in range(count)]
        pulled = (stage.cluster.admin.pull(ref, offset, max_messages=1) for offset in offsets)
        return [message for reply in pulled for message in reply.messages[:1]]


def _same(one: StoredMessage, other: StoredMessage) -> bool:
    return one.raw == other.raw


def _by_key(stage: Stage, ref: QueueRef, message: StoredMessage) -> bool:
    return any(
        _same(found, message)
        for key in message.keys[:1]
        for found in stage.cluster.admin.query_by_key(ref.address, ref.topic, key)
    )


def _by_id(stage: Stage, ref: QueueRef, message: StoredMessage) -> bool:
    # Of an id the broker uses nothing but the place in its log: the address in it is for the client to go to.
    try:
        found = stage.cluster.admin.view_message(ref.address, f"{0:016X}{message.physical_offset:016X}")
    except Refused:
        return False
    return _same(found, message)


def _by_time(stage: Stage, ref: QueueRef, message: StoredMessage) -> bool:
    offset = stage.cluster.admin.offset_at(ref, message.store_ts_ms)
    reply = stage.cluster.admin.pull(ref, offset, max_messages=1)
    return bool(reply.messages) and reply.messages[0].store_ts_ms == message.store_ts_ms
