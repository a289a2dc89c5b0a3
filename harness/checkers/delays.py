"""Metrics of messages that are to come later: delayed ones, and those whose consumption failed."""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from harness.checkers import narrow
from harness.core.errors import MetricUnavailable
from harness.core.history import History

Which = Literal["least", "most"]
_ID: Final = ["m", "group"]


def delay_s(
    history: History,
    *,
    which: Which,
    process: str | None = None,
    group: str | None = None,
    topic: str | None = None,
) -> float:
    """Seconds from the begin of an acknowledged send to its first delivery to a group: the shortest or the longest.

    Counted from the begin, so that a message that is early by this figure is early by the broker's clock too; the
    longest also holds what the send itself took. Raises MetricUnavailable if none of them was delivered.
    """
    sent = narrow.acked_of(history, process, topic).select("m", "invoke_ns").unique("m")
    given = _given(history, group).group_by(_ID).agg(first=pl.col("time_ns").min())
    delays = given.join(sent, on="m").select(delay=(pl.col("first") - pl.col("invoke_ns")) / 1e9)
    return _pick(delays.get_column("delay"), which, f"no message of {process or 'anyone'} was delivered")


def retry_s(history: History, *, group: str, attempt: int, which: Which) -> float:
    """Seconds from the last delivery of a message at the attempt before to its first at this one: shortest or longest.

    `attempt` counts from 1, the first time that it comes again. Raises MetricUnavailable if none came that often.
    """
    given = _given(history, group).with_columns(pl.col("reconsume").fill_null(0))
    before = given.filter(pl.col("reconsume") == attempt - 1).group_by(_ID).agg(left=pl.col("time_ns").max())
    again = given.filter(pl.col("reconsume") == attempt).group_by(_ID).agg(came=pl.col("time_ns").min())
    waits = again.join(before, on=_ID).select(wait=(pl.col("came") - pl.col("left")) / 1e9)
    return _pick(waits.get_column("wait"), which, f"no message came to {group} for attempt {attempt}")


def attempts(history: History, *, group: str, which: Which) -> float:
    """How often a message was given to the group as another attempt, the first included: fewest or most.

    Of all that was acknowledged on the group's topics: 0 for one that was never given. Raises MetricUnavailable if
    nothing was acknowledged.
    """
    owed = narrow.acked_of(history).filter(narrow.subscribed(history, group)).select("m").unique()
    given = _given(history, group).with_columns(pl.col("reconsume").fill_null(0))
    made = given.group_by("m").agg(made=pl.col("reconsume").n_unique().cast(pl.Int64))
    counts = owed.join(made, on="m", how="left").get_column("made").fill_null(0)
    return _pick(counts, which, f"nothing was acknowledged that group {group} is owed")


def straddled(
    history: History, *, process: str, window: str, group: str | None = None, broker: str | None = None
) -> float:
    """Messages that were on their way across the whole fault: for gates that ask whether anything was.

    Acknowledged before it was injected, and given to the group (by this broker name), without being refused, only after
    its healing began. Raises MetricUnavailable for a fault that was not healed.
    """
    begin, end = narrow.instant(history, window, "inject"), narrow.instant(history, window, "heal")
    sent = narrow.acked_of(history, process).filter(pl.col("complete_ns") < begin).select("m").unique()
    kept = pl.concat(
        _given(history, name).filter(narrow.ended(history, name)) for name in narrow.groups_of(history, group)
    )
    # Who gave it, for of a transaction its sender is not told where it was stored.
    there = pl.lit(True) if broker is None else (narrow.text("broker") == broker).all()
    first = kept.group_by(_ID).agg(first=pl.col("time_ns").min(), there=there).filter(pl.col("there"))
    first = first.filter(pl.col("first") > end)
    return sent.join(first, on="m", how="semi").height


def _given(history: History, group: str | None) -> pl.DataFrame:
    mine = pl.lit(True) if group is None else narrow.text("group") == group
    return history.deliveries.filter(mine & pl.col("m").is_not_null())


def _pick(values: pl.Series, which: Which, none: str) -> float:
    if not values.len():
        raise MetricUnavailable(f"{none}: there is nothing to measure")
    found = values.min() if which == "least" else values.max()
    return float(found)  # type: ignore[arg-type]
