"""A node that does not come back is broken though the scenario did not end; nothing else survives trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checkers.returns import never_returned
from harness.core.expectation import Forbid, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from harness.judging import judge_directory
from tests.builder import healthy_run

RULES = Rules(expectations=(Forbid(anomaly="phantom"),))
OWN = {"own": True, "words": "no store"}
MACHINE = {"own": False, "words": "no memory"}


def judged(place: Path, seen: Any, trouble: str = "fault 'kill', heal: broker-a-0 exited") -> Any:
    h = healthy_run()
    h.observe("restart-failed.broker-a-0", seen)
    return judge_directory(h.write(place), RULES, trouble)[0]


def test_two_exits_of_its_own_are_broken(tmp_path):
    judgement = judged(tmp_path, {"returned": False, "exits": [OWN, OWN]})
    assert judgement.verdict is Verdict.BROKEN
    assert "broker-a-0 does not come back" in judgement.reason
    assert "no store" in judgement.reason


@pytest.mark.parametrize(
    "seen",
    [
        {"returned": False, "exits": [OWN, MACHINE]},
        {"returned": False, "exits": [MACHINE, MACHINE]},
        {"returned": False, "exits": [OWN]},
        {"returned": True, "exits": [OWN, OWN]},
        {"returned": False, "exits": []},
        {},
        None,
    ],
)
def test_whatever_only_looks_like_it_is_inconclusive(tmp_path, seen):
    judgement = judged(tmp_path, seen)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason.startswith("fault 'kill'")


def test_no_other_violation_survives_trouble(tmp_path):
    h = healthy_run()
    h.read("nobody-sent-this", queue=5)
    judgement, planted = judge_directory(h.write(tmp_path), RULES, "trouble")
    assert (judgement.verdict, planted) == (Verdict.INCONCLUSIVE, ())
    assert any(not check.met for check in judgement.checks)


def test_nothing_says_nothing(tmp_path):
    assert never_returned(History.empty()) == ""
    assert judge_directory(tmp_path, RULES, "trouble")[0].verdict is Verdict.INCONCLUSIVE
