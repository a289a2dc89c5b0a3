"""What proves that a scenario could have come out broken: one control for each demand, and not of looks alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness import judging
from harness.core.expectation import Expectation, Forbid, Gates, Require, Rules
from harness.core.guarantee import Expectation as Broken
from harness.core.history import History
from harness.core.verdict import Assumption, Check, Judgement, Verdict
from harness.judging import ControlResult, PlantedControl, ScenarioResult, judge_planted, on_looks_alone, unproved
from harness.outcome import Outcome, unexpected, weighed
from harness.report.rows import Control as ControlRow
from harness.row import control_row
from harness.scenario import Control, Scenario
from harness.session import Session
from tests.builder import healthy_run

LOST = Forbid(anomaly="lost")
SESSION = Session(run_id="r", directory=Path(), seed=1, command="")
SEEN = Require(metric="observed", op="==", bound=1, params={"name": "route.all"})


def history() -> History:
    h = healthy_run()
    h.observe("route", {"all": True})
    return h.history()


def held(gates: Gates, *demands: Expectation) -> ScenarioResult:
    rules = Rules(gates=gates, expectations=demands)
    judgement = judging.judge(history(), rules)
    assert judgement.verdict is Verdict.HELD, judgement.reason
    return ScenarioResult(Scenario(name="s", rules=rules), Path(), judgement, judge_planted(history(), rules))


def control(*violated: Expectation, verdict: Verdict = Verdict.BROKEN) -> ControlResult:
    checks = tuple(Check(d.text(), False, "no") for d in violated)
    scenario = Scenario(name="s--control")
    return ControlResult(
        Control(scenario=scenario),
        ScenarioResult(scenario, Path("scenarios/1m/s--control"), Judgement(verdict, "no", (), checks)),
    )


def test_every_demand_has_its_own_control(thin):
    result = held(thin, LOST, SEEN, Forbid(anomaly="phantom"))
    assert [(p.observed, p.look) for p in result.planted if not p.implied] == [
        (Verdict.BROKEN, False),
        (Verdict.BROKEN, True),
        (Verdict.BROKEN, False),
    ]
    assert unproved(result, ()) == []
    assert on_looks_alone(result, ()) == (SEEN.text(),)


class TestUnplanted:
    @pytest.fixture
    def result(self, thin, monkeypatch):
        plant = judging.plant
        monkeypatch.setattr(judging, "plant", lambda h, d: None if d == LOST else plant(h, d))
        return held(thin, LOST, Forbid(anomaly="phantom"))

    def test_it_is_named_and_proves_nothing(self, result):
        assert [p.observed for p in result.planted if not p.implied] == [Verdict.NOT_TESTED, Verdict.BROKEN]
        verdict, reason = Outcome(("g",), result).verdict()
        assert verdict is Verdict.INCONCLUSIVE
        assert "'0 lost'" in reason
        row = control_row(SESSION.directory, [Outcome(("g",), result)])
        assert row is not None
        assert not row.ok

    def test_a_control_that_violates_the_same_demand_will_do(self, result):
        assert unproved(result, (control(LOST),)) == []

    def test_a_control_that_violates_another_will_not(self, result):
        assert "'0 lost'" in unproved(result, (control(Forbid(anomaly="undelivered")),))[0]

    def test_nor_one_that_did_not_come_out(self, result):
        assert len(unproved(result, (control(LOST, verdict=Verdict.INCONCLUSIVE),))) == 2


def test_a_defect_that_only_another_demand_saw_is_no_control(thin, monkeypatch):
    plant = judging.plant
    monkeypatch.setattr(judging, "plant", lambda h, d: plant(h, LOST))
    result = held(thin, LOST, Forbid(anomaly="phantom"))
    assert [p.observed for p in result.planted if not p.implied] == [Verdict.BROKEN, Verdict.HELD]
    assert Outcome(("g",), result).verdict()[0] is Verdict.INCONCLUSIVE


class TestLooks:
    def test_alone_they_prove_nothing(self, thin):
        result = held(thin, SEEN)
        verdict, reason = Outcome(("g",), result).verdict()
        assert verdict is Verdict.INCONCLUSIVE
        assert "route.all" in reason
        row = control_row(SESSION.directory, [Outcome(("g",), result)])
        assert row is not None
        assert not row.ok

    def test_a_control_that_violates_one_does(self, thin):
        result = held(thin, SEEN)
        outcome = Outcome(("g",), result, (control(SEEN),))
        assert outcome.verdict()[0] is Verdict.HELD
        row = control_row(SESSION.directory, [outcome])
        assert row is not None
        assert (row.kind, row.ok, row.on_looks_alone) == ("product", True, ())

    def test_nor_does_a_control_that_must_be_held(self, thin):
        """It comes out as what it is the control of: nothing was seen to be red."""
        green = control(verdict=Verdict.HELD)
        green = replace(green, control=green.control.model_copy(update={"expect": Verdict.HELD}))
        assert green.as_expected
        assert "nothing but numbers of looks" in unproved(held(thin, SEEN), (green,))[0]

    def test_nor_does_a_control_that_violates_what_nobody_demands_here(self, thin):
        """Any scenario can be made to violate something."""
        acked = Require(metric="acked", op="==", bound=0)
        assert "nothing but numbers of looks" in unproved(held(thin, SEEN), (control(acked),))[0]
        assert unproved(held(thin, SEEN), (control(SEEN),)) == []

    def test_beside_others_they_are_named_in_the_row(self, thin):
        outcome = Outcome(("g",), held(thin, SEEN, LOST))
        assert outcome.verdict()[0] is Verdict.HELD
        row = control_row(SESSION.directory, [outcome])
        assert row is not None
        assert (row.kind, row.ok, row.on_looks_alone) == ("planted", True, (SEEN.text(),))

    def test_also_beside_a_control_that_did_not_try_them(self, thin):
        row = control_row(SESSION.directory, [Outcome(("g",), held(thin, SEEN, LOST), (control(LOST),))])
        assert row is not None
        assert row.on_looks_alone == (SEEN.text(),)


def test_an_older_run_says_nothing_of_looks():
    assert (
        ControlRow.model_validate_json(
            '{"kind": "planted", "expected": "broken", "observed": "broken", "ok": true}', strict=True
        ).on_looks_alone
        == ()
    )


def test_nothing_planted_and_no_control_proves_nothing():
    result = ScenarioResult(Scenario(name="s"), Path(), Judgement(Verdict.HELD, "fine", (), ()))
    assert "no control was run" in unproved(result, ())[0]
    assert unproved(
        ScenarioResult(
            Scenario(name="s", rules=Rules(expectations=(LOST,))),
            Path(),
            Judgement(Verdict.HELD, "fine", (), ()),
            (PlantedControl("0 lost", Verdict.INCONCLUSIVE, "thin"),),
        ),
        (control(LOST),),
    ) == ["planted control for '0 lost' was called inconclusive: thin"]


def test_a_violation_that_has_an_excuse_is_none_that_nobody_expected():
    """Nor does a control come out by it, nor does it show that its demand can be broken."""
    rules = Rules(expectations=(LOST, SEEN))
    checks = (Check(LOST.text(), False, "lost"), Check(SEEN.text(), False, "late", excuse="p-1 stood still for 9.0 s"))
    seen = ScenarioResult(Scenario(name="s", rules=rules), Path(), Judgement(Verdict.BROKEN, "lost", (), checks))
    expected = Broken(verdict="broken", reason="known", source="seen", demands=("lost",))
    assert unexpected(Outcome(("x",), seen), expected) == ()
    assert not seen.inexcusable
    bare = Judgement(Verdict.BROKEN, "late", (), (checks[0], replace(checks[1], excuse="")))
    assert unexpected(Outcome(("x",), replace(seen, judgement=bare)), expected) == (SEEN.text(),)


def test_an_expectation_without_demands_covers_no_message_that_was_lost_or_made_up():
    phantom = Forbid(anomaly="phantom")
    rules = Rules(expectations=(LOST, SEEN, phantom))
    expected = Broken(verdict="broken", reason="known", source="seen")

    def of(*violated: str) -> tuple[str, ...]:
        texts = (LOST.text(), SEEN.text(), phantom.text(), "0 altered")
        checks = tuple(Check(text, text not in violated, text) for text in texts)
        judged = Judgement(Verdict.BROKEN, "broken", (), checks)
        return unexpected(Outcome(("x",), ScenarioResult(Scenario(name="s", rules=rules), Path(), judged)), expected)

    assert of(SEEN.text()) == ()
    assert of(SEEN.text(), phantom.text()) == (phantom.text(),)
    assert of(LOST.text(), "0 altered") == (LOST.text(), "0 altered")


class TestWhatIsExpectedExcusesNothingElse:
    DIVERGED = Forbid(anomaly="diverged")

    def weighed(self, *more: Check, met: bool = True, expected: str = "broken") -> tuple[Verdict, str]:
        rules = Rules(expectations=(self.DIVERGED, SEEN))
        violated = Check(self.DIVERGED.text(), False, "3 diverged")
        healthy = Assumption("healthy.after", met, "healthy.after was " + str(met))
        judged = Judgement(Verdict.BROKEN, "3 diverged", (healthy,), (violated, *more))
        demands = ("diverged",) if expected == "broken" else ()
        return weighed(
            Outcome(("x",), ScenarioResult(Scenario(name="s", rules=rules), Path(), judged)),
            Broken(verdict=expected, reason="so", demands=demands),
        )

    def test_broken_as_expected_and_all_else_well(self) -> None:
        assert self.weighed(Check(SEEN.text(), True, "seen")) == (Verdict.BROKEN, "3 diverged")

    def test_a_gate_that_is_not_met(self) -> None:
        verdict, reason = self.weighed(met=False)
        assert verdict is Verdict.INCONCLUSIVE
        assert reason == "broken as expected (3 diverged), but of the rest is not known: healthy.after was False"

    def test_a_demand_that_could_not_be_judged(self) -> None:
        verdict, reason = self.weighed(Check(SEEN.text(), False, "not seen", excuse="it was never observed"))
        assert (verdict, "it was never observed" in reason) == (Verdict.INCONCLUSIVE, True)

    def test_another_violation_is_broken_whatever_else_is_not_known(self) -> None:
        other = Check(SEEN.text(), False, "not seen")
        assert self.weighed(other, met=False)[0] is Verdict.BROKEN

    def test_where_nothing_is_expected_one_witness_is_enough(self) -> None:
        assert self.weighed(met=False, expected="held")[0] is Verdict.BROKEN


@pytest.mark.parametrize("of", ["s3-g", "g", "h"])
def test_a_control_on_a_shared_cluster_bears_on_the_same_demand(thin, of):
    """Its group has another name there, which is none of the demand's."""
    demand = Require(metric="delivered", op=">", bound=0, params={"group": "s2-g"})
    judgement = Judgement(Verdict.HELD, "", (), (Check(demand.text(), True, "yes"),))
    nothing = judging.PlantedControl(demand.text(), Verdict.NOT_TESTED, "no defect of this kind can be planted", False)
    scenario = Scenario(name="s", rules=Rules(gates=thin, expectations=(demand,)))
    result = ScenarioResult(scenario, Path(), judgement, (nothing,))
    found = unproved(result, (control(Require(metric="delivered", op=">", bound=0, params={"group": of})),))
    assert bool(found) is (of == "h"), found
