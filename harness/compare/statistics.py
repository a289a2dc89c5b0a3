"""What may be said of two small samples of runs: one number a run, and nothing assumed of how they are spread.

A run is the unit. What was measured within one run does not tell how much the next one would differ, so of a single run
a side nothing is judged.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import Final

ALPHA: Final = 0.01
"""Of all figures of one comparison together: how often one of two equal releases may seem to differ in any of them."""
CONFIDENCE: Final = 0.95
MOST_RELABELLINGS: Final = 5000
_STILL: Final = 0.02
"""Added to every standard error (of logarithms): two sides without spread of their own do not differ by a hundredth."""

Sample = Sequence[float | None]


def median_shift(base: Sequence[float], candidate: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The median of all differences candidate - base (Hodges-Lehmann), and its 95 % interval (Mann-Whitney, exact).

    The interval is None where the samples are too small for one: below four values a side there is none. Raises
    ValueError for an empty sample.
    """
    if not base or not candidate:
        raise ValueError("a sample is empty")
    differences = sorted(c - b for c in candidate for b in base)
    rank = _critical(len(base), len(candidate), (1 - CONFIDENCE) / 2)
    if not rank:
        return statistics.median(differences), None, None
    return statistics.median(differences), differences[rank - 1], differences[-rank]


def _critical(m: int, n: int, tail: float) -> int:
    """The largest k with P(U <= k - 1) <= tail, U of Mann and Whitney for samples of m and n."""
    ways = _ways(m, n)
    total, below = sum(ways), 0
    for k, count in enumerate(ways):
        below += count
        if below / total > tail:
            return k
    return 0  # pragma: no cover - the whole distribution is above any tail


def _ways(m: int, n: int) -> list[int]:
    """How many orders of m and n values give each U: the coefficients of the Gaussian binomial."""
    ways = [1]
    for i in range(1, m + 1):
        longer = [0] * (len(ways) + n + i)
        for at, count in enumerate(ways):
            longer[at] += count
            longer[at + n + i] -= count
        ways = longer
        for at in range(i, len(ways)):
            ways[at] += ways[at - i]
        while ways and not ways[-1]:
            ways.pop()
    return ways


def adjusted(base: Mapping[str, Sample], candidate: Mapping[str, Sample], seed: int = 0) -> dict[str, float]:
    """For each figure how likely so great a difference is anywhere among all of them, if the releases were equal.

    Values are by run, None where a run has none, positive or made so by the caller: they are compared as logarithms.
    Whole runs are relabelled, all figures of a run together (Westfall and Young's max-t): whatever they have to do with
    each other, no more than ALPHA of the comparisons of a release with itself call any of them different, if the runs
    are as exchangeable as those that are made in turn on one machine. All
    relabellings if there are at most MOST_RELABELLINGS of them, else that many by chance. 1.0 where a side has less
    than two values.
    """
    names = [name for name in base if name in candidate]
    if not names:
        return {}
    sizes = len(next(iter(base.values()))), len(next(iter(candidate.values())))
    rows = {name: [None if v is None else math.log(v) for v in (*base[name], *candidate[name])] for name in names}
    seen = {name: abs(_t(rows[name], frozenset(range(sizes[0], sum(sizes))))) for name in names}
    exceeded = dict.fromkeys(names, 0)
    drawn = 0
    for chosen in _relabellings(*sizes, seed):
        most = max(abs(_t(row, chosen)) for row in rows.values())
        drawn += 1
        for name in names:
            exceeded[name] += most >= seen[name] - 1e-12
    return {name: 1.0 if not seen[name] else exceeded[name] / drawn for name in names}


def fewest_runs() -> int:
    """How many runs a side it takes before any difference could be called one."""
    return next(n for n in range(2, 100) if 2 / math.comb(2 * n, n) < ALPHA)


def _relabellings(m: int, n: int, seed: int) -> Iterator[frozenset[int]]:
    """Which of the runs are called the candidate's: every choice, or the true one and others by chance."""
    if math.comb(m + n, n) <= MOST_RELABELLINGS:
        yield from map(frozenset, combinations(range(m + n), n))
        return
    yield frozenset(range(m, m + n))
    draw = random.Random(seed)
    yield from (frozenset(draw.sample(range(m + n), n)) for _ in islice(iter(int, 1), MOST_RELABELLINGS - 1))


def _t(row: Sequence[float | None], chosen: frozenset[int]) -> float:
    """The difference of means over its standard error, which is never quite nothing; 0 if there is no telling."""
    one = [value for at, value in enumerate(row) if at not in chosen and value is not None]
    other = [value for at, value in enumerate(row) if at in chosen and value is not None]
    if min(len(one), len(other)) < 2:
        return 0.0
    a, b = statistics.fmean(one), statistics.fmean(other)
    squares = sum((v - a) ** 2 for v in one) + sum((v - b) ** 2 for v in other)
    spread = math.sqrt(squares / (len(one) + len(other) - 2) * (1 / len(one) + 1 / len(other)))
    return (b - a) / (spread + _STILL)


def fisher(bad_base: int, base: int, bad_candidate: int, candidate: int) -> float:
    """How likely so uneven a share of bad runs is by chance: Fisher's exact test, two-sided."""
    bad, total = bad_base + bad_candidate, base + candidate

    def chance(k: int) -> float:
        return math.comb(base, k) * math.comb(candidate, bad - k) / math.comb(total, bad)

    here = chance(bad_base)
    each = (chance(k) for k in range(max(0, bad - candidate), min(bad, base) + 1))
    return min(1.0, sum(p for p in each if p <= here * (1 + 1e-9)))
