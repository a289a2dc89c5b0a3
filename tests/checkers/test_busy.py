"""Refusals for a moment's wait excuse a violation that they alone make; nothing else, and never into held."""

import json

import pytest

from harness.checkers.judge import judge
from harness.core.expectation import Expectation, Gates, Require, Rules
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Judgement, Verdict
from tests.builder import HistoryBuilder, healthy_run

NO_MORE_FAIL = Require(metric="unacknowledged", op="<=", bound=1)
MOST_WORK = Require(metric="success_ratio", op=">", bound=0.9)


def refusal(waited_ms: int = 208, kind: str = "TIMEOUT") -> str:
    return (
        f"MQBrokerException: CODE: 2  DESC: [{kind}_CLEAN_QUEUE]broker busy, start flow control for a while,"
        f" period in queue: {waited_ms}ms, size of queue: 4 BROKER: 198.18.0.4:10911"
    )


def refused(text: str | None, *, code: int = 2) -> HistoryBuilder:
    h = healthy_run()
    h.send("p1", "refused").info("MQBrokerException", code=code, error=text)
    return h


def judged(h: HistoryBuilder, thin: Gates, demand: Expectation = NO_MORE_FAIL) -> Judgement:
    return judge(h.history(), Rules(gates=thin, expectations=(demand,)))


@pytest.mark.parametrize("demand", [NO_MORE_FAIL, MOST_WORK])
@pytest.mark.parametrize("kind", ["TIMEOUT", "PCBUSY"])
def test_a_refusal_after_a_moment_is_inconclusive_and_says_so(thin, demand, kind):
    judgement = judged(refused(refusal(kind=kind)), thin, demand)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "1 sends were refused because they had waited" in judgement.reason


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (refusal(10_003), 2),
        (refusal(), 1),
        ("[REJECTREQUEST]system busy, start flow control for a while", 2),
        (None, 2),
    ],
)
def test_any_other_refusal_is_the_products(thin, text, code):
    assert judged(refused(text, code=code), thin).verdict is Verdict.BROKEN


def test_it_hides_no_other_send_that_failed(thin):
    h = refused(refusal())
    h.send("p1", "other").info("timeout")
    assert judged(h, thin).verdict is Verdict.BROKEN


def test_where_nothing_but_refusals_is_left_it_is_not_held(thin):
    h = HistoryBuilder()
    h.send("p1", "refused").info("MQBrokerException", code=2, error=refusal())
    assert judged(h, thin).verdict is not Verdict.HELD


def test_without_refusals_it_holds(thin):
    assert judged(healthy_run(), thin).verdict is Verdict.HELD


class TestTogetherWithAStall:
    """A busy machine makes clients stand still and brokers refuse: each explains its own sends."""

    def both(self, *more: str) -> HistoryBuilder:
        h = HistoryBuilder()
        h.hello("p-1", role="producer")
        h.hello("p-2", role="producer")
        for n in range(6):
            h.send("p-2", f"well-{n}", at_s=10 + n / 10).ok()
        h.send("p-1", "stalled", at_s=40).info("timeout", at_s=44)
        stood = json.dumps({"from_ns": int(40.1e9), "to_ns": int(43.9e9)})
        h.add("p-1", line(OpName.EVENT, OpType.INFO, int(43.9e9), s="stall", x=stood))
        h.send("p-2", "refused", at_s=42).info("MQBrokerException", code=2, error=refusal(), at_s=42.3)
        for id in more:
            h.send("p-2", id, at_s=80).info("timeout", at_s=83)
        h.send("p-2", "last", at_s=90).ok()
        return h

    def verdict(self, h: HistoryBuilder, thin: Gates) -> Verdict:
        gates = thin.model_copy(
            update={name: False for name in ("drained", "healthy", "in_flight_at_fault", "faults_bite", "faults_heal")}
        )
        demand = Require(metric="unacknowledged", op="==", bound=0)
        gates = gates.model_copy(update={"min_acked_before_fault": 0})
        return judge(h.history(), Rules(gates=gates, expectations=(demand,))).verdict

    def test_both_explain_both(self, thin):
        assert self.verdict(self.both(), thin) is Verdict.INCONCLUSIVE

    def test_they_do_not_explain_a_third(self, thin):
        assert self.verdict(self.both("other"), thin) is Verdict.BROKEN
