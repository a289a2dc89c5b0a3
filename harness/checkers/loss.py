"""Finders of messages that are not where they must be, or are where they must not be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.hit import with_stretch
from harness.checkers.narrow import FOREVER_NS, QUEUE, Replicas
from harness.core.history import History
from harness.core.verdict import Finding

_SHOWN: Final = ("id", "process", "topic", "broker", "queue", "offset", "group", "replica", "phase")


def lost(  # noqa: PLR0913 - each narrows on its own, and suites name them
    history: History,
    *,
    phase: str = "final",
    replicas: Replicas = None,
    sent_after: str | None = None,
    sent_before: str | None = None,
    topic: str | None = None,
    process: str | None = None,
    broker: str | None = None,
    statuses: Sequence[str] | None = None,
    told: bool = False,
) -> Finding:
    """Acknowledged sends that no read of the phase found on any of the replicas.

    Only outcome ok counts: an absent info proves nothing. With `statuses` it is about the sends that were answered with
    one of these weaker ones (FLUSH_SLAVE_TIMEOUT...) instead, which says "stored" too. With `told` it is about
    transactions of which the producer was told that they had ended (by the gRPC client; others do not tell). Sound only
    if every queue was read to its end, which is the judge's business.
    """
    acked = narrow.acked_of(history, process, topic, broker, sent_after, sent_before, statuses, told=told)
    return _absent("lost", acked, narrow.reads_of(history, phase, replicas).select("m"))


def undelivered(  # noqa: PLR0913 - as above
    history: History,
    *,
    group: str | None = None,
    sent_after: str | None = None,
    sent_before: str | None = None,
    topic: str | None = None,
    process: str | None = None,
    broker: str | None = None,
    told: bool = False,
) -> Finding:
    """Acknowledged sends that a group was never given; in a broadcasting group, that any of its members was not given.

    One that was refused is owed again, until it is not refused, or refused for the last time and so a dead letter; the
    figure `refused` is how many were given and came not again. A group is owed what went to the topics that its members
    consume. `told` is as in `lost`. Counts (message, group) pairs. Says nothing of why: a consumer may have been ended
    too early.
    """
    acked = narrow.acked_of(history, process, topic, broker, sent_after, sent_before, told=told)
    parts = []
    of = refused = 0
    for name in narrow.groups_of(history, group):
        seen = history.deliveries.filter(narrow.text("group") == name)
        given = seen.filter(narrow.ended(history, name))
        owed = acked.filter(narrow.subscribed(history, name))
        if narrow.is_broadcast(history, name):
            for member in narrow.members_of(history, name):
                mine = given.filter(narrow.text("process") == member).select("m")
                parts.append(owed.join(mine, on="m", how="anti").with_columns(group=pl.lit(f"{name}/{member}")))
                of += owed.height
        else:
            absent = owed.join(given.select("m"), on="m", how="anti")
            refused += absent.join(seen.select("m"), on="m", how="semi").height
            parts.append(absent.with_columns(group=pl.lit(name)))
            of += owed.height
    missing = pl.concat(parts)
    figures = _bound(missing.height, of) | ({"refused": refused} if refused else {})
    return Finding("undelivered", missing.height, of, narrow.examples(missing, *_SHOWN), figures)


def unread_or_undelivered(
    history: History,
    *,
    phase: str = "final",
    replicas: Replicas = None,
    group: str | None = None,
    topic: str | None = None,
) -> Finding:
    """Acknowledged sends that are in no read of the phase or were not delivered; counts both kinds."""
    unread = lost(history, phase=phase, replicas=replicas, topic=topic)
    missed = undelivered(history, group=group, topic=topic)
    count = unread.count + missed.count
    return Finding(
        "unread-or-undelivered",
        count,
        max(unread.of, missed.of),
        (*unread.examples, *missed.examples)[:8],
        {"unread": unread.count, "undelivered": missed.count},
    )


def lost_inside(
    history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None
) -> Finding:
    """Lost messages that are no tail: a message behind them in the same queue, or in the broker's log, survived.

    A broker writes all its queues into one log, in order. In the same queue what is behind has the higher offset; of
    the broker, in whatever queue, it was begun after the lost one had been acknowledged. Of two that were under way
    at once in different queues nothing is known. So a queue that is gone altogether is no tail if anything newer in
    another one is there. A survivor was read on the broker name that acknowledged it.

    Compares within one stretch of the broker's log (see `hit.with_stretch`): what is sent after a restart may be given
    the offsets of what was lost, and its survival says nothing of them. In a stretch that no fault ended there is no
    tail: whatever is lost of it counts, and so all that an untouched broker lost.
    """
    acked = with_stretch(history, narrow.acked_of(history, topic=topic))
    reads = narrow.reads_of(history, phase, replicas).select("m", *QUEUE, "offset")
    missing = acked.join(reads, on="m", how="anti")
    if not missing.height:
        return Finding("lost-inside", 0, acked.height, figures=_bound(0, acked.height))
    # Where a survivor lies is where it was read: what a retry was answered may be the place of a copy that is lost.
    survivors = acked.select("m", "broker", "epoch", "invoke_ns").join(reads, on=["m", "broker"])
    lane, log = [*QUEUE, "epoch"], ["broker", "epoch"]
    behind = missing.join(survivors.group_by(lane).agg(last=pl.col("offset").max()), on=lane, how="left").join(
        survivors.group_by(log).agg(newest=pl.col("invoke_ns").max()), on=log, how="left"
    )
    endless = pl.col("ended_ns") == FOREVER_NS
    overtaken = (pl.col("offset") < pl.col("last")) | (pl.col("complete_ns") < pl.col("newest"))
    inside = behind.filter(endless | overtaken.fill_null(False))
    shown = narrow.examples(inside.sort("complete_ns"), *_SHOWN)
    return Finding("lost-inside", inside.height, acked.height, shown, {"lost": missing.height})


def phantom(history: History, *, topic: str | None = None) -> Finding:
    """Messages read or delivered that were never sent; counts ids. `of` is all that was read or delivered there."""
    kept = pl.lit(True) if topic is None else narrow.text("topic").str.starts_with(topic)
    stray = [
        frame.filter(pl.col("m").is_null() & kept).select("id", *QUEUE, "offset")
        for frame in (history.reads, history.deliveries)
    ]
    found = pl.concat(stray).unique("id", maintain_order=True)
    of = sum(frame.filter(kept).height for frame in (history.reads, history.deliveries))
    return Finding("phantom", found.height, of, narrow.examples(found, *_SHOWN))


def stored_though_failed(history: History, *, topic: str | None = None, process: str | None = None) -> Finding:
    """Sends that surely failed and were stored or delivered all the same. `of` is the sends that surely failed.

    A client that retries makes a failure ambiguous: its outcome is then info, and it is not counted here. The figure
    `searched` is how many reads and deliveries were looked through: of none, nothing could have been found.
    """
    failed = narrow.sends_of(history, process, topic).filter(pl.col("outcome") == "fail")
    searched = {"searched": history.reads.height + history.deliveries.height}
    if not failed.height:
        return Finding("stored-though-failed", 0, 0, figures=searched)
    there = pl.concat([history.reads.select("m"), history.deliveries.select("m")])
    found = failed.join(there, on="m", how="semi")
    shown = narrow.examples(found, *_SHOWN, "status", "code")
    return Finding("stored-though-failed", found.height, failed.height, shown, searched)


def _absent(kind: str, acked: pl.DataFrame, there: pl.DataFrame) -> Finding:
    missing = acked.join(there, on="m", how="anti")
    shown = narrow.examples(missing.sort("complete_ns").head(8), *_SHOWN)
    return Finding(kind, missing.height, acked.height, shown, _bound(missing.height, acked.height))


def _bound(count: int, of: int) -> dict[str, float]:
    """For none of n the 95 % upper bound of the share is 3/n."""
    return {"upper_bound": 3 / of} if of and not count else {}
