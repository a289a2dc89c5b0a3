"""Order of the messages of a key, seen without knowing where any of them lies."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from harness.checkers import narrow
from harness.core.errors import MetricUnavailable
from harness.core.history import History
from harness.core.verdict import Finding

_LANE: Final = ["group", "process", "key"]
_SHOWN: Final = ("id", "group", "process", "key", "after")


def reordered_key(history: History, *, group: str | None = None) -> Finding:
    """Messages of a key that an orderly group was first given after a later one of the same producer and key.

    Message n of a producer in mode orderly has the key n modulo how many keys it was told to have, and of a key the
    next is not begun before the last was answered. Of two that were both acknowledged the earlier one is therefore to
    come first. Where it was not acknowledged, nothing is known of when it was stored, and it is left out. Raises
    MetricUnavailable if no producer sent in order, or no group consumes so.
    """
    given = _first_given(history, group)
    late = given.with_columns(after=pl.col("n").cum_max().over(_LANE)).filter(pl.col("n") < pl.col("after"))
    return Finding("reordered-key", late.height, given.height, narrow.examples(late, *_SHOWN))


def swap(history: History, group: str | None) -> tuple[int, int] | None:
    """Two messages of a key that were given one after the other: what a planted defect exchanges; None if none were."""
    given = _first_given(history, group)
    pairs = given.with_columns(before=pl.col("m").shift(1).over(_LANE), then_ns=pl.col("time_ns").shift(1).over(_LANE))
    apart = pairs.filter(pl.col("then_ns") < pl.col("time_ns"))
    chosen = apart.slice(apart.height // 2, 1).to_dicts()
    return (int(chosen[0]["before"]), int(chosen[0]["m"])) if chosen else None


def _first_given(history: History, group: str | None) -> pl.DataFrame:
    """First deliveries of acknowledged messages, in the order of time, with producer, key and number."""
    keys = {name: count for name, about in history.processes.items() if (count := _keys_of(about))}
    wanted = [group] if group is not None else [g for g in narrow.groups_of(history) if narrow.is_orderly(history, g)]
    if not keys or not wanted:
        raise MetricUnavailable("no producer sent in order, or no group consumes in order: there is no order to judge")
    of_process = narrow.text("process").replace_strict(keys, default=None, return_dtype=pl.Int64)
    sent = narrow.acked_of(history).filter(narrow.text("process").is_in(sorted(keys))).unique("m")
    numbered = sent.select("m", "id", narrow.text("process"), n=pl.col("call").cast(pl.Int64), keys=of_process)
    mine = history.deliveries.filter(narrow.text("group").is_in(wanted) & pl.col("m").is_not_null())
    first = mine.select("m", narrow.text("group"), "time_ns").sort("time_ns", maintain_order=True)
    first = first.unique(["group", "m"], keep="first", maintain_order=True)
    return first.join(numbered, on="m", how="inner", maintain_order="left").with_columns(
        key=pl.col("n") % pl.col("keys")
    )


def _keys_of(about: Any) -> int | None:
    """How many keys a producer in mode orderly said it has; None for any other process."""
    config = about.get("config") if isinstance(about, dict) else None
    if not isinstance(config, dict) or config.get("mode") != "orderly":
        return None
    return int(config["keys"])
