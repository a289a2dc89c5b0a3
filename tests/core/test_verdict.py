import itertools

import pytest
from pydantic import ValidationError

from harness.core.expectation import COMPARE, Forbid, Gates, Require, Rules
from harness.core.verdict import Assumption, Check, Verdict, conclude, merge

HELD, BROKEN, INCONCLUSIVE, NOT_TESTED = Verdict.HELD, Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.NOT_TESTED
GOOD = Check("0 lost", True, "0 lost of 5,000")
BAD = Check("0 lost", False, "1 lost of 5,000")
EXCUSED = Check("0 undelivered", False, "3 undelivered", excuse="a client stood still")
KEPT = Check("0 undelivered", True, "0 undelivered", excuse="a client stood still")
MET = Assumption("load", True, "5,000 sends")
WEAK = Assumption("load", False, "too few sends")
UNSOUND = Assumption("drained", False, "not drained", soundness=True)


@pytest.mark.parametrize(
    ("assumptions", "checks", "verdict"),
    [
        ([MET], [GOOD], HELD),
        ([MET], [GOOD, BAD], BROKEN),
        ([WEAK], [GOOD], INCONCLUSIVE),
        ([WEAK], [BAD], BROKEN),
        ([UNSOUND], [GOOD], INCONCLUSIVE),
        ([UNSOUND], [BAD], INCONCLUSIVE),
        ([UNSOUND, WEAK], [BAD], INCONCLUSIVE),
        ([MET], [], INCONCLUSIVE),
        ([], [], INCONCLUSIVE),
        ([], [GOOD], HELD),
        ([MET], [GOOD, EXCUSED], INCONCLUSIVE),
        ([MET], [EXCUSED, BAD], BROKEN),
        ([WEAK], [EXCUSED], INCONCLUSIVE),
        ([UNSOUND], [EXCUSED], INCONCLUSIVE),
        ([MET], [GOOD, KEPT], HELD),
    ],
)
def test_conclude(assumptions, checks, verdict):
    concluded, reason = conclude(iter(assumptions), iter(checks))
    assert concluded is verdict
    assert reason


def test_the_reason_names_what_decided():
    assert conclude([UNSOUND, WEAK], [BAD])[1] == "not drained"
    assert conclude([WEAK], [BAD])[1] == "1 lost of 5,000"
    assert conclude([WEAK], [GOOD])[1] == "too few sends"
    assert conclude([MET], [EXCUSED])[1] == "3 undelivered, but a client stood still"
    assert conclude([MET], [EXCUSED, BAD])[1] == "1 lost of 5,000"


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [
        ([], NOT_TESTED),
        ([NOT_TESTED], NOT_TESTED),
        ([HELD, NOT_TESTED], HELD),
        ([HELD, INCONCLUSIVE], INCONCLUSIVE),
        ([HELD, INCONCLUSIVE, BROKEN, NOT_TESTED], BROKEN),
    ],
)
def test_merge_whatever_the_order(verdicts, merged):
    for order in itertools.permutations(verdicts):
        assert merge(order) is merged


def test_rules_survive_being_stored():
    rules = Rules(
        gates=Gates(min_acked=10, deliveries=True),
        expectations=(
            Forbid(anomaly="lost", params={"phase": "final", "replicas": ["broker-a-1"]}),
            Require(metric="rto_max_s", op="<", bound=5, params={"window": "kill"}),
        ),
    )
    assert Rules.model_validate_json(rules.model_dump_json()) == rules


@pytest.mark.parametrize(
    "bad",
    [
        '{"expectations": [{"kind": "allow", "anomaly": "lost"}]}',
        '{"expectations": [{"kind": "forbid", "anomaly": "lost", "parms": {}}]}',
        '{"expectations": [{"kind": "require", "metric": "acked", "op": "=>", "bound": 1}]}',
        '{"gates": {"min_aked": 1}}',
    ],
)
def test_rules_that_nobody_understands_are_refused(bad):
    with pytest.raises(ValidationError):
        Rules.model_validate_json(bad)


def test_rules_cannot_be_changed():
    with pytest.raises(ValidationError):
        Rules().gates.min_acked = 0


def test_demands_read_as_sentences():
    assert Forbid(anomaly="lost", params={"phase": "final"}).text() == "0 lost(phase=final)"
    assert Require(metric="acked", op=">=", bound=5000).text() == "acked >= 5000"


def test_comparisons():
    assert [op for op in COMPARE if COMPARE[op](1, 2)] == ["!=", "<", "<="]
