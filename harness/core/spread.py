"""What repetitions came to: how often each verdict, and of each figure its middle, its tail, and how sure both are.

Nothing is assumed of how values are spread: quantiles and their intervals are values that were seen (order statistics).
What was never reached within its repetition (no service any more) is infinite: larger than anything seen, which is all
that is known of it. Quantiles that lie among such values are infinite too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from harness.core.expectation import Data

CONFIDENCE: Final = 0.95
_TAIL: Final = (1 - CONFIDENCE) / 2
Value = float | Literal["inf"]
"""A number, or that it was never reached: JSON has no word for an infinite one."""


class Quantile(Data):
    """One quantile, and the values between which it lies with 95 % confidence; None where so few cannot bound it."""

    value: Value
    low: Value | None = None
    high: Value | None = None


class Spread(Data):
    """Of `n` values the smallest, the median, the 95th percentile, the largest, and how many were never reached."""

    n: int
    never: int
    least: Value
    median: Quantile
    p95: Quantile
    most: Value


class Repeats(Data):
    """How the repetitions of a row's suite functions came out (`--repeat`)."""

    held: int = 0
    broken: int = 0
    inconclusive: int = 0
    not_tested: int = 0

    @property
    def of(self) -> int:
        """How many there were."""
        return self.held + self.broken + self.inconclusive + self.not_tested

    def text(self) -> str:
        """`held 30 of 30 times (broken in at most 9.5 % of them, at 95 %)`, `broken 9 of 10 times, held once`.

        The bound is one on repetitions, each of which is a fault, a recovery, a reading: a loss that comes with one
        failover in twenty is no matter of how many messages were sent. It says nothing of what nobody could judge.
        """
        words = ("broken", "held", "inconclusive", "not tested")
        counts = [(word, getattr(self, word.replace(" ", "_"))) for word in words]
        told = [f"{word} {count} of {self.of} times" for word, count in counts if count]
        of = "of the judged " if self.held < self.of else ""
        bound = (
            f" ({of}broken in at most {100 * share_bound(self.held):.2g} % at 95 %)"
            if self.held and not self.broken
            else ""
        )
        return ", ".join(told) + bound


def spread(values: Sequence[float]) -> Spread:
    """The spread of what was measured, one value a repetition; infinite is never reached. Raises ValueError for none.

    The repetitions must not depend on each other: several values of one cluster's life are no more than one.
    """
    if not values or any(math.isnan(value) for value in values):
        raise ValueError("no spread without values, or of what is no number")
    ordered = sorted(values)
    half = len(ordered) // 2
    # Of an even number the mean of the two in the middle; of an odd one that in the middle, twice.
    middle = (ordered[half] + ordered[-half - 1]) / 2
    return Spread(
        n=len(ordered),
        never=sum(math.isinf(value) for value in ordered),
        least=_told(ordered[0]),
        median=_quantile(ordered, 0.5, middle),
        p95=_quantile(ordered, 0.95, ordered[math.ceil(0.95 * len(ordered)) - 1]),
        most=_told(ordered[-1]),
    )


def share_bound(n: int) -> float:
    """What share of repetitions may be bad, with 95 % confidence, if none of `n` was: about 3/n (rule of three)."""
    return 1.0 - math.exp(math.log(1 - CONFIDENCE) / n)


def _quantile(ordered: Sequence[float], share: float, value: float) -> Quantile:
    """The k-th smallest values next to it that lie beyond the true quantile in 2.5 % of samples each, at most."""
    n, low, high = len(ordered), None, None
    below = 0.0
    for k in range(n + 1):
        # Here `below` is the chance that fewer than k of n values lie below the quantile: that the k-th lies above it.
        if k and below <= _TAIL:
            low = ordered[k - 1]
        if k and high is None and below >= 1 - _TAIL:
            high = ordered[k - 1]
        below += math.comb(n, k) * share**k * (1 - share) ** (n - k)
    return Quantile(value=_told(value), low=_told_or_none(low), high=_told_or_none(high))


def _told_or_none(value: float | None) -> Value | None:
    return None if value is None else _told(value)


def _told(value: float) -> Value:
    return "inf" if math.isinf(value) else value
