"""Falsifying a history: small edits from which planted controls are made. Every edit leaves the evidence sound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from harness.core.history import History, Observation

_DRAIN_KEY = ["phase", "replica", "broker", "topic", "queue"]


def with_reads(history: History, reads: pl.DataFrame) -> History:
    """Other reads, and drains that speak of as many: a falsified queue must not look like a torn recording."""
    have = reads.group_by(_DRAIN_KEY).agg(have=pl.len())
    drains = history.drains.join(have, on=_DRAIN_KEY, how="left", nulls_equal=True, maintain_order="left")
    counted = pl.when(pl.col("count").is_null()).then(None).otherwise(pl.col("have").fill_null(0))
    drains = drains.with_columns(counted.cast(pl.Int32).alias("count")).drop("have")
    return replace(history, reads=reads, drains=drains)


def without_reads(history: History, gone: pl.Expr) -> History:
    """The reads that match are not there."""
    return with_reads(history, history.reads.filter(~gone.fill_null(False)))


def without_deliveries(history: History, gone: pl.Expr) -> History:
    """The deliveries that match are not there."""
    return replace(history, deliveries=history.deliveries.filter(~gone.fill_null(False)))


def add_read(history: History, row: int, **changes: Any) -> History:
    """A copy of a read, with changes; it comes last."""
    return with_reads(history, pl.concat([history.reads, _changed(history.reads, row, changes)]))


def add_delivery(history: History, row: int, **changes: Any) -> History:
    """A copy of a delivery, with changes; it comes last."""
    return replace(history, deliveries=pl.concat([history.deliveries, _changed(history.deliveries, row, changes)]))


def set_rows(frame: pl.DataFrame, where: pl.Expr, **changes: Any) -> pl.DataFrame:
    """Columns of the rows that match are set to values or expressions."""
    matched = where.fill_null(False)
    return frame.with_columns(
        pl.when(matched)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(pl.col(name))
        .cast(frame.schema[name])
        .alias(name)
        for name, value in changes.items()
    )


def with_sends(history: History, where: pl.Expr, **changes: Any) -> History:
    """Columns of the sends that match are set."""
    return replace(history, sends=set_rows(history.sends, where, **changes))


def with_observation(history: History, name: str, value: Any) -> History:
    """One more observation of that name, which thereby is the last; dots reach into the last one of its stem."""
    at_ns = max((o.time_ns for o in history.observations), default=0)
    for known in reversed(history.observations):
        if known.name == name:
            break
        if name.startswith(known.name + "."):
            value = _deep(known.value, name[len(known.name) + 1 :].split("."), value)
            name = known.name
            break
    return replace(history, observations=(*history.observations, Observation(name, at_ns, value)))


def _deep(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    known = dict(value) if isinstance(value, dict) else {}
    known[path[0]] = _deep(known.get(path[0]), path[1:], new)
    return known


def _changed(frame: pl.DataFrame, row: int, changes: dict[str, Any]) -> pl.DataFrame:
    copied = frame.slice(row, 1)
    return copied.with_columns(
        pl.lit(value, dtype=frame.schema[name]).alias(name)
        if value is None
        else pl.lit(value).cast(frame.schema[name]).alias(name)
        for name, value in changes.items()
    )


def replace_deliveries(history: History, deliveries: pl.DataFrame) -> History:
    """Other deliveries."""
    return replace(history, deliveries=deliveries)


def replace_sends(history: History, sends: pl.DataFrame) -> History:
    """Other sends."""
    return replace(history, sends=sends)
