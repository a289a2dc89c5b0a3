"""Finders of wrong order, holes and reused places."""

from __future__ import annotations

from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.narrow import QUEUE, Replicas
from harness.checkers.places import misplaced
from harness.core.errors import MetricUnavailable
from harness.core.history import History
from harness.core.names import REFUSED
from harness.core.verdict import Finding

_LANE: Final = ["process", "topic", "broker", "queue"]
_SHOWN: Final = ("id", "group", "process", "broker", "topic", "queue", "offset", "after")


def reordered(history: History, *, group: str | None = None, phase: str = "final") -> Finding:
    """Stored in another order than sent, or given to an orderly group in another order than stored.

    Delivery order is judged for `group`, else for the groups that said they are orderly; a concurrent listener may
    see any order. See `reordered_store` and `reordered_delivery` for what counts.
    """
    findings = [reordered_store(history, phase=phase)]
    orderly = _orderly(history, group)
    if orderly:
        findings.append(reordered_delivery(history, group=group))
    return Finding(
        "reordered",
        sum(f.count for f in findings),
        max(f.of for f in findings),
        tuple(text for f in findings for text in f.examples)[:8],
        {f.kind: f.count for f in findings},
    )


def reordered_delivery(history: History, *, group: str | None = None) -> Finding:
    """Messages whose first delivery to an orderly group came after that of a later one of the same queue.

    Only first deliveries count: after a failure a group is given some again, from an older offset on. Of what was
    refused the first that was not counts as well: nothing behind it may be consumed before. Loss is not reordering.
    Raises MetricUnavailable if no group is orderly and none is named.
    """
    orderly = _orderly(history, group)
    if not orderly:
        raise MetricUnavailable("no group consumes in order; name the group whose order is promised")
    given = history.deliveries.filter(
        narrow.text("group").is_in(orderly) & pl.col("m").is_not_null() & pl.col("offset").is_not_null()
    )
    lane = ["group", *QUEUE]
    if any(narrow.is_broadcast(history, g) for g in orderly):
        lane = ["group", "process", *QUEUE]
    tried = given.filter(pl.col("reconsume").fill_null(0) == 0)
    consumed = given.filter((narrow.text("status") != REFUSED).fill_null(True))
    late = pl.concat([_behind_later_ones(tried, lane), _behind_later_ones(consumed, lane)])
    late = late.unique([*lane, "m"], maintain_order=True)
    of = tried.select(*lane, "m").n_unique() if tried.height else 0
    return Finding("reordered-delivery", late.height, of, narrow.examples(late, *_SHOWN))


def _behind_later_ones(given: pl.DataFrame, lane: list[str]) -> pl.DataFrame:
    """Of the first delivery of each message those that came after one with a higher offset of the lane."""
    first = given.sort("time_ns", maintain_order=True).unique([*lane, "m"], keep="first", maintain_order=True)
    return first.with_columns(after=pl.col("offset").cum_max().over(lane)).filter(pl.col("offset") < pl.col("after"))


def reordered_store(history: History, *, phase: str = "final", process: str | None = None) -> Finding:
    """Acknowledged sends with a smaller queue offset than one of the same producer that had completed before.

    Real-time order: sends that overlap may be stored either way, and the order of acknowledgements is no order. What
    was lost is left out (if the phase was read): its offset may have been given away again after a crash.
    """
    acked = narrow.acked_of(history, process).filter(pl.col("offset").is_not_null())
    placed = acked.select("m", *_LANE, "invoke_ns", "complete_ns", "offset").sort("invoke_ns")
    inverted = placed.filter(pl.col("offset") < pl.col("offset").cum_max().over(_LANE))
    if not inverted.height:
        # A send that completed before another was invoked was also invoked before it: no inversion, no violation.
        return Finding("reordered-store", 0, placed.height)
    lanes = placed.join(inverted.select(_LANE).unique(), on=_LANE, how="semi")
    if history.drains.height:
        # Where it was acknowledged: a copy of an earlier try elsewhere says nothing of this place.
        lanes = lanes.join(narrow.reads_of(history, phase).select("m", *QUEUE), on=["m", *QUEUE], how="semi")
    before = (
        lanes.sort("complete_ns")
        .with_columns(after=pl.col("offset").cum_max().over(_LANE))
        .select(*_LANE, "complete_ns", "after")
    )
    judged = lanes.sort("invoke_ns").join_asof(
        before,
        left_on="invoke_ns",
        right_on="complete_ns",
        by=_LANE,
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    late = judged.filter(pl.col("offset") < pl.col("after"))
    named = late.join(history.sends.select("m", "id").unique("m"), on="m", how="left")
    return Finding("reordered-store", late.height, placed.height, narrow.examples(named, *_SHOWN))


def offset_gap(
    history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None
) -> Finding:
    """Queue offsets that a replica does not have between its first and its last; counts missing offsets.

    What was deleted at the head is no hole, and nothing is known of what may be missing behind the last.
    """
    reads = narrow.reads_of(history, phase, replicas)
    if topic is not None:
        reads = reads.filter(narrow.text("topic").str.starts_with(topic))
    queues = reads.group_by(["replica", *QUEUE]).agg(
        first=pl.col("offset").min(), last=pl.col("offset").max(), have=pl.col("offset").n_unique()
    )
    holed = queues.with_columns(missing=pl.col("last") - pl.col("first") + 1 - pl.col("have").cast(pl.Int64))
    bad = holed.filter(pl.col("missing") > 0).sort("missing", descending=True)
    shown = narrow.examples(bad, "replica", "topic", "queue", "first", "last", "missing")
    return Finding("offset-gap", int(bad.get_column("missing").sum()), reads.height, shown)


def offset_reuse(
    history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None
) -> Finding:
    """Queue offsets that hold two messages on one replica, and messages stored elsewhere than was acknowledged.

    `misplaced`: the message is stored, but not where the broker answered that it is; see `places.misplaced`.
    """
    reads = narrow.reads_of(history, phase, replicas)
    if topic is not None:
        reads = reads.filter(narrow.text("topic").str.starts_with(topic))
    slot = ["replica", *QUEUE, "offset"]
    shared = _shared_slots(reads, slot)
    moved = misplaced(narrow.acked_of(history, topic=topic), reads)
    shown = (
        *narrow.examples(shared.sort("offset"), "id", *slot),
        *narrow.examples(moved, "id", *QUEUE, "offset"),
    )
    figures = {"shared": shared.select(slot).n_unique() if shared.height else 0, "misplaced": moved.height}
    return Finding("offset-reuse", int(sum(figures.values())), reads.height, shown[:8], figures)


def _shared_slots(reads: pl.DataFrame, slot: list[str]) -> pl.DataFrame:
    distinct = reads.select(pl.struct(slot).n_unique()).item() if reads.height else 0
    if distinct == reads.height:
        return reads.clear()
    twice = reads.filter(pl.struct(slot).is_duplicated())
    several = twice.group_by(slot).agg(ids=pl.col("id").n_unique()).filter(pl.col("ids") > 1)
    return twice.join(several, on=slot, how="semi")


def _orderly(history: History, group: str | None) -> list[str]:
    if group is not None:
        return [group]
    try:
        return [g for g in narrow.groups_of(history) if narrow.is_orderly(history, g)]
    except MetricUnavailable:
        return []
