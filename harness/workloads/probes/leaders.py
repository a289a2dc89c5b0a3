"""Who leads a group that elects its master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.workloads.probes.base import Probe, in_time, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage

POLL_S = 0.2


class AwaitLeader(Probe):
    """Waits until a broker name has a leader by its own word and a nameserver's, and another than before if so asked.

    `other_than` names an earlier look of this kind: whoever it saw is not waited for.
    """

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"leader", "reached", "seconds"})
    kind: Literal["await-leader"] = "await-leader"
    broker: int = 0
    other_than: str | None = None
    timeout_s: float = 60.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"leader", "reached", "seconds"}`; `leader` is who led in the end, null if nobody was seen to.

        `reached` is null where nobody was seen to lead: a group without a leader has not kept its old one either.
        """
        began_ns = stage.now_ns()
        name = stage.cluster.topology.brokers[self.broker].name
        before = stage.recall(self.other_than)["leader"] if self.other_than else None
        seen: list[str | None] = [None]

        def look() -> bool:
            seen[0] = stage.cluster.leader(name)
            return seen[0] is not None and seen[0] != before

        reached = in_time(look, what=f"a leader of {name}", timeout_s=self.timeout_s, poll_s=POLL_S)
        return {
            "leader": seen[0],
            "reached": None if seen[0] is None else reached,
            "seconds": seconds_since(stage, began_ns),
        }
