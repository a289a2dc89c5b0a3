"""What the outcomes of a run come to in a row: figures of several scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.core.verdict import Judgement, Verdict
from harness.judging import ScenarioResult
from harness.scenario import Scenario
from harness.session import Outcome, figures

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
