"""`--repeat`: every suite function several times, in one row, with one control."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.core.verdict import Verdict
from harness.recheck import recheck
from tests.plugin.conftest import ANY_BREAK, CONTROLLED, MISSING, SUITE, Inner, Stub

pytest_plugins = ["pytester"]

REDRAWN = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_kill(scenario):
    """A killed process loses nothing."""
    scenario(load=[produce()], demand=[forbid("lost")], duration_s=scenario.moment(1, 1000))
'''


@pytest.fixture(autouse=True)
def red(stub: Stub) -> None:
    stub.outcomes["kill--worse"] = Verdict.BROKEN


def test_each_is_a_scenario_of_one_row(inner: Inner, stub: Stub) -> None:
    """The control is run once: what it shows is the same for all."""
    ended = inner("--repeat=3", suite=CONTROLLED)
    assert (ended.code, ended.outcomes) == (0, {"passed": 3})
    assert stub.ran == ["kill", "kill--worse", "kill-repeat-2", "kill-repeat-3"]
    row = ended.row()
    assert row["verdict"] == "held"
    assert row["repeats"] == {"held": 3, "broken": 0, "inconclusive": 0, "not_tested": 0}
    assert [s["name"] for s in row["scenarios"]] == ["1m/kill", "1m/kill-repeat-2", "1m/kill-repeat-3"]
    assert [s["verdict"] for s in row["scenarios"]] == ["held"] * 3
    assert (row["figures"]["acked"], row["figures"]["lost"]) == (18_000, 0)
    assert "held 3 of 3 times (broken in at most 63 % at 95 %)" in ended
    assert "held 3 of 3 times" in (ended.run / "report.html").read_text()


def test_one_broken_repetition_breaks_the_row(inner: Inner, stub: Stub) -> None:
    stub.outcomes["kill-repeat-2"] = Verdict.BROKEN
    ended = inner("--repeat=3", suite=CONTROLLED)
    assert (ended.code, ended.row()["verdict"]) == (1, "broken")
    assert ended.row()["reason"] == ("broken 1 of 3 times, held 2 of 3 times; the first: the reason of kill-repeat-2")


def test_one_of_which_nothing_is_known_is_not_passed_over(inner: Inner, stub: Stub) -> None:
    stub.outcomes["kill-repeat-3"] = Verdict.INCONCLUSIVE
    ended = inner("--repeat=3", suite=CONTROLLED)
    assert (ended.code, ended.row()["verdict"]) == (6, "inconclusive")
    assert ended.row()["repeats"]["held"] == 2


@pytest.mark.parametrize("seen", [Verdict.HELD, Verdict.INCONCLUSIVE])
def test_a_control_that_did_not_come_out_proves_none_of_them(inner: Inner, stub: Stub, seen: Verdict) -> None:
    stub.outcomes["kill--worse"] = seen
    ended = inner("--repeat=2", suite=CONTROLLED)
    row = ended.row()
    assert (ended.code, row["verdict"]) == (6, "inconclusive")
    assert [s["verdict"] for s in row["scenarios"]] == ["inconclusive"] * 2


def test_without_the_first_the_others_have_no_control(inner: Inner) -> None:
    """What would be planted in them stands in for none that was to be run, where a look is all that is demanded."""
    looks = CONTROLLED.replace('forbid("lost")', 'observed("seen").equals(1)')
    ended = inner("--repeat=2", "-k", "repeat-2", suite=looks)
    assert (ended.code, ended.row()["verdict"]) == (6, "inconclusive")


def test_without_the_first_no_planted_defect_stands_in_for_the_control(inner: Inner, stub: Stub) -> None:
    """A worker that died with the first repetition leaves the others alone as this does."""
    ended = inner("--repeat=3", "-k", "repeat-2 or repeat-3", suite=CONTROLLED)
    assert stub.ran == ["kill-repeat-2", "kill-repeat-3"]
    assert (ended.code, ended.row()["verdict"]) == (6, "inconclusive")
    assert "its control is run in the first repetition" in ended.row()["reason"]
    assert [s["verdict"] for s in ended.row()["scenarios"]] == ["inconclusive"] * 2
    assert ended.row()["control"] is None, "the one that there was to be was not run, and no other is shown for it"


@pytest.mark.parametrize("lacking", ["kill", "kill--worse"])
def test_a_first_one_that_lacked_something_lends_no_control(inner: Inner, stub: Stub, lacking: str) -> None:
    stub.outcomes[lacking] = MISSING
    ended = inner("--repeat=2", "--allow-missing=power-cut", suite=CONTROLLED)
    assert (ended.code, ended.row()["verdict"]) == (6, "inconclusive")
    assert ended.row()["repeats"] == {"held": 0, "broken": 0, "inconclusive": 1, "not_tested": 1}


def test_repetitions_that_were_not_reached_are_told(inner: Inner, stub: Stub) -> None:
    ended = inner("--repeat=4", "-k", "not repeat-3 and not repeat-4", suite=CONTROLLED)
    assert ended.row()["repeats"] == {"held": 2, "broken": 0, "inconclusive": 0, "not_tested": 2}
    ended = inner("--repeat=4", "-k", "not repeat", suite=CONTROLLED)
    assert ended.row()["repeats"] == {"held": 1, "broken": 0, "inconclusive": 0, "not_tested": 3}
    assert "held 1 of 4 times, not tested 3 of 4 times" in ended


def test_a_row_that_nobody_reached_was_not_repeated(inner: Inner) -> None:
    ended = inner("--repeat=2", suite=CONTROLLED)
    assert ended.row("at-least-once")["repeats"] is None


@pytest.mark.parametrize("number", [1, 2])
def test_of_what_is_known_to_be_broken_not_every_repetition_need_be(inner: Inner, stub: Stub, number: int) -> None:
    """A row deviates as a whole or not at all: a bug that shows itself now and then is as known as it was."""
    suite = SUITE.replace("process-kill-loses-nothing", ANY_BREAK).replace('forbid("lost")', 'forbid("duplicate")')
    stub.outcomes |= {"kill": Verdict.BROKEN, "kill-repeat-2": Verdict.BROKEN, "kill-repeat-3": Verdict.BROKEN}
    stub.outcomes["kill" if number == 1 else f"kill-repeat-{number}"] = Verdict.HELD
    ended = inner("--repeat=3", f"--guarantee={ANY_BREAK}", "--rocketmq=4.9.7", suite=suite)
    assert ended.row(ANY_BREAK)["repeats"]["broken"] == 2
    assert "2 known broken" not in ended
    assert ended.code == 0, ended.text
    assert "1 known broken" in ended


def test_what_is_known_to_be_broken_and_held_every_time_is_a_deviation(inner: Inner, stub: Stub) -> None:
    suite = SUITE.replace("process-kill-loses-nothing", ANY_BREAK)
    ended = inner("--repeat=3", f"--guarantee={ANY_BREAK}", "--rocketmq=4.9.7", suite=suite)
    assert (ended.code, ended.row(ANY_BREAK)["verdict"]) == (1, "held")


def test_moments_are_drawn_anew_and_the_seed_draws_them_again(inner: Inner) -> None:
    def drawn(run: Any) -> list[float]:
        names = ["kill", "kill-repeat-2"]
        return [json.loads((run / f"scenarios/1m/{n}/scenario.json").read_text())["duration_s"] for n in names]

    first = drawn(inner("--repeat=2", "--seed=7", suite=REDRAWN).run)
    assert first[0] != first[1]
    assert drawn(inner("--repeat=2", "--seed=7", suite=REDRAWN).run) == first


def test_a_stored_run_says_the_same_again(inner: Inner) -> None:
    """Which repetition an outcome was, and that it has its control elsewhere, is stored."""
    ended = inner("--repeat=2", suite=CONTROLLED)
    stored = json.loads((ended.run / "run.json").read_text())["session"]["outcomes"]
    assert [(o["function"], o["repetition"], o["borrows"]) for o in stored] == [("kill", 1, False), ("kill", 2, True)]
    # The stubs recorded no history: all that is asked is that reading it back finds the same two.
    text, code = recheck(ended.run)
    assert code == 6
    assert "kill-repeat-2" in text


def test_once_is_no_repetition(inner: Inner, stub: Stub) -> None:
    ended = inner("--repeat=1", suite=CONTROLLED)
    assert ended.row()["repeats"] is None


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1001", "1.5", "²"])
def test_a_number_that_is_none_is_refused(inner: Inner, stub: Stub, asked: str) -> None:
    ended = inner(f"--repeat={asked}")
    assert (ended.code, stub.ran) == (4, [])
    assert f"--repeat {asked!r} is not a number from 1 to 1000" in ended
