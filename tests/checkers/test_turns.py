"""Loads that take turns: a difference is seen, none is none, and too little to tell is neither."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant
from harness.checkers.turns import quantile_of_t
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Gates, Op, Require, Rules
from harness.core.names import DISK_STALL, IN_TURNS, STALL
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Verdict
from tests.builder import HistoryBuilder

GATES = Gates(
    min_acked=5, min_acked_before_fault=0, faults_bite=False, in_flight_at_fault=False, drained=False, healthy=False
)
TURN_S, GAP_S = 1.0, 0.5


def in_turns(
    slower: float = 1.6, rounds: int = 12, noise: float = 0.05, but: tuple[str, int] | None = None, built: bool = True
) -> Any:
    """Load a takes `slower` times as long per send as b; the machine gets slower by and by. `but` sends nothing."""
    h, chance, turns, at_s = HistoryBuilder(), random.Random(4), [], 1.0
    for number in range(rounds):
        for who in ("a", "b") if number % 2 == 0 else ("b", "a"):
            each_s = 0.02 * (slower if who == "a" else 1.0) * (1 + number / rounds) * (1 + noise * chance.random())
            begin_s, sent_s, n = at_s, at_s, 0
            while sent_s + each_s < begin_s + TURN_S:
                if (who, number) != but:
                    h.send(f"{who}-1", f"{who}{number}.{n}", at_s=sent_s).ok(at_s=sent_s + each_s)
                sent_s, n = sent_s + each_s, n + 1
            turns.append((who, number, begin_s))
            at_s += TURN_S + GAP_S
    base_ns = HistoryBuilder().now(0.0)
    value = [
        {"who": who, "round": number, "begin_ns": base_ns + int(s * 1e9), "end_ns": base_ns + int((s + TURN_S) * 1e9)}
        for who, number, s in turns
    ]
    h.now(at_s)
    h.observe("turns", {"first": "a", "second": "b", "turns": value})
    return h.history() if built else h


def ratio(history: Any, what: str = "rate", bound: str = "mid") -> float:
    return measure(history, "turns_ratio", {"name": "turns", "what": what, "bound": bound})


def demand(op: Op, limit: float, **params: str) -> Require:
    return Require(metric="turns_ratio", op=op, bound=limit, params={"name": "turns", **params})


SLOWER = (demand("<", 1, what="rate", bound="high"), demand(">", 1, what="latency", bound="low"))


def test_a_difference_is_measured_though_the_machine_changes() -> None:
    history = in_turns(1.6)
    assert ratio(history) == pytest.approx(1 / 1.6, rel=0.05)
    assert ratio(history, "latency") == pytest.approx(1.6, rel=0.05)
    for what in ("rate", "latency"):
        low, mid, high = (ratio(history, what, bound) for bound in ("low", "mid", "high"))
        assert low < mid < high
        assert ratio(history, what, "width") == pytest.approx(high / low)


def test_what_differs_is_held_and_said() -> None:
    judged = judge(in_turns(1.6), Rules(gates=GATES, expectations=SLOWER))
    assert judged.verdict is Verdict.HELD, judged.reason
    assert judged.figures[IN_TURNS].startswith("a sends at 0.6")
    assert "of the rate of b, and takes 1.6" in judged.figures[IN_TURNS]


def test_two_that_are_alike_are_told_apart_by_neither_demand() -> None:
    for each in SLOWER:
        assert judge(in_turns(1.0), Rules(gates=GATES, expectations=(each,))).verdict is Verdict.BROKEN


@pytest.mark.parametrize("each", SLOWER, ids=lambda d: str(d.params["what"]))
def test_a_demand_that_holds_can_be_made_to_break(each: Require) -> None:
    bad = plant(in_turns(1.6), each)
    assert bad is not None
    assert judge(bad, Rules(gates=GATES, expectations=(each,))).verdict is Verdict.BROKEN


def test_a_history_without_turns_says_nothing() -> None:
    h = HistoryBuilder()
    for n in range(9):
        h.send("a-1", f"a{n}").ok()
    judged = judge(h.history(), Rules(gates=GATES, expectations=SLOWER))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "nobody took turns" in judged.reason


def test_too_few_rounds_and_a_turn_of_nothing_are_no_figure() -> None:
    with pytest.raises(MetricUnavailable, match="5 rounds in which nobody stood still; 6 are the fewest"):
        ratio(in_turns(1.6, rounds=5))
    with pytest.raises(MetricUnavailable, match="a was acknowledged nothing in its turn of round 2"):
        ratio(in_turns(1.6, but=("a", 2)))
    assert judge(in_turns(1.6, rounds=5), Rules(gates=GATES, expectations=SLOWER)).verdict is Verdict.INCONCLUSIVE


def test_half_a_round_is_none() -> None:
    h = in_turns(1.6, built=False)
    turns = json.loads(next(row["x"] for row in h.rows if row.get("s") == "turns"))["turns"]
    h.observe("turns", {"first": "a", "second": "b", "turns": turns[:-1]})
    with pytest.raises(MetricUnavailable, match="round 11 of 'turns' is not whole: it has turns of b"):
        ratio(h.history())


def test_who_sends_in_the_turn_of_the_other_was_not_held() -> None:
    h = in_turns(1.6, built=False)
    h.send("b-1", "early", at_s=1.2).ok(at_s=1.3)
    with pytest.raises(MetricUnavailable, match="b sent in the turn of a in round 0"):
        ratio(h.history())
    h = in_turns(1.6, built=False)
    h.send("b-more-1", "of another load", at_s=1.2).ok(at_s=1.3)
    assert ratio(h.history()) == pytest.approx(1 / 1.6, rel=0.1)


@pytest.mark.parametrize(("who", "event"), [("a-1", STALL), ("scenario", STALL), ("scenario", DISK_STALL)])
def test_a_round_in_which_somebody_stood_still_is_left_out(who: str, event: str) -> None:
    def with_stalls(rounds: int) -> Any:
        h = in_turns(1.6, built=False)
        for number in range(rounds):
            begin_ns = HistoryBuilder().now(1.1 + number * 2 * (TURN_S + GAP_S))
            detail = {"from_ns": begin_ns, "to_ns": begin_ns + 500_000_000}
            h.add(who, line(OpName.EVENT, OpType.INFO, detail["to_ns"], s=event, x=json.dumps(detail)))
        return h.history()

    assert ratio(with_stalls(6)) == pytest.approx(1 / 1.6, rel=0.1)
    with pytest.raises(MetricUnavailable, match="5 rounds in which nobody stood still"):
        ratio(with_stalls(7))
    assert ratio(with_stalls(0)) == pytest.approx(1 / 1.6, rel=0.1)


@pytest.mark.parametrize(("freedom", "exact"), [(5, 2.571), (7, 2.365), (11, 2.201), (30, 2.042)])
def test_students_t(freedom: int, exact: float) -> None:
    assert quantile_of_t(freedom) == pytest.approx(exact, abs=0.01)
