"""What can be said of a guarantee, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The four words of the product."""

    HELD = "held"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTED = "not-tested"


_SEVERITY = {Verdict.BROKEN: 3, Verdict.INCONCLUSIVE: 2, Verdict.HELD: 1, Verdict.NOT_TESTED: 0}


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a row judged by several scenarios: broken > inconclusive > held; none at all = not tested.

    A scenario that was not tested does not lower one that was; an empty set is not-tested, never held.
    """
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.NOT_TESTED)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one finder saw: how many anomalies of one kind, out of how many that could have been.

    `examples` is bounded (at most 8); `count` is not. Detection only: whether the guarantee forbids it is the
    scenario's business.
    """

    kind: str
    count: int
    of: int
    examples: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assumption:
    """A condition without which a verdict means nothing. `sound=False` ones void even a broken verdict."""

    name: str
    met: bool
    message: str
    soundness: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation, judged: what was demanded, what was seen.

    `excuse` says why an unmet one need not be the product's doing (our clients stood still); it weighs nothing where
    the demand is met.
    """

    demand: str
    met: bool
    message: str
    finding: Finding | None = None
    excuse: str = ""

    @property
    def violated(self) -> bool:
        """Unmet without an excuse: a witness against the product."""
        return not self.met and not self.excuse


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one history, with every assumption and check behind it."""

    verdict: Verdict
    reason: str
    assumptions: tuple[Assumption, ...]
    checks: tuple[Check, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def doubts(assumptions: Iterable[Assumption], checks: Iterable[Check]) -> list[str]:
    """What is not known, in words: demands that are neither met nor violated, and assumptions that are not met."""
    unjudged = [f"{c.message}, but {c.excuse}" for c in checks if not c.met and not c.violated]
    return unjudged + [a.message for a in assumptions if not a.met]


def conclude(assumptions: Iterable[Assumption], checks: Iterable[Check]) -> tuple[Verdict, str]:
    """Weighs assumptions and checks.

    Unsound evidence is inconclusive whatever the checks say. A violated check on sound evidence is broken even
    if the load was too thin, for one witnessed violation is enough. One that has an excuse is no such witness: it is
    inconclusive. No check at all proves nothing.
    """
    assumed = tuple(assumptions)
    checked = tuple(checks)
    unsound = [a.message for a in assumed if not a.met and a.soundness]
    if unsound:
        return Verdict.INCONCLUSIVE, "; ".join(unsound)
    violated = [c.message for c in checked if c.violated]
    if violated:
        return Verdict.BROKEN, "; ".join(violated)
    weak = doubts(assumed, checked)
    if weak:
        return Verdict.INCONCLUSIVE, "; ".join(weak)
    if not checked:
        return Verdict.INCONCLUSIVE, "nothing was demanded of this history"
    return Verdict.HELD, "; ".join(c.message for c in checked)
