"""Verdicts of two releases on one guarantee: what may be said of them, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.checkers.stages import STAGES
from harness.compare.figures import KINDS, Figure
from harness.compare.sides import Key, Side
from harness.compare.statistics import fewest_runs, fisher
from harness.core.verdict import Verdict
from harness.evidence.files import read_json
from harness.judging import judge_directory
from harness.report.rows import Row, Standing, standing
from harness.scenario import Scenario

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
    on both sides, or was on the base's, only how often is left, and chance decides (Fisher's exact test). A side of
    which most runs were inconclusive, blocked or in trouble shows nothing, nor does one that lacks a scenario which the
    other has. What a candidate breaks of which the base shows nothing is owed an answer as well. `unlike` says why the
    sides cannot be compared at all, if so.
    """
    ours, theirs = base.rows(key), candidate.rows(key)
    said = (_said(ours), _said(theirs))
    mine = tuple(figure for figure in figures if figure.key == key)
    judged = [[row for row in rows if _conclusive(row)] for rows in (ours, theirs)]
    broken_now = any(row.verdict is Verdict.BROKEN for row in judged[1])
    unlike = unlike or _other_shape(base, candidate, key[1])
    why_not = unlike or _shows_too_little(judged, (ours, theirs), said)
    if why_not and not (broken_now and judged[0] and not unlike):
        tested = any(row.verdict is not Verdict.NOT_TESTED for row in (*ours, *theirs))
        owed = bool(judged[0]) or broken_now
        return Compared(key, Outcome.NOT_COMPARABLE, *said, why_not, owed, tested, mine)
    outcome, why = _by_verdicts(base, candidate, key, judged)
    promises_figure = any(row.figure for row in (*ours, *theirs))
    stages = {figure.name for figure in mine if figure.judged and figure.name in STAGES}
    if outcome is Outcome.SAME and promises_figure and not stages:
        # That there is a figure on both sides says nothing of how much it is; and others are told in words alone.
        why = "a promise of how much, of which nothing could be judged: see both reports"
        return Compared(key, Outcome.NOT_COMPARABLE, *said, why, figures=mine)
    if outcome is Outcome.SAME and promises_figure and (lacking := _shown(base, key) - stages):
        why = f"a promise of how much, of which the candidate does not show {', '.join(sorted(lacking))} often enough"
        return Compared(key, Outcome.NOT_COMPARABLE, *said, why, owed=True, figures=mine)
    worse = [figure for figure in mine if figure.outcome == "worse"]
    better = [figure for figure in mine if figure.outcome == "better"]
    if outcome is not Outcome.WORSE and worse:
        outcome, why = Outcome.WORSE, "; ".join(filter(None, (why, _moved(worse))))
    elif outcome is Outcome.SAME and better:
        outcome, why = Outcome.BETTER, "; ".join(filter(None, (why, _moved(better))))
    notes = (why, *other_terms(base, candidate, key))
    return Compared(key, outcome, *said, "; ".join(filter(None, notes)), figures=mine)


def _other_shape(base: Side, candidate: Side, topology: str) -> str:
    """Of what the two sides mean by one name of a topology: --flush and --nameservers change it."""
    runs = (*base.runs, *candidate.runs)
    first, *others = [stored.shapes[topology] for stored in runs if topology in stored.shapes] or [{}]
    differ = sorted({key for other in others for key in other if other[key] != first.get(key)})
    return f"{topology} is not the same cluster on both sides: {', '.join(differ)}" if differ else ""


def other_terms(base: Side, candidate: Side, key: Key) -> list[str]:
    """The scenarios of a row whose figures are not compared, for their load or demands differ between the releases."""
    terms = [{name: stored.terms[name] for stored in side.runs for name in stored.terms} for side in (base, candidate)]
    names = dict.fromkeys(scenario.called for row in base.rows(key) for scenario in row.scenarios)
    differ = [name for name in names if name in terms[0] and name in terms[1] and terms[0][name] != terms[1][name]]
    return [f"figures of {name} are not compared: its load or demands differ" for name in differ]


def _conclusive(row: Row) -> bool:
    """It held or is broken by proof: a row whose control did not come out says nothing.

    One that held as far as it could be looked at, for the machine lacked something or stood in the way, neither.
    """
    if standing(row) in (Standing.INCONCLUSIVE, Standing.NOT_TESTED):
        return False
    return row.verdict is Verdict.BROKEN or not (row.missing or row.infrastructure)


