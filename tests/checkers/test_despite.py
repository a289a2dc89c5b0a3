"""No SEND_OK while a fault forbids it: teeth of `ok_despite`, what it must not flag, and the gate beside it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant
from harness.core.expectation import Gates, Require, Rules
from harness.core.history import History
from harness.core.op import OpType
from harness.core.verdict import Verdict
from tests.builder import SLAVE, HistoryBuilder

NAMED = {"window": "paused", "broker": "broker-a"}
DEMAND = Require(metric="ok_despite", op="==", bound=0, params=NAMED)
ASKED = Require(metric="answered_in", op=">=", bound=4, params=NAMED)
WEAK = "FLUSH_SLAVE_TIMEOUT"
BITES_S, HEAL_S, WAIT_S = 10.02, 20.0, 3.0
THREADS = 4


def paused(first: str = WEAK, second: str = WEAK, *, early_s: float = 0.0, rounds: int = 3) -> HistoryBuilder:
    """The only slave is paused from 10 to 20 s; four threads wait 3 s for it with every send, one round after another.

    The first round was begun before the fault was seen. `first` and `second` are what came of every second send of
    these rounds; with `early_s` the first round is answered so soon after the fault was seen.
    """
    h = HistoryBuilder()
    h.observe("healthy.before", True)
    for n in range(10):
        h.send("p1", f"m{n}", at_s=9 + n / 100).ok()
    h.fault("paused", "inject", targets=(SLAVE,), at_s=10.0)
    open_ = [h.send("p1", f"r0-{n}", at_s=10.001 + n / 1000) for n in range(THREADS)]
    h.fault("paused", "observed", at_s=BITES_S)
    for number in range(rounds):
        ends_s = BITES_S + (early_s if number == 0 and early_s else WAIT_S) + number * WAIT_S
        came = {0: first, 1: second}.get(number, WEAK)
        for n, send in enumerate(open_):
            if came == "SEND_OK" and n % 2:
                send.ok(at_s=ends_s + n / 1000)
            else:
                h.offsets["broker-a", 0] += 1
                place = {"b": "broker-a", "q": 0, "o": h.offsets["broker-a", 0] - 1}
                send._done(OpType.INFO, ends_s + n / 1000, s=WEAK, k=12, **place)
        open_ = [h.send("p1", f"r{number + 1}-{n}") for n in range(THREADS)]
    h.fault("paused", "heal", at_s=HEAL_S)
    for send in open_:
        send.ok(at_s=HEAL_S + 0.5)
    h.fault("paused", "recovered", at_s=HEAL_S + 2)
    h.observe("healthy.after", True)
    return h


@pytest.fixture
def rules(thin: Gates) -> Rules:
    return Rules(gates=thin.model_copy(update={"drained": False, "also": (ASKED,)}), expectations=(DEMAND,))


def count(h: HistoryBuilder, **params: Any) -> float:
    return measure(h.history(), "ok_despite", NAMED | params)


def test_none_is_held(rules):
    judged = judge(paused().history(), rules)
    assert judged.verdict is Verdict.HELD, judged.reason


def test_a_send_that_was_begun_before_the_fault_was_seen_and_acknowledged_a_wait_later(rules):
    """Every second FLUSH_SLAVE_TIMEOUT of the first round is a SEND_OK: what the threads were at when it came."""
    judged = judge(paused(first="SEND_OK").history(), rules)
    assert judged.verdict is Verdict.BROKEN, judged.reason
    assert count(paused(first="SEND_OK")) == 2
    assert measure(paused(first="SEND_OK").history(), "ok_in", NAMED) == 0, "which began too early for this one"


def test_a_send_that_was_begun_and_acknowledged_in_it(rules):
    assert judge(paused(second="SEND_OK").history(), rules).verdict is Verdict.BROKEN


@pytest.mark.parametrize("early_s", [0.03, 1.9])
def test_an_acknowledgement_in_flight_at_the_fault_is_none(rules, early_s):
    judged = judge(paused(first="SEND_OK", early_s=early_s).history(), rules)
    assert judged.verdict is Verdict.HELD, judged.reason
    assert count(paused(first="SEND_OK", early_s=early_s), margin_s=0) == 2


def test_what_is_answered_after_the_heal_is_none():
    """The round under way at the heal is acknowledged when the slave has caught up."""
    assert count(paused()) == 0
    assert count(paused(), until="recovered") == THREADS


def test_the_acknowledgements_of_another_broker_are_none(rules):
    h = paused()
    h.send("p2", "elsewhere", at_s=12.0).ok(broker="broker-b", at_s=12.1)
    assert judge(h.history(), rules).verdict is Verdict.HELD


def test_a_window_that_ends_before_the_second_round_shows_nothing(rules):
    """One round that was under way when the slave stopped: whatever it ended in, nothing was asked in the window."""
    judged = judge(paused(rounds=1).history(), rules)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "answered_in" in judged.reason


def test_sends_that_only_another_broker_answered_are_no_test_of_this_one():
    h = paused(rounds=1)
    for n in range(6):
        h.send("p2", f"elsewhere{n}", at_s=12.0).ok(broker="broker-b", at_s=12.1)
    assert measure(h.history(), "answered_in", NAMED) == 0
    assert measure(h.history(), "answered_in", NAMED | {"broker": None}) == 6


def test_the_planted_control_is_seen(rules):
    bad = plant(paused().history(), DEMAND)
    assert bad is not None
    assert judge(bad, rules).verdict is Verdict.BROKEN


def test_the_empty_history_is_inconclusive():
    assert judge(History.empty(), Rules(expectations=(DEMAND,))).verdict is Verdict.INCONCLUSIVE
