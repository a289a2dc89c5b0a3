"""Sends straight to a node, bypassing the route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.core.flow import waited_a_moment
from harness.faults.select import select
from harness.runtime.base import NODE_CONFIG
from harness.wire.replies import SendReply
from harness.workloads.probes.base import NO_ANSWER, PROBE_BYTES, Probe, by_code, in_time, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class SendDirect(Probe):
    """Sends `count` messages straight to each target, bypassing the route, and counts the answers by code.

    To a topic of the scenario, or to whatever is called `topic_name`, be it there or not. Every send is a row of the
    history (process `probe`), so that a refused message that is stored after all is found.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"sent", "answered", "accepted", "stored", "codes", "slowest_s"})
    kind: Literal["send-direct"] = "send-direct"
    target: str
    count: int = 50
    topic: int = 0
    topic_name: str | None = None
    body_bytes: int = PROBE_BYTES
    timeout_s: float = 10.0
    among: tuple[int, ...] = ()
    """Codes that are reported even if none came; every other answer is then counted as `codes.other` too."""

    def reach(self) -> frozenset[str]:
        """A name of its own may become a topic, which nobody would remove from a cluster of others."""
        return frozenset({NODE_CONFIG} if self.topic_name is not None else ())

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"sent", "answered", "accepted", "stored", "codes": {code: n}, "slowest_s"}` over all targets.

        No answer is the code `none`: it is no other code than the one that was expected, and no sign of it either. So
        demand 0 `codes.other`, and assume that enough was `answered`. A refusal for a moment's wait in the broker's
        queue is no answer to what was asked.
        """
        codes: list[str] = []
        accepted = stored = 0
        slowest_s = 0.0
        for node in select(self.target, stage.cluster):
            for number in range(self.count):
                reply, took_s = stage.send_direct(
                    node, self.topic_name or self.topic, number, self.timeout_s, self.body_bytes
                )
                slowest_s = max(slowest_s, took_s)
                codes.append(str(reply.code) if reply is not None and _answers(reply) else NO_ANSWER)
                accepted += reply is not None and reply.acknowledged
                stored += reply is not None and reply.stored
        return {
            "sent": len(codes),
            "answered": len(codes) - codes.count(NO_ANSWER),
            "accepted": accepted,
            "stored": stored,
            "codes": by_code(codes, self.among),
            "slowest_s": slowest_s,
        }


class AwaitAnswer(Probe):
    """Sends one message a time straight to the target until the answer has one of `codes`; 0 is SEND_OK."""

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"reached", "seconds", "last_code", "sent"})
    kind: Literal["await-answer"] = "await-answer"
    target: str
    codes: tuple[int, ...]
    topic: int = 0
    timeout_s: float = 60.0
    poll_s: float = 0.2

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"reached", "seconds", "last_code", "sent"}`; `reached` is null if there was no answer in the end.

        A broker that says nothing has not said anything else. A refusal for a moment's wait is no answer either.
        """
        (node,) = select(self.target, stage.cluster)
        began_ns = stage.now_ns()
        last: list[int | None] = [None]
        sent = [0]

        def look() -> bool:
            reply, _ = stage.send_direct(node, self.topic, sent[0], 10.0)
            sent[0] += 1
            last[0] = int(reply.code) if reply is not None and _answers(reply) else None
            return last[0] in self.codes

        if not in_time(look, what=f"code {self.codes} from {node}", timeout_s=self.timeout_s, poll_s=self.poll_s):
            stage.say(f"{node} did not answer {self.codes} within {self.timeout_s:.0f} s; last: {last[0]}")
        return {
            "reached": None if last[0] is None else last[0] in self.codes,
            "seconds": seconds_since(stage, began_ns),
            "last_code": last[0],
            "sent": sent[0],
        }


def _answers(reply: SendReply) -> bool:
    """It says something of what was asked, and is no refusal for a moment's wait: that is of a busy machine."""
    return not waited_a_moment(int(reply.code), reply.remark)
