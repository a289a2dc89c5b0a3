"""Metrics of how clients use brokers: what they begin during a fault, and until when they use a broker that is gone."""

from __future__ import annotations

import math

import polars as pl

from harness.checkers import narrow
from harness.checkers.narrow import Since, Until
from harness.core.errors import MetricUnavailable
from harness.core.history import History


def unacknowledged_begun_in(
    history: History,
    *,
    window: str,
    since: Since = "observed",
    until: Until = "heal",
    process: str | None = None,
) -> float:
    """Sends without SEND_OK that were begun within the window.

    Leaves out what was under way when the fault hit: that a request is lost with its connection and that a broker
    which is gone is used all the same are two different faults. Raises MetricUnavailable if none was begun.
    """
    begin, end = narrow.span(history, window, since, until)
    begun = narrow.sends_of(history, process).filter(pl.col("invoke_ns").is_between(begin, end))
    if not begun.height:
        raise MetricUnavailable(f"no send of {process or 'anyone'} was begun in the window: it shows nothing")
    return begun.filter(pl.col("outcome") != "ok").height


def stops_using_s(history: History, *, broker: str, window: str, after: str, process: str | None = None) -> float:
    """Seconds from the first observation `after` to the last send that any producer gave to the broker before the heal.

    A send belongs to the broker if the broker acknowledged it, and also if nobody did: all others must be well. 0 if
    every producer had stopped by then; infinite for one that was acknowledged by no other broker after its last use,
    for then it did not stop. Raises MetricUnavailable if nobody was sending between the observation and the heal.
    """
    seen = [o.time_ns for o in history.observations if o.name == after]
    if not seen:
        raise MetricUnavailable(f"{after!r} was never observed; nothing can be counted from it")
    begin, end = narrow.span(history, window)
    sends = narrow.sends_of(history, process).filter(pl.col("invoke_ns").is_between(begin, end))
    sending = sends.filter(pl.col("invoke_ns") >= seen[0]).select("process").unique()
    if not sending.height:
        raise MetricUnavailable(f"no send was begun between {after!r} and the heal of {window!r}: it shows nothing")
    used = (pl.col("outcome") != "ok") | (narrow.text("broker") == broker)
    at_ns = pl.col("invoke_ns")
    last = (
        sends.join(sending, on="process", how="semi")
        .group_by("process")
        .agg(used=at_ns.filter(used).max(), other=at_ns.filter(~used).max())
        .with_columns(pl.col("used").fill_null(seen[0]), pl.col("other").fill_null(0))
    )
    if last.filter(pl.col("other") <= pl.col("used")).height:
        return math.inf
    latest: int = last.get_column("used").max()  # type: ignore[assignment]
    return max(0.0, (latest - seen[0]) / 1e9)
