"""Verdicts of two releases on one guarantee: what may be said of them, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.compare.figures import Figure
from harness.compare.sides import Key, Side
from harness.compare.statistics import fisher
from harness.core.verdict import Verdict
from harness.report.rows import Row, Standing, standing

CHANCE = 0.05
"""A guarantee that is broken now and then: what a difference in how often must be less likely than."""


class Outcome(StrEnum):
    """What the candidate is, against the base."""

    WORSE = "worse"
    NOT_COMPARABLE = "not comparable"
    BETTER = "better"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Compared:
    """One guarantee on one topology. `base` and `candidate` say how its runs came out, `why` what follows and why.

    `owed` is set of what is not comparable though the base could be judged: nobody knows whether the candidate keeps
    what the base kept. `tested` is not set of what no run of either side got to.
    """

    key: Key
    outcome: Outcome
    base: str
    candidate: str
    why: str
    owed: bool = False
    tested: bool = True
    figures: tuple[Figure, ...] = ()


def compared(base: Side, candidate: Side, key: Key, figures: Sequence[Figure], unlike: str) -> Compared:
    """The outcome of a row: that of its verdicts, or of its figures where these are the same.

    One broken run of the candidate is enough where the base never was: a guarantee is no average. Of one that is broken
    on both sides, or was on the base's, only how often is left, and chance decides (Fisher's exact test). Runs that
    were inconclusive say nothing. `unlike` says why the sides cannot be compared at all, if so.
    """
    ours, theirs = base.rows(key), candidate.rows(key)
    said = (_said(ours), _said(theirs))
    mine = tuple(figure for figure in figures if figure.key == key)
    judged = [[row for row in rows if _conclusive(row)] for rows in (ours, theirs)]
    if unlike or not all(judged):
        tested = any(row.verdict is not Verdict.NOT_TESTED for row in (*ours, *theirs))
        why = unlike or _missing(judged, said)
        return Compared(key, Outcome.NOT_COMPARABLE, *said, why, bool(judged[0]), tested, mine)
    outcome, why = _by_verdicts(base, candidate, key, judged)
    worse = [figure for figure in mine if figure.outcome == "worse"]
    better = [figure for figure in mine if figure.outcome == "better"]
    if outcome is not Outcome.WORSE and worse:
        outcome, why = Outcome.WORSE, "; ".join(filter(None, (why, _moved(worse))))
    elif outcome is Outcome.SAME and better:
        outcome, why = Outcome.BETTER, "; ".join(filter(None, (why, _moved(better))))
    return Compared(key, outcome, *said, why, figures=mine)


def _conclusive(row: Row) -> bool:
    """It held or is broken by proof: a row whose control did not come out says nothing."""
    return standing(row) not in (Standing.INCONCLUSIVE, Standing.NOT_TESTED)


def _said(rows: Sequence[Row]) -> str:
    """`held`, or `broken 2, held 3` of several runs; the standing where nothing can be said."""
    if not rows:
        return "not there"
    words = [row.verdict.value if _conclusive(row) else standing(row).value for row in rows]
    if len(set(words)) == 1:
        return words[0] if len(words) == 1 else f"{words[0]} {len(words)} times"
    return ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))


def _missing(judged: Sequence[Sequence[Row]], said: tuple[str, str]) -> str:
    lacking = [name for name, rows in zip(("base", "candidate"), judged, strict=True) if not rows]
    words = dict(zip(("base", "candidate"), said, strict=True))
    return " and ".join(f"{name} {words[name]}" for name in lacking)


def _by_verdicts(base: Side, candidate: Side, key: Key, judged: Sequence[Sequence[Row]]) -> tuple[Outcome, str]:
    broken = [[row for row in rows if row.verdict is Verdict.BROKEN] for rows in judged]
    (bad, of), (bad_now, of_now) = ((len(b), len(rows)) for b, rows in zip(broken, judged, strict=True))
    if not bad and bad_now:
        return Outcome.WORSE, broken[1][0].reason
    if bad and bad_now:
        more = sorted(_violated(candidate, key) - _violated(base, key))
        if more:
            return Outcome.WORSE, f"violates more than the base does: {'; '.join(more)}"
    if not bad:
        return Outcome.SAME, ""
    p = fisher(bad, of, bad_now, of_now)
    share = f"broken in {bad} of {of}, now in {bad_now} of {of_now}"
    if not bad_now and bad == of:
        return Outcome.BETTER, share
    if p < CHANCE:
        return (Outcome.WORSE if bad_now / of_now > bad / of else Outcome.BETTER), f"{share} (p = {p:.2g})"
    return Outcome.SAME, share if bad_now != of_now or bad != of else ""


def _violated(side: Side, key: Key) -> set[str]:
    """The demands that any run of the side violated, of the scenarios of this row."""
    names = {(n, scenario.name) for n, s in enumerate(side.runs) if key in s.rows for scenario in s.rows[key].scenarios}
    judgements = (side.runs[n].judgements[name] for n, name in names)
    return {
        check.demand for judgement in judgements for check in judgement.checks if not check.met and not check.excuse
    }


def _moved(figures: Sequence[Figure]) -> str:
    return "; ".join(f"{f.name} by {f.shift:+.4g} (p = {f.p:.2g}) in {f.scenario}" for f in figures)
