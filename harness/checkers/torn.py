"""The finder of a message that a power cut tore: the newest that was kept, whole but for its properties.

RocketMQ's recovery takes a message for whole whose body has its checksum. What is stored behind the body, its
properties (the key among them), has none by default. So the last message before the cut may be served with a part of
them missing: known of every release (`enabledAppendPropCRC` is there from 5.2.0 on, and off), and another thing than a
message that is altered anywhere else, which nothing explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from harness.checkers import edit, narrow
from harness.core.history import History
from harness.core.verdict import Finding
from harness.core.window import FaultWindow

POWER_CUT: Final = "cut-power"
_SHOWN: Final = ("id", "altered", "phase", "replica", *narrow.QUEUE, "offset")
_KEY: Final = ["phase", "replica", "m"]


def torn(history: History) -> Finding:
    """Messages that a power cut tore. `of` is how often a broker that was read lost its power."""
    cuts = _cuts(history)
    found = _torn_by(history, cuts)
    return Finding("torn", found.height, len(cuts), narrow.examples(found, *_SHOWN))


def torn_reads(history: History) -> pl.DataFrame:
    """Reads of torn messages: one at most for each phase, broker and cut.

    Its body is what was sent and its key is not; it was begun before the cut and after whatever had ended the broker
    before; no other message of that time is altered there; and none is there that was begun after it was answered and
    acknowledged by that broker before the cut. So it is the last of its log, as far as clients can tell.
    """
    return _torn_by(history, _cuts(history))


def tear(history: History, params: Mapping[str, Any]) -> History | None:
    """What is planted: the key of the newest message is gone that a broker kept which lost its power."""
    del params
    for cut, node in _cuts(history):
        here = narrow.text("replica") == node
        before = narrow.acked_of(history).filter(pl.col("complete_ns") <= cut.inject_ns)
        kept = before.join(history.reads.filter(here).select("m"), on="m", how="semi").sort("invoke_ns")
        if kept.height:
            newest = here & (pl.col("m") == kept.row(-1, named=True)["m"])
            return edit.with_reads(history, edit.set_rows(history.reads, newest, altered="key"))
    return None


def without_torn(reads: pl.DataFrame, history: History) -> pl.DataFrame:
    """The reads but those of torn messages."""
    return reads.join(torn_reads(history).select(_KEY), on=_KEY, how="anti", nulls_equal=True)


def _cuts(history: History) -> list[tuple[FaultWindow, str]]:
    """Each power cut with each broker that it hit and that was read."""
    cuts = [window for window in history.windows if window.fault == POWER_CUT]
    # Most histories have none, and ten million reads may be looked through.
    read = set(history.reads.select(narrow.text("replica")).unique().to_series()) if cuts else set()
    return [(cut, node) for cut in cuts for node in cut.targets if node in read]


def _torn_by(history: History, cuts: Iterable[tuple[FaultWindow, str]]) -> pl.DataFrame:
    altered = history.reads.filter(pl.col("altered").is_not_null()).height > 0
    frames = [one for cut, node in cuts for one in _of(history, cut, node)] if altered else []
    return pl.concat(frames) if frames else history.reads.head(0)


def _of(history: History, cut: FaultWindow, node: str) -> list[pl.DataFrame]:
    before = [w for w in history.windows if node in w.targets and w.heal_ns is not None and w.heal_ns < cut.inject_ns]
    since = max((w.heal_ns or 0 for w in before), default=0)
    bitten = cut.observed_ns if cut.observed_ns is not None else cut.inject_ns
    columns = ("m", "invoke_ns", "complete_ns", "outcome", pl.col("broker").alias("by"))
    sends = history.sends.select(*columns).drop_nulls("m").unique("m")
    here = history.reads.filter((narrow.text("replica") == node) & pl.col("m").is_not_null()).join(sends, on="m")
    stretch = here.filter(pl.col("invoke_ns").is_between(since, bitten))
    bad = stretch.filter(pl.col("altered").is_not_null())
    found = []
    for (phase,), mine in bad.group_by(narrow.text("phase")):
        one = mine.row(0, named=True)
        if mine.height > 1 or one["altered"] != "key":
            continue
        answered_ns = one["complete_ns"]
        if answered_ns is not None and answered_ns <= cut.inject_ns:
            acked = (pl.col("outcome") == "ok") & (narrow.text("by") == node.rpartition("-")[0])
            behind = acked & (pl.col("invoke_ns") > answered_ns) & (pl.col("complete_ns") <= cut.inject_ns)
            if stretch.filter((narrow.text("phase") == phase) & behind).height:
                continue
        found.append(mine.select(history.reads.columns))
    return found
