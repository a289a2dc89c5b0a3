"""Pulls straight from a node, bypassing the route and every client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.core.errors import HarnessError
from harness.faults.select import select
from harness.wire.replies import PullReply, QueueRef
from harness.workloads.probes.base import NO_ANSWER, Probe, by_code

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class PullDirect(Probe):
    """Pulls the oldest messages of each queue of a topic once from each target, as a member of `group` would.

    Commits nothing, and is no delivery: what was pulled is not recorded. `group` may be one that nobody made.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset(
        {"asked", "answered", "messages", "codes", "suggested_least", "suggested_most"}
    )
    kind: Literal["pull-direct"] = "pull-direct"
    target: str
    group: str
    topic: int = 0
    timeout_s: float = 10.0
    among: tuple[int, ...] = ()
    """Codes that are reported even if none came; every other answer is then counted as `codes.other` too."""

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"asked", "answered", "messages", "codes": {code: n}, "suggested_least", "suggested_most"}`.

        No answer is the code `none`, and no other code than an expected one. `suggested_*` are the least and the
        greatest broker id that answers with messages sent the puller to for its next pull; null without any such.
        """
        replies = [
            self._pull(stage, QueueRef(stage.cluster.address(node), stage.topics[self.topic], queue))
            for node in select(self.target, stage.cluster)
            for queue in range(stage.cluster.plan.topics[self.topic].queues)
        ]
        codes = (NO_ANSWER if reply is None else str(int(reply.code)) for reply in replies)
        answered = [reply for reply in replies if reply is not None]
        suggested = [reply.suggested_broker_id for reply in answered if reply.found]
        return {
            "asked": len(replies),
            "answered": len(answered),
            "messages": sum(len(reply.messages) for reply in answered),
            "codes": by_code(codes, self.among),
            "suggested_least": min(suggested, default=None),
            "suggested_most": max(suggested, default=None),
        }

    def _pull(self, stage: Stage, queue: QueueRef) -> PullReply | None:
        try:
            return stage.cluster.admin.pull(queue, 0, group=self.group, timeout_s=self.timeout_s)
        except HarnessError:
            stage.cluster.admin.drop(queue.address)
            return None
