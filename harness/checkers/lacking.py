"""What each replica lacks, replica by replica: that another one has it is no excuse here."""

from __future__ import annotations

import polars as pl

from harness.checkers import narrow
from harness.checkers.narrow import QUEUE, Replicas
from harness.core.errors import EvidenceError
from harness.core.history import History
from harness.core.verdict import Finding


def lacking(
    history: History,
    *,
    phase: str = "final",
    replicas: Replicas = None,
    topic: str | None = None,
    sent_after: str | None = None,
    sent_before: str | None = None,
) -> Finding:
    """Acknowledged messages that a replica of their broker name does not have; counts (message, replica) pairs.

    `lost` is content with one replica that has the message, and `diverged` calls a tail that is missing lag: here every
    replica that was read in the phase (of these, if asked) must have all of it, so only what has had the time to
    replicate may be judged. Only outcome ok counts. A replica that was not read at all is not judged: that the cluster
    was whole is for a gate to say. Raises EvidenceError if a replica was asked for some queues only.
    """
    drains = narrow.drains_of(history, phase, replicas)
    asked = drains.select("replica", "broker").unique()
    acked = narrow.acked_of(history, topic=topic, sent_after=sent_after, sent_before=sent_before)
    _all_asked(acked, asked, drains)
    owed = acked.join(asked, on="broker", how="inner")
    reads = narrow.reads_of(history, phase, replicas).select("replica", "m")
    missing = owed.join(reads, on=["replica", "m"], how="anti")
    each = missing.group_by(narrow.text("replica")).len().rows()
    shown = narrow.examples(missing.sort("complete_ns").head(8), "id", "replica", "process", *QUEUE, "offset")
    return Finding("lacking", missing.height, owed.height, shown, {f"on {node}": count for node, count in sorted(each)})


def _all_asked(acked: pl.DataFrame, asked: pl.DataFrame, drains: pl.DataFrame) -> None:
    queues = acked.filter(pl.col("queue").is_not_null()).select(QUEUE).unique()
    key = ["replica", *QUEUE]
    unread = queues.join(asked, on="broker", how="inner").join(drains, on=key, how="anti").sort(key)
    if unread.height:
        first = unread.select(key).row(0)
        raise EvidenceError(
            f"{unread.height} queues of replicas acknowledged messages and were not read, first {first}"
        )
