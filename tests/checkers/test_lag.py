"""What a measured replication lag allows to be lost: teeth of `rpo_excess_ms`, and what must not blunt them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.finders import find
from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Gates, Require, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, SLAVE, HistoryBuilder

DEMAND = Require(metric="rpo_excess_ms", op="<=", bound=0)
EVERY_MS = 100
SENT = 60


def lag(p99_ms: float, at_least_ms: float | None = None) -> dict[str, Any]:
    at_least_ms = p99_ms if at_least_ms is None else at_least_ms
    return {"p50_ms": 1.0, "p99_ms": p99_ms, "p99_at_least_ms": at_least_ms, "max_ms": p99_ms, "p99_bytes": 4096}


def destroyed(lost: int, seen: dict[str, Any] | None, *, unanswered: int = 0) -> HistoryBuilder:
    """A message every 100 ms for six seconds; then the master goes for good, and its slave lacks the newest `lost`.

    Of these the oldest `unanswered` had never been answered.
    """
    h = HistoryBuilder()
    h.observe("healthy.before", True)
    if seen is not None:
        h.observe("replication-lag", seen)
    kept = SENT - lost
    for n in range(SENT):
        send = h.send("p1", f"m{n}", at_s=10 + n * EVERY_MS / 1000)
        if not kept <= n < kept + unanswered:
            send.ok(offset=n)
    last = h.send("p1", "cut off")
    h.fault("destroyed", "inject", "observed", targets=(MASTER,), lasting=True)
    last.info()
    h.observe("healthy.after", True)
    h.read(*(f"m{n}" for n in range(kept)), replica=SLAVE)
    return h


@pytest.fixture
def rules(thin: Gates) -> Rules:
    return Rules(gates=thin, expectations=(DEMAND,))


def excess(h: HistoryBuilder, **params: Any) -> float:
    return measure(h.history(), "rpo_excess_ms", params)


class TestAllowed:
    def test_a_second_whatever_the_lag(self, rules: Rules) -> None:
        """Eleven lost are a second, from the oldest to the last acknowledged."""
        assert excess(destroyed(11, lag(5.0))) == pytest.approx(0)
        assert judge(destroyed(11, lag(5.0)).history(), rules).verdict is Verdict.HELD
        assert excess(destroyed(12, lag(5.0))) == pytest.approx(100)
        assert judge(destroyed(12, lag(5.0)).history(), rules).verdict is Verdict.BROKEN

    def test_three_times_the_p99_where_that_is_more(self, rules: Rules) -> None:
        assert excess(destroyed(16, lag(500.0))) == pytest.approx(0)
        assert judge(destroyed(16, lag(500.0)).history(), rules).verdict is Verdict.HELD
        assert judge(destroyed(17, lag(500.0)).history(), rules).verdict is Verdict.BROKEN

    def test_of_another_name_and_by_another_measure(self) -> None:
        h = destroyed(5, lag(5.0))
        h.observe("lag-of-b", lag(50.0))
        assert excess(h, lag="lag-of-b", floor_ms=10.0) == pytest.approx(250)
        assert excess(h, lag="lag-of-b", floor_ms=10.0, factor=8) == pytest.approx(0)


class TestWhatMustNotExcuse:
    def test_a_slave_that_stood_still_is_inconclusive(self, rules: Rules) -> None:
        """Three times its lag of ten seconds would allow half a minute."""
        judged = judge(destroyed(50, lag(9900.0)).history(), rules)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "would excuse a loss of 29700 ms" in judged.reason

    def test_so_is_one_that_lost_nothing(self, rules: Rules) -> None:
        assert judge(destroyed(0, lag(9900.0)).history(), rules).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(("p99_ms", "told"), [(999.9, True), (1000.0, False), (float("inf"), False)])
    def test_a_second_is_not_milliseconds(self, p99_ms: float, told: bool) -> None:
        h = destroyed(20, lag(p99_ms))
        if told:
            assert excess(h) < 0
            return
        with pytest.raises(MetricUnavailable, match="not below 1000"):
            excess(h)

    def test_more_than_even_that_lag_explains_is_broken(self, rules: Rules) -> None:
        assert judge(destroyed(50, lag(1500.0)).history(), rules).verdict is Verdict.BROKEN

    def test_between_the_bounds_of_a_coarse_sample_it_cannot_be_told(self, rules: Rules) -> None:
        judged = judge(destroyed(20, lag(900.0, at_least_ms=100.0)).history(), rules)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "too coarsely" in judged.reason
        assert excess(destroyed(9, lag(900.0, at_least_ms=100.0))) == pytest.approx(-200)

    @pytest.mark.parametrize(
        "seen",
        [None, {"p99_ms": 5.0}, {"p99_ms": None, "p99_at_least_ms": 0}, lag(-5.0), lag(5.0, 6.0), lag(float("nan"))],
    )
    def test_no_lag_measured_is_inconclusive(self, rules: Rules, seen: dict[str, Any] | None) -> None:
        assert judge(destroyed(2, seen).history(), rules).verdict is Verdict.INCONCLUSIVE

    def test_nothing_at_all_is_inconclusive(self, rules: Rules) -> None:
        assert judge(History.empty(), rules).verdict is Verdict.INCONCLUSIVE


class TestControls:
    def test_the_planted_tail_is_found_and_is_a_tail(self, rules: Rules) -> None:
        history = destroyed(3, lag(400.0)).history()
        assert judge(history, rules).verdict is Verdict.HELD
        bad = plant(history, DEMAND)
        assert bad is not None
        judged = judge(bad, rules)
        assert judged.verdict is Verdict.BROKEN, judged.reason
        assert measure(bad, "rpo_ms", {}) == pytest.approx(1300), "the first that is older than 1200 ms"
        assert find(bad, "lost-inside", {}).count == 0

    def test_a_tail_is_planted_for_a_plain_bound_too(self, thin: Gates) -> None:
        demand = Require(metric="rpo_ms", op="<=", bound=1000)
        bad = plant(destroyed(3, None).history(), demand)
        assert bad is not None
        assert measure(bad, "rpo_ms", {}) == pytest.approx(1100)
        assert find(bad, "lost-inside", {}).count == 0

    def test_the_ambiguous_twin_is_not_flagged(self, rules: Rules) -> None:
        """What is older than allowed and is nowhere had never been answered."""
        history = destroyed(20, lag(5.0), unanswered=10).history()
        assert measure(history, "rpo_ms", {}) == pytest.approx(900)
        assert judge(history, rules).verdict is Verdict.HELD


def test_the_row_is_told_the_lag_and_the_loss(rules: Rules) -> None:
    figures = judge(destroyed(5, lag(12.5)).history(), rules).figures
    wanted = {
        "lag_p50_ms": 1.0,
        "lag_p99_ms": 12.5,
        "lag_max_ms": 12.5,
        "lag_p99_bytes": 4096,
        "rpo_ms": 400.0,
        "lost": 5,
    }
    assert {name: figures[name] for name in wanted} == wanted
    assert "rpo_ms" not in judge(destroyed(5, None).history(), rules).figures
