"""What a scenario came to: its history judged, copies of it with planted defects judged, and what is stored of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.checkers.books import unbooked
from harness.checkers.judge import judge
from harness.checkers.planting import plant
from harness.checkers.returns import never_returned
from harness.core.errors import HarnessError
from harness.core.expectation import Rules
from harness.core.history import History
from harness.core.verdict import Check, Judgement, Verdict
from harness.evidence import load_history
from harness.scenario import Control, Scenario


@dataclass(frozen=True, slots=True)
class PlantedControl:
    """One demand, and what the judge said of the recorded history with one defect of that kind planted in it."""

    demand: str
    observed: Verdict
    reason: str


@dataclass(slots=True)
class ScenarioResult:
    """What came of one scenario. `trouble` is set when it could not be run to its end."""

    scenario: Scenario
    directory: Path
    judgement: Judgement
    planted: tuple[PlantedControl, ...] = ()
    trouble: str = ""
    spent_s: dict[str, float] = field(default_factory=dict)
    deviations: tuple[tuple[str, str, str, str], ...] = ()
    bring_up: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlResult:
    """How a control came out, beside how it must."""

    control: Control
    result: ScenarioResult

    @property
    def as_expected(self) -> bool:
        """The control ran to its end and came out as it must: the scenario it belongs to could have been red."""
        return self.result.judgement.verdict is self.control.expect and not self.result.trouble


def judge_directory(directory: Path, rules: Rules, trouble: str) -> tuple[Judgement, tuple[PlantedControl, ...]]:
    """Judges what a scenario directory holds.

    Trouble makes it inconclusive, whatever was seen before: what was demanded was demanded of a scenario that ended,
    on evidence that was whole. The one exception is evidence that is complete in itself and trouble by its own doing:
    a node that twice exited by itself when it was started again is broken.
    """
    try:
        history = load_history(directory)
    except HarnessError as error:
        return Judgement(Verdict.INCONCLUSIVE, f"{trouble or 'evidence'}: {error}", (), ()), ()
    judgement = judge(history, rules)
    if trouble:
        gone = never_returned(history)
        verdict, checks = (Verdict.BROKEN if gone else Verdict.INCONCLUSIVE), judgement.checks
        if gone:
            checks = (Check("every node comes back", False, gone), *checks)
        return Judgement(verdict, gone or trouble, judgement.assumptions, checks, judgement.figures), ()
    return judgement, judge_planted(history, rules) if judgement.verdict is Verdict.HELD else ()


def judge_planted(history: History, rules: Rules) -> tuple[PlantedControl, ...]:
    """Plants one defect per demand in the history and judges it again: each must now be broken."""
    outcomes = []
    for demand in rules.expectations:
        bad = plant(history, demand)
        if bad is None:
            continue
        seen = judge(unbooked(bad), rules)
        outcomes.append(PlantedControl(demand.text(), seen.verdict, seen.reason))
    return tuple(outcomes)


def result_json(result: ScenarioResult) -> dict[str, object]:
    """What is stored beside the judgement: trouble, planted controls, where the time went, deviations."""
    return {
        "schema": 1,
        "scenario": result.scenario.name,
        "trouble": result.trouble,
        "planted": [{"demand": p.demand, "observed": p.observed.value, "reason": p.reason} for p in result.planted],
        "spent_s": {k: round(v, 3) for k, v in result.spent_s.items()},
        "bring_up": dict(result.bring_up),
        "deviations": [list(d) for d in result.deviations],
    }
