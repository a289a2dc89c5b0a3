"""Where a message lies, against where the broker said that it put it."""

from __future__ import annotations

from typing import Final

import polars as pl

from harness.checkers.narrow import QUEUE

_PLACE: Final = [*QUEUE, "offset"]


def misplaced(acked: pl.DataFrame, reads: pl.DataFrame) -> pl.DataFrame:
    """Acknowledged sends whose place holds another message or nothing, while theirs is found elsewhere.

    No replica has the message at the acknowledged place, and it is either in the acknowledged queue, at other offsets,
    or at exactly one place that is in another queue, topic or broker. At several places elsewhere it is ambiguous (a
    send that was tried again is stored twice, and a copy may be lost) and left out; found nowhere it is lost, and its
    place may have been given away again: neither is misplaced. Only sends that were told a queue and an offset count.
    After a power cut the one copy may be that of an earlier try: do not forbid it where acknowledged ones may be lost.
    """
    told = acked.filter(pl.col("queue").is_not_null() & pl.col("offset").is_not_null())
    stored = reads.filter(pl.col("m").is_not_null()).select("m", "replica", *_PLACE)
    elsewhere = told.join(stored, on=["m", *_PLACE], how="anti")
    if not elsewhere.height:
        return elsewhere
    found = stored.join(elsewhere.select("m").unique(), on="m", how="semi")
    places = found.group_by("m").agg(
        places=pl.struct(_PLACE).n_unique(), copies=pl.len(), holders=pl.col("replica").n_unique()
    )
    once = places.filter((pl.col("places") == 1) & (pl.col("copies") == pl.col("holders")))
    in_queue = elsewhere.join(found, on=["m", *QUEUE], how="semi")
    away = elsewhere.join(once, on="m", how="semi").join(in_queue.select("m"), on="m", how="anti")
    return pl.concat([in_queue, away])
