"""The harmless counterpart of each planted defect: it looks alike, is allowed, and must not be called broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from harness.checkers import edit, narrow, plants
from harness.checkers.hit import with_stretch
from harness.checkers.narrow import FOREVER_NS, QUEUE
from harness.core.history import History

Params = Mapping[str, Any]


def lost(history: History, params: Params) -> History | None:
    """The message that is nowhere had never been answered."""
    victim = plants.acked_and_stored(history, params)
    if victim is None:
        return None
    gone = pl.col("m") == victim
    return _unanswered(edit.without_deliveries(edit.without_reads(history, gone), gone), victim)


def lost_inside(history: History, params: Params) -> History | None:
    """What is lost is the newest message of a stretch that a fault ended, and so the last of its queue there."""
    acked = narrow.acked_of(history, topic=params.get("topic")).filter(pl.col("offset").is_not_null())
    ended = with_stretch(history, acked).filter(pl.col("ended_ns") != FOREVER_NS)
    newest = ended.filter(pl.col("complete_ns") == pl.col("complete_ns").max().over("broker", "epoch"))
    last = newest.filter(pl.col("offset") == pl.col("offset").max().over([*QUEUE, "epoch"]))
    victim = plants.middle(last)
    return None if victim is None else edit.without_reads(history, pl.col("m") == victim)


def lacking(history: History, params: Params) -> History | None:
    """The message that one replica lacks had never been answered."""
    bad = plants.lacking(history, params)
    if bad is None:
        return None
    key = ["replica", "m"]
    gone = history.reads.select(key).join(bad.reads.select(key), on=key, how="anti").get_column("m")
    return _unanswered(bad, int(gone[0])) if gone.len() else None


def undelivered(history: History, params: Params) -> History | None:
    """The message that was not delivered had never been answered."""
    bad = plants.undelivered(history, params)
    if bad is None:
        return None
    gone = history.deliveries.select("m").join(bad.deliveries.select("m"), on="m", how="anti")
    return _unanswered(bad, int(gone.get_column("m")[0])) if gone.height else None


def unknown_but_there(history: History, params: Params) -> History | None:
    """A message that is stored once, and delivered, had never been answered."""
    there = pl.concat([history.reads.select("m"), history.deliveries.select("m")])
    victim = plants.middle(narrow.sends_of(history, topic=params.get("topic")).join(there, on="m", how="semi"))
    return None if victim is None else _unanswered(history, victim)


def redelivered(history: History, params: Params) -> History | None:
    """The message is given again because its consumption had failed, as it was told to."""
    bad = plants.redelivered(history, params)
    if bad is None:
        return None
    last = pl.int_range(pl.len()) == pl.len() - 1
    again = edit.set_rows(bad.deliveries, last, reconsume=pl.col("reconsume").fill_null(0) + 1)
    refusing = {name: _that_refuses(about) for name, about in bad.processes.items()}
    return edit.replace_deliveries(replace(bad, processes=refusing), again)


def _that_refuses(about: Mapping[str, Any]) -> Mapping[str, Any]:
    config = about.get("config", {})
    return {**about, "config": {**config, "fail_every": 3}} if config.get("role") == "consumer" else about


def diverged(history: History, params: Params) -> History | None:
    """A slave does not have the end of a queue yet."""
    reads = history.reads.with_row_index("_row").filter(~narrow.on_replicas("master"))
    if params.get("phase", "final"):
        reads = reads.filter(narrow.text("phase") == params.get("phase", "final"))
    ends = reads.filter(pl.col("offset") == pl.col("offset").max().over(["replica", *QUEUE]))
    if not ends.height:
        return None
    return edit.without_reads(history, pl.int_range(pl.len()) == ends.get_column("_row")[0])


def altered(history: History, params: Params) -> History | None:
    """A replica stores other bytes around the body (its own timestamps), or a message nobody was told of is whole."""
    other = plants.diverged(history, params)
    return unknown_but_there(history, params) if other is None else other


def overlapping(history: History, params: Params) -> History | None:
    """Two messages that lie in each other's place were under way at the same time."""
    pair = plants.successive(history, params)
    if pair is None:
        return None
    moved = plants.move(history, {pair["m"]: pair["before"], pair["m_before"]: pair["offset"]})
    # The later one began before any send of the producer had completed, the earlier one ended after all had begun.
    first, last = history.sends.select(first=pl.col("invoke_ns").min(), last=pl.col("complete_ns").max()).row(0)
    early = edit.with_sends(moved, pl.col("m") == pair["m"], invoke_ns=first)
    return edit.with_sends(early, pl.col("m") == pair["m_before"], complete_ns=last)


def _unanswered(history: History, message: int) -> History:
    return edit.with_sends(
        history, pl.col("m") == message, outcome="info", complete_ns=None, status=None, offset=None, completions=0
    )


TWINS: Final[Mapping[str, plants.Plant]] = MappingProxyType(
    {
        "lost": lost,
        "lacking": lacking,
        "undelivered": undelivered,
        "unread-or-undelivered": lost,
        "lost-inside": lost_inside,
        "phantom": unknown_but_there,
        "stored-though-failed": unknown_but_there,
        "duplicate": unknown_but_there,
        "redelivered": redelivered,
        "diverged": diverged,
        "reordered": overlapping,
        "reordered-store": overlapping,
        "altered": altered,
        "torn": altered,
    }
)
"""What is harmless beside each anomaly."""