def _shows_too_little(judged: Sequence[Sequence[Row]], rows: Sequence[Sequence[Row]], said: tuple[str, str]) -> str:
    names = ("base", "candidate")
    lacking = [n for n, kept, every in zip(names, judged, rows, strict=True) if 2 * len(kept) < max(1, len(every))]
    if lacking:
        words = dict(zip(names, said, strict=True))
        return " and ".join(f"{name} {words[name]}" for name in lacking)
    ours, theirs = ({s.called for row in kept for s in row.scenarios} for kept in judged)
    if ours - theirs:
        return f"the candidate lacks {', '.join(sorted(ours - theirs))}"
    return ""


def _said(rows: Sequence[Row]) -> str:
    """`held`, or `broken 2, held 3` of several runs; the standing where nothing can be said."""
    if not rows:
        return "not there"
    words = [row.verdict.value if _conclusive(row) else standing(row).value for row in rows]
    if len(set(words)) == 1:
        return words[0] if len(words) == 1 else f"{words[0]} {len(words)} times"
    return ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))


def _by_verdicts(base: Side, candidate: Side, key: Key, judged: Sequence[Sequence[Row]]) -> tuple[Outcome, str]:
    (bad, of), (bad_now, of_now) = map(_broken_of, judged)
    share = f"broken in {bad} of {of}, now in {bad_now} of {of_now}"
    if not bad and bad_now and all(row.known for rows in judged for row in rows):
        return Outcome.SAME, f"expected to be broken on both sides, and was in {bad_now} of {of_now} of the candidate"
    if not bad and bad_now:
        reason = next(row.reason for row in judged[1] if row.verdict is Verdict.BROKEN)
        return Outcome.WORSE, f"{share}: {reason}" if any(row.repeats for rows in judged for row in rows) else reason
    if bad and bad_now:
        more = sorted(_violated(candidate, key) - _violated(base, key))
        if more:
            return Outcome.WORSE, f"violates more than the base does: {'; '.join(more)}"
    if not bad:
        return Outcome.SAME, ""
    p = fisher(bad, of, bad_now, of_now)
    if not bad_now and bad == of and len(judged[1]) == len(candidate.rows(key)):
        return Outcome.BETTER, share
    if p < CHANCE:
        return (Outcome.WORSE if bad_now / of_now > bad / of else Outcome.BETTER), f"{share} (p = {p:.2g})"
    return Outcome.SAME, share if bad_now != of_now or bad != of else ""


def _shown(side: Side, key: Key) -> set[str]:
    """The stages that are compared and that runs of the side have, of enough of them to be judged."""
    of_runs = [{name for scenario in row.scenarios for name in scenario.figures} for row in side.rows(key)]
    return {name for name in STAGES if name in KINDS and sum(name in told for told in of_runs) >= fewest_runs()}


def _broken_of(rows: Sequence[Row]) -> tuple[int, int]:
    """How often these rows were broken, of how often they were judged: a run that repeats its scenarios is as many.

    By runs one of thirty repetitions would weigh as much as thirty of thirty, and who repeats more would be broken
    more often.
    """
    each = [
        (row.repeats.broken, row.repeats.broken + row.repeats.held)
        if row.repeats is not None
        else (int(row.verdict is Verdict.BROKEN), 1)
        for row in rows
    ]
    return sum(bad for bad, _ in each), sum(of for _, of in each)


def _violated(side: Side, key: Key) -> set[str]:
    """What the broken runs of the side violated, each with its scenario: judged anew from what was recorded.

    Nothing vouches for `judgement.json`. Raises EvidenceError for a history that cannot be read.
    """
    found: set[str] = set()
    for stored in side.runs:
        row = stored.rows.get(key)
        for scenario in row.scenarios if row is not None and _conclusive(row) else ():
            if scenario.verdict is Verdict.BROKEN:
                root = stored.roots[scenario.name]
                rules = Scenario.model_validate(read_json(root / "scenario.json")).rules
                trouble = str(read_json(root / "result.json").get("trouble", ""))
                judgement, _planted = judge_directory(root, rules, trouble, from_lines=True)
                found |= {f"{scenario.called}: {check.demand}" for check in judgement.checks if check.violated}
    return found


def _moved(figures: Sequence[Figure]) -> str:
    return "; ".join(f"{f.name} by {f.shift:+.4g} (p = {f.p:.2g}) in {f.scenario}" for f in figures)
