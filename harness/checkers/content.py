"""The finder of messages whose content is not what was sent. No guarantee allows them: see `judge.ALWAYS`."""

from __future__ import annotations

from typing import Final

import polars as pl

from harness.checkers import narrow, torn
from harness.checkers.narrow import QUEUE
from harness.core.content import COMPARED
from harness.core.history import History
from harness.core.verdict import Finding

_KEY: Final = ["phase", "replica", *QUEUE]
_SHOWN: Final = ("id", "altered", "phase", "replica", "group", "process", *QUEUE, "offset")


def altered(history: History, *, topic: str | None = None) -> Finding:
    """Reads and deliveries of any phase whose body, key or checksum is not what was sent; counts each of them.

    Without what a power cut tore, which is `torn`. `of` is what was compared. What an older harness recorded was not:
    it counts neither way. Not proved: that properties other than the key are as they were sent.
    """
    kept = pl.lit(True) if topic is None else narrow.text("topic").str.starts_with(topic)
    reads = compared_reads(history).filter(kept)
    deliveries = compared_deliveries(history).filter(kept)
    bad = [frame.filter(pl.col("altered").is_not_null()) for frame in (reads, deliveries)]
    if bad[0].height:
        bad[0] = torn.without_torn(bad[0], history)
    count = sum(frame.height for frame in bad)
    shown = tuple(example for frame in bad for example in narrow.examples(frame, *_SHOWN))[:8]
    figures = {"reads": bad[0].height, "deliveries": bad[1].height} if count else {}
    return Finding("altered", count, reads.height + deliveries.height, shown, figures)


def compared_reads(history: History) -> pl.DataFrame:
    """Reads whose content was looked at: those of a drain that says so, and those that were found altered."""
    looked = (pl.col("content").cast(pl.String) == COMPARED).fill_null(False)
    if history.drains.height and history.drains.select(looked.all()).item():
        return history.reads
    drains = history.drains.filter(looked).select(_KEY).unique()
    numbered = history.reads.with_row_index("_row")
    rows = numbered.join(drains, on=_KEY, how="semi", nulls_equal=True).get_column("_row")
    said = pl.col("_row").is_in(rows.implode()) | pl.col("altered").is_not_null()
    return numbered.filter(said).drop("_row")


def compared_deliveries(history: History) -> pl.DataFrame:
    """Deliveries to processes whose first line says which bodies they expect, and those that were found altered."""
    knowing = [name for name, about in history.processes.items() if about.get("body")]
    return history.deliveries.filter(narrow.text("process").is_in(knowing) | pl.col("altered").is_not_null())
