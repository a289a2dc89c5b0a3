"""The parts of one row, made from the outcomes that judge it: figures, control, scenarios, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from harness.core.guarantee import Expectation
from harness.core.spread import Repeats
from harness.core.verdict import Verdict
from harness.judging import ControlResult, ScenarioResult, on_looks_alone
from harness.outcome import Outcome, unexpected, weighed
from harness.report.rows import Control as ControlRow
from harness.report.rows import ScenarioRow

STORED: Final = "unknown_stored"
_ADDED_UP: Final = ("invoked", "acked", "failed", "unknown", STORED, "lost", "lost_of")
_OF_ALL_REPETITIONS: Final = (*_ADDED_UP, "faults", "delivered", "redelivered", "diverged")
"""Counts that are added up where a suite function was run several times; other figures spread."""


def lent(outcome: Outcome, among: Sequence[Outcome]) -> tuple[ControlResult, ...] | None:
    """The controls of the first repetition, for one that has none of its own; None for any other."""
    if not outcome.borrows:
        return None
    return next((o.controls for o in among if o.function == outcome.function and o.repetition == 1), ())


def reasons(told: Sequence[str], verdict: Verdict, repeats: Repeats | None) -> str:
    """Why; of repetitions the first, and of how many."""
    if repeats is None or verdict is Verdict.HELD:
        return "; ".join(told)
    return f"{repeats.text()}; the first: {told[0]}" if told else ""


def figures(ran: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of every scenario of a row; counts are added up, anything else keeps its scenario's name.

    How many unknown sends were found stored is left out if a scenario does not know it of its own. Of several
    repetitions there are counts alone.
    """
    merged: dict[str, Any] = {}
    several = {o.function for o in ran if o.repetition > 1}
    for outcome in ran:
        assert outcome.result is not None
        for key, value in outcome.result.judgement.figures.items():
            added = _OF_ALL_REPETITIONS if outcome.function in several else _ADDED_UP
            if outcome.function in several and key not in added:
                continue
            if key not in merged:
                merged[key] = value
            elif key in added and isinstance(value, int | float):
                merged[key] += value
            else:
                merged[f"{outcome.result.scenario.name}.{key}"] = value
    if any(o.result and STORED not in o.result.judgement.figures for o in ran):
        merged.pop(STORED, None)
    return merged


def control_row(run: Path, ran: Sequence[Outcome]) -> ControlRow | None:
    """The row's control: the product or fault-off control where there is one, else the planted ones together.

    Of several it says what the first that did not come out showed, and the reason of each. None where one was to be run
    in the first repetition and was not: what is planted in the others stands in for none.
    """
    looks = tuple(
        dict.fromkeys(text for o in ran if o.result for text in on_looks_alone(o.result, lent(o, ran) or o.controls))
    )
    real = [c for o in ran for c in o.controls]
    if real:
        worst = next((c for c in real if not c.as_expected), real[0])
        reasons = {c.control.scenario.name: c.result.judgement.reason for c in real}
        return ControlRow(
            kind=worst.control.kind,
            expected=worst.control.expect.value,
            observed=worst.result.judgement.verdict.value,
            ok=all(c.as_expected for c in real),
            scenarios=tuple(_directory(run, c.result) for c in real),
            why="; ".join(dict.fromkeys(c.control.why for c in real if c.control.why)),
            reason="; ".join(f"{n}: {r}" if len(real) > 1 else r for n, r in reasons.items()),
            on_looks_alone=looks,
        )
    planted = [p for o in ran if o.result for p in o.result.planted]
    if not planted or any(o.borrows for o in ran):
        return None
    shown = [p for p in planted if p.of_its_own] or planted
    bad = next((p for p in planted if p.observed is not Verdict.BROKEN), shown[0])
    demands = ", ".join(dict.fromkeys(p.demand for p in planted))
    return ControlRow(
        kind="planted",
        expected="broken",
        observed=bad.observed.value,
        ok=all(p.observed is Verdict.BROKEN for p in planted) and any(p.of_its_own for p in planted),
        why=f"copies of the recorded history, each with a defect planted against one of: {demands}",
        reason=bad.reason,
        on_looks_alone=looks,
    )


def _directory(run: Path, result: ScenarioResult) -> str:
    """Where a scenario lies below `scenarios/`: what rows call it by."""
    return str(result.directory.relative_to(run / "scenarios"))


def scenario_row(
    run: Path, seed: int, outcome: Outcome, expected: Expectation, lent: Sequence[ControlResult] | None = None
) -> ScenarioRow:
    """One executed scenario as the row shows it; `lent` as in `Outcome.verdict`."""
    result = outcome.result
    assert result is not None
    verdict, reason = weighed(outcome, expected, lent)
    seen = result.judgement.figures
    return ScenarioRow(
        name=_directory(run, result),
        seed=seed,
        history=str(result.directory.relative_to(run) / "history"),
        verdict=verdict,
        reason=reason if verdict is not Verdict.HELD else "",
        acked=int(seen.get("acked", 0)),
        failed=seen.get("failed"),
        unknown=seen.get("unknown"),
        lost=seen.get("lost"),
        unexpected=unexpected(outcome, expected),
        before=result.before,
        repetition=outcome.repetition,
        figures=dict(seen),
    )
