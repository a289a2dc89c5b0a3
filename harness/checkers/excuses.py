"""Why a violated demand need not be the product's doing. An excuse makes a verdict inconclusive, and never held.

Demands on what is stored (lost, phantom, diverged, stored-though-failed...) have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.checkers.busy import busy_excuse
from harness.checkers.stalls import stall_excuse
from harness.core.expectation import Expectation, Forbid
from harness.core.history import History
from harness.core.names import DRAIN
from harness.core.verdict import Check, Finding

_OF_DELIVERIES: Final = frozenset({"undelivered", "unread-or-undelivered"})


def excuse(history: History, demand: Expectation, check: Check) -> str:
    """Why this violation may be ours, in words; empty if nothing recorded speaks for that, or if the demand is met."""
    return "" if check.met else "; ".join(_excuses(history, demand, check))


def _excuses(history: History, demand: Expectation, check: Check) -> Iterator[str]:
    if _unread(check.finding):
        return
    if anomaly_of(demand) in _OF_DELIVERIES:
        yield from _backlog(history, demand.params.get("group"))
    stood_still = stall_excuse(history, demand)
    if stood_still:
        yield stood_still
    refused = busy_excuse(history, demand)
    if refused:
        yield refused


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
