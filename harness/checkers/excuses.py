"""Why a violated demand need not be the product's doing. An excuse makes a verdict inconclusive, and never held.

Demands on what is stored (lost, phantom, diverged, stored-though-failed...) have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import polars as pl

from harness.checkers.busy import waited
from harness.checkers.metrics import measure
from harness.checkers.stalls import moved_by_stalls, near_stalls, touched_by
from harness.checkers.standstills import stalls_text
from harness.core.errors import HarnessError
from harness.core.expectation import COMPARE, Expectation, Forbid, Require
from harness.core.history import History
from harness.core.names import DRAIN, FORCED
from harness.core.verdict import Check, Finding

_OF_DELIVERIES: Final = frozenset({"undelivered", "unread-or-undelivered"})
_OF_SENDS: Final = frozenset(
    {"failed", "unknown", "unacknowledged", "unacknowledged_in", "unacknowledged_begun_in", "ok_despite"}
)
"""Counts of sends that none of them must have: those that nothing of ours touched are witnesses enough."""


def excuse(history: History, demand: Expectation, check: Check) -> str:
    """Why this violation may be ours, in words; empty if nothing recorded speaks for that, or if the demand is met."""
    return "" if check.met else "; ".join(_excuses(history, demand, check))


def _excuses(history: History, demand: Expectation, check: Check) -> Iterator[str]:
    if _unread(check.finding):
        return
    if anomaly_of(demand) in _OF_DELIVERIES:
        yield from _backlog(history, demand.params.get("group"))
    if isinstance(demand, Require):
        yield from _forced(history)
    near = near_stalls(history, demand)
    stood_still = [stalls_text(near)] if near and moved_by_stalls(history, demand, near) else []
    if not isinstance(demand, Require) or demand.metric in ("observed", "found"):
        yield from stood_still
        return
    refused = history.sends.filter(waited()).height
    busy = [f"{refused} sends were refused because they had waited over 200 ms in a broker's queue"] if refused else []
    if demand.metric in _OF_SENDS:
        # Each takes its own sends out of the count; what is left is for both of them together not to explain.
        touched = touched_by(near) if stood_still else pl.lit(False)
        if (stood_still or busy) and _met_without(history, demand, touched | waited()):
            yield from (*stood_still, *busy)
        return
    yield from stood_still
    if busy and _met_without(history, demand, waited()):
        yield from busy


def _forced(history: History) -> Iterator[str]:
    """Nodes that were to be stopped gracefully and had to be killed: what that costs is another promise's."""
    for window in history.windows:
        told = [text for text in window.detail.values() if isinstance(text, str) and FORCED in text]
        if told:
            yield f"{window.name} was no graceful stop: {'; '.join(told)}"


def _met_without(history: History, demand: Require, rows: pl.Expr) -> bool:
    """The demand is met by the other sends, or has no figure of them: then none is left to violate it."""
    rest = replace(history, sends=history.sends.filter(~rows.fill_null(False)))
    try:
        return COMPARE[demand.op](measure(rest, demand.metric, demand.params), demand.bound)
    except HarnessError:
        return True


def anomaly_of(demand: Expectation) -> str:
    """The anomaly that is forbidden or counted; empty for another metric."""
    if isinstance(demand, Forbid):
        return demand.anomaly
    return str(demand.params.get("anomaly", "")) if demand.metric == "found" else ""


def _unread(finding: Finding | None) -> bool:
    """Part of what was found was not stored at all, which no wait for deliveries explains."""
    return finding is not None and finding.figures.get("unread", 0) > 0


def _backlog(history: History, group: str | None) -> Iterator[str]:
    """Deliveries that still came when the wait for them ended. Nothing recorded is no excuse."""
    for seen in {o.name: o for o in history.observations if o.name.startswith(DRAIN)}.values():
        name = seen.name[len(DRAIN) :]
        if isinstance(seen.value, dict) and seen.value.get("progressing") and group in (None, name):
            yield f"group {name!r} was still being given its backlog when the wait for deliveries ended"
