"""What the outcomes of a run come to in a row: figures of several scenarios, and the control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.core.verdict import Judgement, Verdict
from harness.judging import ControlResult, PlantedControl, ScenarioResult
from harness.outcome import Outcome
from harness.report.rows import Control as ControlRow
from harness.row import control_row, figures
from harness.scenario import Control, Scenario
from harness.session import Session

RUN = Path("/run")


def result(name: str, verdict: Verdict = Verdict.HELD, reason: str = "", **more: Any) -> ScenarioResult:
    judgement = Judgement(verdict, reason, (), (), more.pop("figures", {}))
    return ScenarioResult(Scenario(name=name), RUN / "scenarios" / "1m" / name, judgement, **more)


def outcome(name: str, **counted: int) -> Outcome:
    return Outcome(("g",), result(name, figures=counted))


def test_counts_of_several_scenarios_are_added_up() -> None:
    both = figures(
        [outcome("a", invoked=9, unknown=4, unknown_stored=1), outcome("b", invoked=5, unknown=2, unknown_stored=2)]
    )
    assert both == {"invoked": 14, "unknown": 6, "unknown_stored": 3}


def test_how_many_of_the_unknown_are_stored_is_known_of_all_or_not_said() -> None:
    assert figures([outcome("a", unknown=4, unknown_stored=1), outcome("b", unknown=2)]) == {"unknown": 6}
    assert figures([outcome("a", unknown=4), outcome("b", unknown=2, unknown_stored=2)]) == {"unknown": 6}


def control(name: str, seen: Verdict, reason: str, why: str = "it must lose") -> ControlResult:
    return ControlResult(Control(scenario=Scenario(name=name), why=why), result(name, seen, reason))


def session() -> Session:
    return Session("r", RUN, 1, "pytest")


def test_a_control_says_where_it_lies_what_it_is_and_what_the_judge_said() -> None:
    ran = Outcome(("g",), result("kill"), (control("kill--worse", Verdict.BROKEN, "48 lost of 5,077"),))
    assert control_row(session().directory, [ran]) == ControlRow(
        kind="product",
        expected="broken",
        observed="broken",
        ok=True,
        scenarios=("1m/kill--worse",),
        why="it must lose",
        reason="48 lost of 5,077",
    )


def test_several_controls_are_told_apart() -> None:
    good = Outcome(("g",), result("a"), (control("a--worse", Verdict.BROKEN, "48 lost of 5,077"),))
    weak = Outcome(("g",), result("b"), (control("b--worse", Verdict.HELD, "0 lost of 9,000"),))
    row = control_row(session().directory, [good, weak])
    assert row is not None
    assert (row.ok, row.observed) == (False, "held")
    assert row.scenarios == ("1m/a--worse", "1m/b--worse")
    assert (row.why, row.reason) == ("it must lose", "a--worse: 48 lost of 5,077; b--worse: 0 lost of 9,000")


def test_a_planted_control_names_the_demands_it_was_planted_against() -> None:
    planted = tuple(PlantedControl(d, Verdict.BROKEN, f"1 {d[2:]} of 5,077") for d in ("0 lost", "0 phantom"))
    row = control_row(session().directory, [Outcome(("g",), result("kill", planted=planted))])
    assert row is not None
    assert (row.kind, row.scenarios, row.reason) == ("planted", (), "1 lost of 5,077")
    assert row.why.endswith("one of: 0 lost, 0 phantom")


def test_without_any_control_there_is_none() -> None:
    assert control_row(session().directory, [Outcome(("g",), result("kill"))]) is None
