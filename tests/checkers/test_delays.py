"""When delayed and retried messages come: what counts as early, late, and as another attempt."""

import json

import pytest

from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Require, Rules
from harness.core.history import History
from harness.core.names import STALL
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Verdict
from tests.builder import HistoryBuilder
from tests.checkers.teeth import UNHURT, assert_can_break

G = {"group": "g"}


def delayed(*delays_s: float, topic: str = "orders") -> HistoryBuilder:
    """p1 sends a message each second, which is given to c1 that much later; p2 sends one that comes at once."""
    h = HistoryBuilder()
    h.consumer("c1", topics=[topic])
    h.send("p2", "plain", at_s=9).ok()
    h.deliver("c1", "plain", at_s=9.1)
    for n in range(len(delays_s)):
        h.send("p1", f"m{n}", at_s=10 + n).ok(at_s=10.2 + n)
    for n, delay_s in enumerate(delays_s):
        h.deliver("c1", f"m{n}", at_s=10 + n + delay_s)
    h.time_ns = max(h.time_ns, 60_000_000_000)
    return h


def retried(*waits_s: float, messages: int = 6) -> HistoryBuilder:
    """Every message is given at once, and again after each of the waits."""
    h = HistoryBuilder()
    h.consumer("c1", topics=["orders"])
    for n in range(messages):
        h.send("p1", f"m{n}", at_s=10 + n).ok()
        at_s = 10.5 + n
        h.deliver("c1", f"m{n}", at_s=at_s)
        for attempt, wait_s in enumerate(waits_s, 1):
            at_s += wait_s
            h.deliver("c1", f"m{n}", reconsume=attempt, at_s=at_s)
    return h


def test_a_delay_is_counted_from_the_begin_of_the_send_to_the_first_delivery():
    h = delayed(5.0, 5.25, 7.5)
    h.deliver("c1", "m0", at_s=50)
    history = h.history()
    assert measure(history, "delay_s", {"which": "least", "process": "p1"}) == pytest.approx(5)
    assert measure(history, "delay_s", {"which": "most", "process": "p1"}) == pytest.approx(7.5)
    assert measure(history, "delay_s", {"which": "least"}) == pytest.approx(0.1)


def test_a_message_that_was_not_acknowledged_has_no_delay():
    h = delayed(5.0)
    h.send("p1", "unknown", at_s=20).info()
    h.deliver("c1", "unknown", at_s=20.1)
    assert measure(h.history(), "delay_s", {"which": "least", "process": "p1"}) == pytest.approx(5)


def test_a_retry_is_counted_from_the_attempt_before():
    history = retried(10, 30).history()
    for which in ("least", "most"):
        assert measure(history, "retry_s", G | {"attempt": 1, "which": which}) == pytest.approx(10)
        assert measure(history, "retry_s", G | {"attempt": 2, "which": which}) == pytest.approx(30)
        assert measure(history, "attempts", G | {"which": which}) == 3


def test_the_same_attempt_twice_is_one_and_what_never_came_has_none():
    h = retried(10)
    h.deliver("c1", "m0", reconsume=1, at_s=80)
    h.send("p1", "never", at_s=81).ok()
    history = h.history()
    assert measure(history, "attempts", G | {"which": "most"}) == 2
    assert measure(history, "attempts", G | {"which": "least"}) == 0


def test_a_message_of_another_topic_is_no_attempt_owed():
    h = retried(10)
    h.send("p1", "other", topic="payments", at_s=90).ok(broker="broker-b")
    assert measure(h.history(), "attempts", G | {"which": "least"}) == 2


@pytest.mark.parametrize(
    ("metric", "params"),
    [
        ("delay_s", {"which": "least"}),
        ("delay_s", {"which": "least", "process": "nobody"}),
        ("retry_s", G | {"attempt": 1, "which": "most"}),
        ("retry_s", G | {"attempt": 2, "which": "most"}),
        ("attempts", G | {"which": "least"}),
    ],
)
def test_of_nothing_there_is_no_figure(metric, params):
    with pytest.raises(MetricUnavailable, match="nothing"):
        measure(History.empty(), metric, params)
    if params.get("attempt") == 2:
        with pytest.raises(MetricUnavailable, match="attempt 2"):
            measure(retried(10).history(), metric, params)


CASES = [
    ("delay_s", ">=", 5, {"which": "least", "process": "p1"}),
    ("delay_s", "<=", 8, {"which": "most", "process": "p1"}),
    ("retry_s", ">=", 9, G | {"attempt": 1, "which": "least"}),
    ("retry_s", "<=", 12, G | {"attempt": 1, "which": "most"}),
    ("retry_s", ">=", 29, G | {"attempt": 2, "which": "least"}),
    ("attempts", "==", 3, G | {"which": "least"}),
    ("attempts", "==", 3, G | {"which": "most"}),
]


@pytest.mark.parametrize(("metric", "op", "bound", "params"), CASES)
def test_each_can_be_made_to_break(metric, op, bound, params):
    history = (delayed(*([5.5] * 6)) if metric == "delay_s" else retried(10, 30)).history()
    assert_can_break(history, Require(metric=metric, op=op, bound=bound, params=params))


