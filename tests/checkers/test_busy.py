"""Refusals for a moment's wait excuse a violation that they alone make; nothing else, and never into held."""

import pytest

from harness.checkers.judge import judge
from harness.core.expectation import Expectation, Gates, Require, Rules
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
