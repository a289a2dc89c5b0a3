"""One defect of each kind, planted in a history that has none. Victims are taken from the middle, not from an edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from harness.checkers import content, edit, keyed, narrow, torn
from harness.checkers.hit import with_stretch
from harness.checkers.narrow import QUEUE
from harness.checkers.order import reordered_delivery as find_reordered_delivery
from harness.core.errors import MetricUnavailable
from harness.core.history import History

Params = Mapping[str, Any]
Plant = Callable[[History, Params], History | None]
STRAY: Final = "planted-message-that-nobody-sent"
_LANE: Final = ["process", *QUEUE]
_NARROW: Final = ("process", "topic", "broker", "sent_after", "sent_before", "statuses", "told")


def lost(history: History, params: Params) -> History | None:
    """One acknowledged message is in no read."""
    victim = acked_and_stored(history, params)
    return None if victim is None else edit.without_reads(history, pl.col("m") == victim)


def lost_inside(history: History, params: Params) -> History | None:
    """One acknowledged message is in no read, though a later one of its queue survived."""
    reads = _reads(history, params)
    acked = narrow.acked_of(history, topic=params.get("topic")).filter(pl.col("offset").is_not_null())
    stored = with_stretch(history, acked.join(reads.select("m"), on="m", how="semi"))
    inner = stored.filter(pl.col("offset") < pl.col("offset").max().over([*QUEUE, "epoch"]))
    victim = middle(inner)
    return None if victim is None else edit.without_reads(history, pl.col("m") == victim)


def lacking(history: History, params: Params) -> History | None:
    """The last of the replicas lacks one acknowledged message; the others have it."""
    nodes = narrow.drains_of(history, params.get("phase", "final"), params.get("replicas"))
    last = nodes.select(narrow.text("replica")).to_series().max()
    here = narrow.text("replica") == last
    victim = middle(_acked(history, params).join(_reads(history, params).filter(here).select("m"), on="m", how="semi"))
    return None if victim is None else edit.without_reads(history, (pl.col("m") == victim) & here)


def undelivered(history: History, params: Params) -> History | None:
    """One acknowledged message was given to no member of the group."""
    group = narrow.groups_of(history, params.get("group"))[0]
    mine = narrow.text("group") == group
    acked = _acked(history, params).join(history.deliveries.filter(mine).select("m"), on="m", how="semi")
    victim = middle(acked)
    return None if victim is None else edit.without_deliveries(history, (pl.col("m") == victim) & mine)


def phantom(history: History, params: Params) -> History | None:
    """A message of ours that nobody sent is read, or delivered if nothing was read."""
    topic = params.get("topic")
    for frame, add in ((history.reads, edit.add_read), (history.deliveries, edit.add_delivery)):
        row = _row(frame, pl.lit(True) if topic is None else narrow.text("topic").str.starts_with(topic))
        if row is not None:
            return add(history, row, m=None, id=STRAY, offset=_behind(frame))
    return None


def stored_though_failed(history: History, params: Params) -> History | None:
    """A send whose message is stored, or delivered, had surely failed."""
    there = pl.concat([history.reads.select("m"), history.deliveries.select("m")])
    sends = narrow.sends_of(history, params.get("process"), params.get("topic"))
    victim = middle(sends.filter(pl.col("complete_ns").is_not_null()).join(there, on="m", how="semi"))
    return None if victim is None else edit.with_sends(history, pl.col("m") == victim, outcome="fail")


def duplicate(history: History, params: Params) -> History | None:
    """One replica has a message a second time, at the end of the queue."""
    row = _row(history.reads, _in_reads(params) & pl.col("m").is_not_null())
    return None if row is None else edit.add_read(history, row, offset=_behind(history.reads))


def redelivered(history: History, params: Params) -> History | None:
    """One delivery happens again."""
    group = narrow.groups_of(history, params.get("group"))[0]
    row = _row(history.deliveries, (narrow.text("group") == group) & pl.col("m").is_not_null())
    return None if row is None else edit.add_delivery(history, row)


def completed_twice(history: History, params: Params) -> History | None:
    """One send completes a second time."""
    victim = middle(narrow.sends_of(history, params.get("process")).filter(pl.col("completions") == 1))
    return None if victim is None else edit.with_sends(history, pl.col("m") == victim, completions=2)


def never_completed(history: History, params: Params) -> History | None:
    """One send is never answered."""
    victim = middle(narrow.sends_of(history, params.get("process")).filter(pl.col("completions") == 1))
    silent = {"completions": 0, "complete_ns": None, "outcome": "info"}
    return None if victim is None else edit.with_sends(history, pl.col("m") == victim, **silent)


def diverged(history: History, params: Params) -> History | None:
    """The bytes of one message differ on one replica, where another has the same offset."""
    reads = _reads(history, params).with_row_index("_row") if "_row" not in history.reads.columns else history.reads
    slot = [*QUEUE, "offset"]
    shared = reads.filter(pl.col("replica").n_unique().over(slot) > 1)
    chosen = shared.slice(shared.height // 2, 1)
    if not chosen.height:
        return None
    same = pl.all_horizontal(pl.col(name) == chosen.get_column(name)[0] for name in ("m", "offset", "queue"))
    here = (
        same
        & (narrow.text("replica") == chosen.get_column("replica")[0])
        & (narrow.text("phase") == chosen.get_column("phase")[0])
    )
    return edit.with_reads(history, edit.set_rows(history.reads, here, digest="planted"))


def reordered(history: History, params: Params) -> History | None:
    """Deliveries of an orderly group change places, or else stored messages of one producer."""
    try:
        found = reordered_delivery(history, params)
    except MetricUnavailable:
        found = None
    return found if found is not None else reordered_store(history, params)


def reordered_delivery(history: History, params: Params) -> History | None:
    """Of two messages of one queue the earlier one is delivered just after the later one, and not before its send."""
    group = params.get("group")
    find_reordered_delivery(history, group=group)
    wanted = [group] if group else [g for g in narrow.groups_of(history) if narrow.is_orderly(history, g)]
    given = history.deliveries.with_row_index("_row").filter(
        narrow.text("group").is_in(wanted) & pl.col("offset").is_not_null() & pl.col("m").is_not_null()
    )
    first = given.sort("time_ns", maintain_order=True).unique(["group", *QUEUE, "m"], keep="first", maintain_order=True)
    lane = ["group", *QUEUE] if not any(narrow.is_broadcast(history, g) for g in wanted) else ["group", *_LANE]
    later = first.with_columns(
        m_before=pl.col("m").shift(1).over(lane),
        then_ns=pl.col("time_ns").shift(1).over(lane),
        before=pl.col("offset").shift(1).over(lane),
    ).filter((pl.col("then_ns") < pl.col("time_ns")) & (pl.col("before") < pl.col("offset")))
    if not later.height:
        return None
    one = later.slice(later.height // 2, 1).to_dicts()[0]
    # All that the group was given of it until then: a second delivery before the later message would stand in order.
    same = [pl.col(name) == one[name] if name == "queue" else narrow.text(name) == one[name] for name in lane]
    early = pl.all_horizontal(*same, pl.col("m") == one["m_before"], pl.col("time_ns") <= one["time_ns"])
    late = edit.set_rows(history.deliveries, early, time_ns=one["time_ns"] + 1)
    return edit.replace_deliveries(history, late)


def reordered_store(history: History, params: Params) -> History | None:
    """Two sends of one producer, the second begun after the first had completed, are stored in each other's place."""
    pair = successive(history, params)
    if pair is None:
        return None
    new = {pair["m"]: pair["before"], pair["m_before"]: pair["offset"]}
    return move(history, new)