class TestStalls:
    """A consumer that stood still makes a message late, never early."""

    def judged(self, h: HistoryBuilder, demand: Require) -> Verdict:
        stood_still = json.dumps({"from_ns": 15_000_000_000, "to_ns": 19_000_000_000})
        h.add("c1", line(OpName.EVENT, OpType.INFO, h.now(), s=STALL, x=stood_still))
        return judge(h.history(), Rules(gates=UNHURT, expectations=(demand,))).verdict

    def test_late_is_excused(self):
        demand = Require(metric="delay_s", op="<=", bound=6, params={"which": "most", "process": "p1"})
        assert self.judged(delayed(5.5, 5.5, 5.5, 5.5, 5.5, 9.0), demand) is Verdict.INCONCLUSIVE

    def test_early_is_not(self):
        demand = Require(metric="delay_s", op=">=", bound=5, params={"which": "least", "process": "p1"})
        assert self.judged(delayed(5.5, 5.5, 5.5, 5.5, 5.5, 3.0), demand) is Verdict.BROKEN


ACROSS = {"process": "p1", "window": "move", "group": "g"}


class TestStraddled:
    """What was on its way across a whole fault, and what only came before it or was sent in it."""

    def crossing(self, *given_s: float, refused: bool = False) -> HistoryBuilder:
        """p1 sends a message each second from 10 on; a fault goes on from 20 to 25; each is given when it is said."""
        h = HistoryBuilder()
        h.consumer("c1", topics=["orders"])
        for n in range(len(given_s)):
            h.send("p1", f"m{n}", at_s=10 + n).ok(at_s=10.2 + n)
        for action, at_s in (("inject", 20), ("observed", 21), ("heal", 25), ("recovered", 26)):
            h.fault("move", action, at_s=at_s)
        for n, at_s in enumerate(given_s):
            if refused:
                h.deliver("c1", f"m{n}", at_s=10.5 + n, refused=True)
            h.deliver("c1", f"m{n}", at_s=at_s, reconsume=int(refused))
        return h

    def test_only_what_was_sent_before_and_given_after_is(self):
        sent_too_late = [30.0] * 12
        history = self.crossing(11, 12, 22, 30, 31, *sent_too_late).history()
        assert measure(history, "straddled", ACROSS) == 2 + 5, "of seventeen ten were sent before the fault"
        assert measure(history, "straddled", ACROSS | {"broker": "broker-z"}) == 0

    def test_a_message_that_was_refused_before_is_on_its_way(self):
        assert measure(self.crossing(30, 31, refused=True).history(), "straddled", ACROSS) == 2
        assert measure(self.crossing(11, 12, refused=True).history(), "straddled", ACROSS) == 0

    def test_of_a_fault_that_was_not_healed_there_is_no_figure(self):
        h = HistoryBuilder()
        h.consumer("c1", topics=["orders"])
        h.send("p1", "m1").ok()
        h.fault("move", "inject", "observed")
        with pytest.raises(MetricUnavailable, match="no heal"):
            measure(h.history(), "straddled", ACROSS)

    def test_it_can_be_made_to_break(self):
        demand = Require(metric="straddled", op=">=", bound=3, params=ACROSS)
        assert_can_break(self.crossing(30, 31, 32, 33, 34, 35).history(), demand)


SLOW = {"window": "slow", "group": "g"}


class TestAheadOfAnswer:
    """How long before its sender was told a message was given to somebody."""

    def slow(self, *answered_s: float) -> HistoryBuilder:
        """Messages sent from 20 on, each given at once and answered so much later, while a fault goes on."""
        h = HistoryBuilder()
        h.consumer("c1", topics=["orders"])
        h.send("p1", "before", at_s=9).ok(at_s=19)
        h.deliver("c1", "before", at_s=19.5)
        h.fault("slow", "inject", at_s=19.8)
        h.fault("slow", "observed", at_s=19.9)
        sends = [h.send("p1", f"m{n}", at_s=20 + n / 10) for n in range(len(answered_s))]
        for n in range(len(answered_s)):
            h.deliver("c1", f"m{n}", at_s=22 + n / 10)
        for n, at_s in enumerate(answered_s):
            sends[n].ok(at_s=22 + n / 10 + at_s)
        h.fault("slow", "heal", at_s=40)
        h.fault("slow", "recovered", at_s=41)
        return h

    def test_the_most_of_any_that_was_begun_within(self):
        history = self.slow(0.1, 2.5, -0.5).history()
        assert measure(history, "ahead_of_answer_s", SLOW) == pytest.approx(2.5)

    def test_what_was_answered_first_is_behind(self):
        assert measure(self.slow(-0.5, -0.25).history(), "ahead_of_answer_s", SLOW) == pytest.approx(-0.25)

    def test_what_nobody_was_given_says_nothing(self):
        with pytest.raises(MetricUnavailable, match="nothing that was sent during 'slow'"):
            measure(self.slow().history(), "ahead_of_answer_s", SLOW)

    def test_it_can_be_made_to_break(self):
        demand = Require(metric="ahead_of_answer_s", op="<", bound=1, params=SLOW)
        assert_can_break(self.slow(*[0.1] * 6).history(), demand)
