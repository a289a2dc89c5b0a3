"""What every probe is, and what several of them do alike."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from harness.core.errors import WaitTimeout
from harness.core.expectation import Data
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.workloads.stage import Stage

NO_ANSWER: Final = "none"
PROBE_BYTES: Final = 100
"""What a message of a probe weighs."""


class Probe(Data):
    """One look at the cluster or its clients. Returns what it saw; raises WaitTimeout only if told to insist."""

    @abstractmethod
    def run(self, stage: Stage) -> Any:
        """Looks, and returns a JSON value."""

    SEEN: ClassVar[frozenset[str] | None] = None
    """The fields of what it returns, for `observed("step.field")`; None where the scenario says what they are."""

    REACHES: ClassVar[frozenset[str]] = frozenset()
    """What it takes of nodes besides an answer (see `runtime.base.REACH`)."""

    def reach(self) -> frozenset[str]:
        """The same of this very probe."""
        return self.REACHES

    WAITS: ClassVar[bool] = False
    """Its time is spent waiting for the product's own timers rather than working."""

    def waits_for_product(self) -> bool:
        """Under which of the two its time is booked; a kind for which it depends says so itself."""
        return self.WAITS


def in_time(look: Callable[[], bool], *, what: str, timeout_s: float, poll_s: float) -> bool:
    """Looks until it is so, at most so long; says whether it came to be."""
    try:
        return wait_for(look, what=what, timeout_s=timeout_s, poll_s=poll_s)
    except WaitTimeout:
        return False


def all_are(wanted: bool, states: Iterable[bool | None]) -> bool | None:
    """False if one is certainly otherwise, None if one is not known, else True."""
    seen = list(states)
    if any(state is not None and state is not wanted for state in seen):
        return False
    return None if None in seen else True


def by_code(codes: Iterable[str], among: Iterable[int]) -> dict[str, int]:
    """Answers by their code: those of `among` even if none came, and then whatever else was answered as `other` too.

    No answer is the code `none`: it is no other code than the one that was expected, and no sign of it either.
    """
    expected = {str(code): 0 for code in among}
    counts = Counter(expected)
    counts.update(codes)
    if expected:
        counts["other"] = sum(n for code, n in counts.items() if code not in expected and code != NO_ANSWER)
    return dict(counts)


def seconds_since(stage: Stage, began_ns: int) -> float:
    """How long ago an instant of the stage's clock is."""
    return (stage.now_ns() - began_ns) / 1e9
