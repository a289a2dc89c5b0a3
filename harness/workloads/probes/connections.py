"""Which clients a broker still counts as there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from harness.core.errors import HarnessError
from harness.faults.select import select
from harness.runtime.base import NAMESPACES
from harness.workloads.load import producer_group
from harness.workloads.probes.base import Probe, all_are, in_time

if TYPE_CHECKING:
    from harness.workloads.stage import Stage

POLL_S: Final = 0.5


class AwaitDropped(Probe):
    """Waits until no target holds a connection of the producer `who` any more, in seconds since the fault `since`.

    Only an answer counts: a broker that does not answer has neither kept nor dropped it. That the producer was there
    at all is `listed`, of how many targets at the first look; a suite that awaits its end must demand it.
    """

    REACHES: ClassVar[frozenset[str]] = frozenset({NAMESPACES})
    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"dropped", "seconds", "at_least_s", "listed"})
    kind: Literal["await-dropped"] = "await-dropped"
    who: str
    since: str
    target: str = "master/*"
    timeout_s: float = 180.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"dropped", "seconds", "at_least_s", "listed"}`.

        `seconds` is of the first look at which every target had said so, an upper bound, and null if there was none;
        `at_least_s` of the last one at which a target said the contrary. `dropped` is null if one did not answer at
        the end and none said the contrary.
        """
        nodes = select(self.target, stage.cluster)
        start_ns = stage.instant(self.since)
        listed: int | None = None
        dropped: bool | None = None
        at_least_s, seconds = 0.0, None

        def look() -> bool:
            nonlocal listed, dropped, at_least_s, seconds
            began_ns = stage.now_ns()
            held = [self._holds(stage, node) for node in nodes]
            listed = held.count(True) if listed is None else listed
            dropped = all_are(False, held)
            if dropped is False:
                at_least_s = max(0.0, (began_ns - start_ns) / 1e9)
            elif dropped:
                seconds = (stage.now_ns() - start_ns) / 1e9
            return dropped is True

        in_time(look, what=f"{self.who} to be dropped", timeout_s=self.timeout_s, poll_s=POLL_S)
        return {"dropped": dropped, "seconds": seconds, "at_least_s": at_least_s, "listed": listed or 0}

    def _holds(self, stage: Stage, node: str) -> bool | None:
        """Whether this broker holds a connection from the worker's own address; None if it does not answer."""
        own = stage.cluster.runtime.nodes[self.who].address
        group = producer_group(self.who.rpartition("-")[0])
        try:
            held = stage.cluster.admin.producers(stage.cluster.address(node), group)
        except HarnessError:
            return None
        return any(address.rpartition(":")[0] == own for _, address in held)
