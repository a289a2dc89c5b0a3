"""Metrics that are what a step saw and recorded under a name."""

from __future__ import annotations

import math
from typing import Final

from harness.checkers import narrow
from harness.core.errors import MetricUnavailable
from harness.core.history import History

LOOKS: Final = frozenset({"observed", "observed_ratio", "observed_difference", "step_s"})
"""Metrics that repeat what a step recorded, and compute nothing from sends, deliveries or reads."""


def observed(history: History, *, name: str) -> float:
    """The last observation of that name as a number; a truth value is 0 or 1, a list or text its length.

    Dots reach into objects. Raises MetricUnavailable for one that was never made, or that saw nothing (null).
    """
    try:
        value = history.observed(name)
    except KeyError:
        made = ", ".join(sorted({o.name for o in history.observations})) or "none"
        raise MetricUnavailable(f"{name!r} was never observed; there were {made}") from None
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str | list | dict):
        return float(len(value))
    raise MetricUnavailable(f"{name!r} was looked for and not seen")


def observed_ratio(history: History, *, first: str, second: str) -> float:
    """One observation divided by another."""
    divisor = observed(history, name=second)
    if not divisor:
        raise MetricUnavailable(f"{second!r} is 0; nothing can be divided by it")
    return observed(history, name=first) / divisor


def observed_difference(history: History, *, first: str, second: str) -> float:
    """One observation minus another."""
    difference = observed(history, name=first) - observed(history, name=second)
    if math.isnan(difference):
        raise MetricUnavailable(f"{first!r} minus {second!r} is no number")
    return difference


def step_s(history: History, *, name: str) -> float:
    """How long the last step of that name took, s. Raises MetricUnavailable if it never ended well."""
    start_ns, end_ns = narrow.last_step(history, name)
    return (end_ns - start_ns) / 1e9
