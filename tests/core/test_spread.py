"""What is said of repetitions must be true of samples whose distribution is known."""

from __future__ import annotations

import math
import random

import pytest

from harness.core.spread import Repeats, share_bound, spread
from harness.report.words import spread_text


def test_quantiles_are_values_that_were_seen() -> None:
    found = spread([float(n) for n in range(30, 0, -1)])
    assert (found.n, found.never, found.least, found.most) == (30, 0, 1.0, 30.0)
    assert (found.median.value, found.median.low, found.median.high) == (15.5, 10.0, 21.0)
    assert (found.p95.value, found.p95.low, found.p95.high) == (29.0, 26.0, None)


def test_few_values_bound_nothing() -> None:
    found = spread([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.median.value, found.median.low, found.median.high, found.p95.high) == (3.0, None, None, None)


def test_what_never_came_back_is_larger_than_all_that_did() -> None:
    found = spread([1.0, 2.0, 3.0, 4.0, 5.0, math.inf, math.inf])
    assert (found.n, found.never, found.median.value, found.p95.value, found.most) == (7, 2, 4.0, "inf", "inf")
    assert (found.median.low, found.median.high) == (1.0, "inf")


def test_the_median_of_two_of_which_one_never_came_is_not_reached() -> None:
    assert spread([1.0, math.inf]).median.value == "inf"


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.nan]])
def test_nothing_has_no_spread(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no spread"):
        spread(values)


@pytest.mark.parametrize(("n", "share"), [(6, 0.5), (17, 0.5), (30, 0.5), (80, 0.95)])
def test_intervals_hold_what_they_promise(n: int, share: float) -> None:
    """Of skewed samples, as recoveries are: the true quantile lies outside in 2.5 % of them on each side, at most."""
    draw = random.Random(7)
    true = -math.log(1 - share)
    below = above = 0
    for _ in range(2000):
        found = spread([draw.expovariate(1) for _ in range(n)])
        seen = found.median if share == 0.5 else found.p95
        assert seen.low is not None
        assert seen.high is not None
        below += true < float(seen.low)
        above += true > float(seen.high)
    assert max(below, above) / 2000 < 0.035


def test_how_often_it_held_carries_its_bound() -> None:
    assert Repeats(held=30).text() == "held 30 of 30 times (broken in at most 9.5 % at 95 %)"
    assert Repeats(held=1, broken=9).text() == "broken 9 of 10 times, held 1 of 10 times"
    assert Repeats(held=8, inconclusive=2).text() == (
        "held 8 of 10 times, inconclusive 2 of 10 times (of the judged broken in at most 31 % at 95 %)"
    )
    assert Repeats(broken=10).text() == "broken 10 of 10 times"


@pytest.mark.parametrize("n", [1, 10, 59, 1000])
def test_the_bound_is_exact(n: int) -> None:
    """A share so large would have shown itself in n repetitions but for one case in twenty."""
    assert (1 - share_bound(n)) ** n == pytest.approx(0.05)


def test_of_what_is_better_the_more_there_is_the_worst_is_told() -> None:
    """A median and a tail at the good end would hide the one repetition in which half of the sends failed."""
    text = spread_text("success_ratio", spread([0.5, *[1.0] * 29]))
    assert "least 50 %" in text
    assert "most 100 % of 30" in text