def offset_gap(history: History, params: Params) -> History | None:
    """A queue's last message is one place further on."""
    reads = _reads(history, params)
    if not reads.height:
        return None
    last = reads.sort("offset").tail(1).to_dicts()[0]
    at_last = pl.all_horizontal(
        *(narrow.text(name) == str(last[name]) for name in ("phase", "replica", "broker", "topic")),
        pl.col("queue") == last["queue"],
        pl.col("offset") == last["offset"],
    )
    lonely = (
        reads.filter(at_last).height
        == reads.filter((narrow.text("replica") == last["replica"]) & (pl.col("queue") == last["queue"])).height
    )
    if lonely:
        return None
    return edit.with_reads(history, edit.set_rows(history.reads, at_last, offset=pl.col("offset") + 1))


def offset_reuse(history: History, params: Params) -> History | None:
    """One replica reads another message at an offset that already holds one."""
    reads = history.reads.with_row_index("_row").filter(_in_reads(params) & pl.col("m").is_not_null())
    lane = ["phase", "replica", *QUEUE]
    pairs = (
        reads.sort("offset")
        .with_columns(other=pl.col("offset").shift(1).over(lane), other_m=pl.col("m").shift(1).over(lane))
        .filter((pl.col("other") != pl.col("offset")) & (pl.col("other_m") != pl.col("m")))
    )
    if not pairs.height:
        return None
    one = pairs.slice(pairs.height // 2, 1).to_dicts()[0]
    here = pl.int_range(pl.len()) == one["_row"]
    return edit.with_reads(history, edit.set_rows(history.reads, here, offset=one["other"]))


def altered(history: History, params: Params) -> History | None:
    """The body of one message is not what was sent, where it is read, or delivered if nothing was read."""
    topic = params.get("topic")
    kept = pl.lit(True) if topic is None else narrow.text("topic").str.starts_with(topic)
    looks = (
        (history.reads, content.compared_reads(history), edit.with_reads),
        (history.deliveries, content.compared_deliveries(history), edit.replace_deliveries),
    )
    for frame, compared, put in looks:
        row = _row(frame, kept)
        if compared.height and row is not None:
            return put(history, edit.set_rows(frame, pl.int_range(pl.len()) == row, altered="body"))
    return None


def acked_and_stored(history: History, params: Params) -> int | None:
    """An acknowledged message that the finder looks for and finds."""
    return middle(_acked(history, params).join(_reads(history, params).select("m"), on="m", how="semi"))


def middle(frame: pl.DataFrame) -> int | None:
    """The message number in the middle of a table; None of an empty one."""
    return int(frame.get_column("m")[frame.height // 2]) if frame.height else None


def successive(history: History, params: Params) -> dict[str, Any] | None:
    """Two stored, acknowledged sends of one producer to one queue, the second invoked after the first completed."""
    acked = narrow.acked_of(history, params.get("process")).filter(pl.col("offset").is_not_null())
    if history.drains.height:
        acked = acked.join(_reads(history, params).select("m"), on="m", how="semi")
    lanes = acked.sort("invoke_ns").with_columns(
        before=pl.col("offset").shift(1).over(_LANE),
        m_before=pl.col("m").shift(1).over(_LANE),
        done_before=pl.col("complete_ns").shift(1).over(_LANE),
    )
    apart = lanes.filter((pl.col("done_before") < pl.col("invoke_ns")) & (pl.col("before") < pl.col("offset")))
    return apart.slice(apart.height // 2, 1).to_dicts()[0] if apart.height else None


def move(history: History, offsets: Mapping[int, int]) -> History:
    """Messages lie at other offsets: as acknowledged, and wherever they were read."""
    column = pl.col("offset")
    for message, offset in offsets.items():
        column = pl.when(pl.col("m") == message).then(offset).otherwise(column)
    moved = edit.with_reads(history, history.reads.with_columns(offset=column.cast(pl.Int64)))
    return edit.replace_sends(moved, moved.sends.with_columns(offset=column.cast(pl.Int64)))


def _acked(history: History, params: Params) -> pl.DataFrame:
    return narrow.acked_of(history, **{name: params[name] for name in _NARROW if name in params})


def _reads(history: History, params: Params) -> pl.DataFrame:
    return narrow.reads_of(history, params.get("phase", "final"), params.get("replicas"))


def _in_reads(params: Params) -> pl.Expr:
    within: pl.Expr = (narrow.text("phase") == params.get("phase", "final")) & narrow.on_replicas(
        params.get("replicas")
    )
    topic = params.get("topic")
    if topic is not None:
        within &= narrow.text("topic").str.starts_with(topic)
    return within


def _row(frame: pl.DataFrame, where: pl.Expr) -> int | None:
    rows = frame.select(pl.int_range(pl.len()).filter(where)).to_series()
    return int(rows[rows.len() // 2]) if rows.len() else None


def _behind(frame: pl.DataFrame) -> int:
    last = frame.get_column("offset").max()
    return int(last) + 1 if isinstance(last, int) else 0


PLANTS: Final[Mapping[str, Plant]] = MappingProxyType(
    {
        "lost": lost,
        "lost-inside": lost_inside,
        "lacking": lacking,
        "undelivered": undelivered,
        "unread-or-undelivered": lost,
        "phantom": phantom,
        "stored-though-failed": stored_though_failed,
        "duplicate": duplicate,
        "redelivered": redelivered,
        "completed-twice": completed_twice,
        "never-completed": never_completed,
        "diverged": diverged,
        "reordered": reordered,
        "reordered-store": reordered_store,
        "reordered-delivery": reordered_delivery,
        "reordered-key": keyed.reordered_key,
        "offset-gap": offset_gap,
        "offset-reuse": offset_reuse,
        "altered": altered,
        "torn": torn.tear,
    }
)
"""What is planted for each anomaly."""
