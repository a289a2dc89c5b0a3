"""Two loads that send in turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from harness.waiting import pause_s
from harness.workloads.probes.base import Probe

if TYPE_CHECKING:
    from harness.workloads.stage import Stage

_SETTLE_S: Final = 0.5
"""How long a load that goes on is not looked at yet: its connections, its threads and the broker's caches warm up."""


class TakeTurns(Probe):
    """Holds all producers, then lets the loads `first` and `second` send in turns of `turn_s`, so many rounds.

    Every second round begins with the other one. In the end both go on. What they came to is in the history; the
    metric `turns_ratio` compares them.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"first", "second", "turns"})
    kind: Literal["take-turns"] = "take-turns"
    first: str
    second: str
    rounds: int = 12
    turn_s: float = 2.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"first", "second", "turns": [{"who", "round", "begin_ns", "end_ns"}]}`, instants monotonic."""
        crew, pair = stage.crew, (self.first, self.second)
        for name in pair:
            crew.hold(crew.named(name))
        turns = []
        for number in range(self.rounds):
            for who in pair if number % 2 == 0 else reversed(pair):
                crew.go(crew.named(who))
                stage.wait(_SETTLE_S, pause_s)
                begin_ns = stage.now_ns()
                stage.wait(self.turn_s, pause_s)
                end_ns = stage.now_ns()
                crew.hold(crew.named(who))
                turns.append({"who": who, "round": number, "begin_ns": begin_ns, "end_ns": end_ns})
        for name in pair:
            crew.go(crew.named(name))
        return {"first": self.first, "second": self.second, "turns": turns}
