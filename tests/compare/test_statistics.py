"""The tests that `compare` rests on, against values that are known, and against releases that are equal."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from harness.compare.statistics import ALPHA, _ways, adjusted, fewest_runs, fisher, median_shift


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (4, 4), (5, 3)])
def test_the_distribution_of_u_is_that_of_all_orders(m: int, n: int) -> None:
    counts = [0] * (m * n + 1)
    for chosen in itertools.combinations(range(m + n), m):
        others = [at for at in range(m + n) if at not in chosen]
        counts[sum(a > b for a in chosen for b in others)] += 1
    assert _ways(m, n) == counts


@pytest.mark.parametrize(("size", "rank"), [(3, None), (4, 1), (5, 3), (6, 6), (8, 14), (10, 24)])
def test_the_interval_is_that_of_the_tables(size: int, rank: int | None) -> None:
    """Critical values of Mann-Whitney's U, two-sided 5 %: 0, 2, 5, 13, 23 for equal samples of 4, 5, 6, 8, 10."""
    base, candidate = [float(n) for n in range(size)], [float(100 * n) for n in range(size)]
    differences = sorted(c - b for c in candidate for b in base)
    _shift, low, high = median_shift(base, candidate)
    assert (low, high) == ((None, None) if rank is None else (differences[rank - 1], differences[-rank]))


def test_the_shift_is_the_median_difference() -> None:
    assert median_shift([1, 2, 3], [11, 12, 13])[0] == 10
    assert median_shift([1.0], [4.0]) == (3.0, None, None)


def test_of_nothing_there_is_no_shift() -> None:
    with pytest.raises(ValueError, match="empty"):
        median_shift([], [1.0])


@pytest.mark.parametrize(
    ("table", "p"),
    [
        ((0, 5, 5, 5), 0.00794),
        ((0, 1, 1, 1), 1.0),
        ((3, 10, 3, 10), 1.0),
        ((8, 10, 1, 6), 0.0350),
        ((1, 10, 11, 14), 0.00276),
    ],
)
def test_fisher(table: tuple[int, int, int, int], p: float) -> None:
    assert fisher(*table) == pytest.approx(p, rel=0.01)


def sample(draw: random.Random, runs: int, slow: float = 1.0) -> dict[str, list[float | None]]:
    """Forty figures of each run, which share how busy the machine was, and spread by 15 % of their own."""
    busy = [draw.gauss(0, 0.1) for _ in range(runs)]
    return {f"f{n}": [math.exp(b + draw.gauss(0, 0.15)) * (slow if n == 0 else 1) for b in busy] for n in range(40)}


def test_a_figure_that_doubled_is_found_among_forty() -> None:
    draw = random.Random(1)
    found = [adjusted(sample(draw, 6), sample(draw, 6, slow=3.0)) for _ in range(5)]
    assert all(p["f0"] < ALPHA for p in found)
    assert all(min(v for k, v in p.items() if k != "f0") > ALPHA for p in found)


def test_equal_releases_seldom_seem_to_differ_in_any_figure() -> None:
    draw = random.Random(2)
    least = [min(adjusted(sample(draw, 5), sample(draw, 5)).values()) for _ in range(30)]
    assert sum(p < ALPHA for p in least) <= 2, "of 30 none is expected"
    assert sum(p < 0.5 for p in least) > 5, "and they are no constant"


def test_fewer_runs_than_it_takes_prove_nothing() -> None:
    n = fewest_runs()
    for runs, found in ((n - 1, False), (n, True)):
        p = adjusted({"f": [1.0 + i / 100 for i in range(runs)]}, {"f": [9.0 + i / 100 for i in range(runs)]})["f"]
        assert (p < ALPHA) is found


def test_two_sides_without_any_spread_may_be_equal() -> None:
    assert adjusted({"f": [5.0] * 6}, {"f": [5.0] * 6})["f"] == 1.0
    assert adjusted({"f": [5.0] * 6}, {"f": [9.0] * 6})["f"] < ALPHA


def test_what_a_run_lacks_is_left_out() -> None:
    lacking: list[float | None] = [None, 1.0, 1.1, 1.2, 1.3, 1.1]
    p = adjusted({"f": lacking, "g": [None] * 5 + [1.0]}, {"f": [9.0, 9.1, 9.2, None, 9.3, 9.1], "g": [2.0] * 6})
    assert p["f"] < 0.05
    assert p["g"] == 1.0


def test_many_runs_are_relabelled_by_chance_and_alike_each_time() -> None:
    draw = random.Random(3)
    base, candidate = ({"f": sample(draw, 10)["f0"]} for _ in range(2))
    assert adjusted(base, candidate, seed=1) == adjusted(base, candidate, seed=1)
