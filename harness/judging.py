"""What a scenario came to: its history judged, copies of it with planted defects judged, and what is stored of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.checkers.judge import ALWAYS, implied, judge
from harness.checkers.planting import plant
from harness.core.errors import HarnessError
from harness.core.expectation import Rules
from harness.core.history import History
from harness.core.verdict import Judgement, Verdict
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

    @property
    def inexcusable(self) -> bool:
        """It broke what is demanded of every history: nothing that the catalogue expects is an excuse for that."""
        always = {demand.text() for demand in ALWAYS}
        broken = self.judgement.verdict is Verdict.BROKEN
        return broken and any(not check.met and check.demand in always for check in self.judgement.checks)


@dataclass(frozen=True, slots=True)
class ControlResult:
    """How a control came out, beside how it must."""

    control: Control
    result: ScenarioResult

    @property
    def as_expected(self) -> bool:
        """The control came out as it must, by a demand of its own: the scenario it belongs to could have been red."""
        return self.result.judgement.verdict is self.control.expect and self._by_its_own

    @property
    def came_out(self) -> str:
        """Its verdict, and whether that says nothing of what it was run for."""
        return self.result.judgement.verdict.value + ("" if self._by_its_own else ", by none of its own demands,")

    @property
    def _by_its_own(self) -> bool:
        """Not broken, or not only by what is demanded of every history."""
        judgement = self.result.judgement
        others = {demand.text() for demand in implied(self.result.scenario.rules)}
        violated = [check.demand for check in judgement.checks if not check.met]
        return judgement.verdict is not Verdict.BROKEN or not violated or any(d not in others for d in violated)


def judge_directory(directory: Path, rules: Rules, trouble: str) -> tuple[Judgement, tuple[PlantedControl, ...]]:
    """Judges what a scenario directory holds. Trouble makes any verdict but a witnessed violation inconclusive."""
    try:
        history = load_history(directory)
    except HarnessError as error:
        return Judgement(Verdict.INCONCLUSIVE, f"{trouble or 'evidence'}: {error}", (), ()), ()
    judgement = judge(history, rules)
    if trouble:
        judgement = Judgement(Verdict.INCONCLUSIVE, trouble, judgement.assumptions, judgement.checks, judgement.figures)
        return judgement, ()
    return judgement, judge_planted(history, rules) if judgement.verdict is Verdict.HELD else ()


def judge_planted(history: History, rules: Rules) -> tuple[PlantedControl, ...]:
    """Plants one defect per demand in the history and judges it again: each must now be broken.

    What is demanded of every history is planted only beside a demand of the scenario's own: that it would be seen does
    not show that this scenario could have come out broken.
    """
    outcomes: list[PlantedControl] = []
    for demand in (*rules.expectations, *implied(rules)):
        if demand not in rules.expectations and not outcomes:
            continue
        bad = plant(history, demand)
        if bad is None:
            continue
        seen = judge(bad, rules)
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
