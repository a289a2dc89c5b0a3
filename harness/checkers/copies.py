"""Finders of messages that are there more than once, or not the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.hit import ended_by_faults
from harness.checkers.narrow import QUEUE, Replicas
from harness.core.errors import MetricUnavailable
from harness.core.history import History
from harness.core.verdict import Finding

_SLOT: Final = [*QUEUE, "offset"]
_SHORT: Final = 2**15


def duplicate(
    history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None
) -> Finding:
    """Messages that one replica stores more than once in a topic; counts the copies beyond the first.

    At least once allows them: a client that was not answered sends again. One copy of an unknown send is no duplicate.
    """
    reads = narrow.reads_of(history, phase, replicas).filter(pl.col("m").is_not_null())
    if topic is not None:
        reads = reads.filter(narrow.text("topic").str.starts_with(topic))
    return _repeated("duplicate", reads, ["replica", "topic", "m"])


def redelivered(history: History, *, group: str | None = None) -> Finding:
    """Messages given to a group more than once; counts the deliveries beyond the first.

    A later attempt (reconsume above the last) is a retry and not counted, if consumers of the group were told to
    refuse; where none was, nothing asked for another attempt. Each member of a broadcasting group is counted for
    itself. At least once allows redeliveries.
    """
    wanted = narrow.groups_of(history, group)
    given = history.deliveries.filter(pl.col("m").is_not_null() & narrow.text("group").is_in(wanted))
    given = given.with_columns(pl.col("reconsume").fill_null(0))
    steady = [g for g in wanted if not narrow.may_refuse(history, g)]
    if steady:
        again = pl.when(narrow.text("group").is_in(steady)).then(0).otherwise("reconsume")
        given = given.with_columns(again.cast(given.schema["reconsume"]).alias("reconsume"))
    everyone = narrow.text("group").is_in([g for g in wanted if narrow.is_broadcast(history, g)])
    if not any(narrow.is_broadcast(history, g) for g in wanted):
        return _repeated("redelivered", given, ["group", "m", "reconsume"])
    parts = [given.filter(~everyone), given.filter(everyone)]
    shared = _repeated("redelivered", parts[0], ["group", "m", "reconsume"])
    each = _repeated("redelivered", parts[1], ["group", "process", "m", "reconsume"])
    shown = (*shared.examples, *each.examples)[:8]
    return Finding("redelivered", shared.count + each.count, shared.of + each.of, shown)


def completed_twice(history: History, *, process: str | None = None) -> Finding:
    """Sends whose completion came more than once: a callback that fired again. Counts sends."""
    sends = narrow.sends_of(history, process)
    found = sends.filter(pl.col("completions") > 1)
    return Finding(
        "completed-twice", found.height, sends.height, narrow.examples(found, "id", "process", "completions")
    )


def never_completed(history: History, *, process: str | None = None) -> Finding:
    """Sends of which nobody was ever told anything: a callback that did not fire. Counts sends.

    Producers wait at their end until everything is answered, a minute at most. One that a fault killed did not, and
    none of its sends is looked at.
    """
    ended = sorted(ended_by_faults(history))
    sends = narrow.sends_of(history, process).filter(~narrow.text("process").is_in(ended))
    found = sends.filter(pl.col("completions") == 0)
    return Finding("never-completed", found.height, sends.height, narrow.examples(found, "id", "process", "invoke_ns"))


def diverged(history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None) -> Finding:
    """Queue offsets at which two replicas of a broker do not hold the same, within the range that both of them have.

    A message that is missing inside that range counts; what one replica has beyond another's end is lag, and what it
    has before its beginning is head (both are figures, not divergence). Each two are compared for themselves: a third
    that is far behind hides nothing.
    """
    reads = narrow.reads_of(history, phase, replicas)
    drains = narrow.drains_of(history, phase, replicas)
    if topic is not None:
        reads = reads.filter(narrow.text("topic").str.starts_with(topic))
        drains = drains.filter(narrow.text("topic").str.starts_with(topic))
    compared = [_between(reads, drains, pair) for pair in _pairs(drains)]
    bad = pl.concat([one.bad for one in compared]).unique().sort("offset", *_SLOT)
    judged = [one.judged for one in compared]
    of = judged[0].height if len(judged) == 1 else pl.concat(judged).n_unique()
    figures = {"lag": max(one.lag for one in compared), "head": max(one.head for one in compared)}
    return Finding("diverged", bad.height, of, narrow.examples(bad, *_SLOT), figures)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the comparison of some replicas came to: the offsets looked at, and those of them that differ."""

    judged: pl.DataFrame
    bad: pl.DataFrame
    lag: int
    head: int


def _pairs(drains: pl.DataFrame) -> list[tuple[str, ...]]:
    """Every two replicas of one broker name that were both asked; an empty pair stands for all, if none has more.

    Raises MetricUnavailable if no broker name has two.
    """
    each = drains.group_by("broker").agg(who=narrow.text("replica").unique().sort()).get_column("who").to_list()
    if max((len(who) for who in each), default=0) == 2:
        return [()]
    pairs: list[tuple[str, ...]] = sorted({pair for who in each for pair in combinations(who, 2)})
    if not pairs:
        raise MetricUnavailable("no queue was read from two replicas; there is nothing to compare")
    return pairs


def _between(reads: pl.DataFrame, drains: pl.DataFrame, pair: tuple[str, ...]) -> _Compared:
    if pair:
        of_them = narrow.text("replica").is_in(pair)
        reads, drains = reads.filter(of_them), drains.filter(of_them)
    common = _common(reads, drains)
    slots = reads.join(common, on=QUEUE, how="inner")
    within = slots.filter(pl.col("offset").is_between("lo", "hi"))
    held = within.group_by(_SLOT).agg(
        digests=pl.col("digest").n_unique(),
        there=pl.col("replica").n_unique(),
        copies=pl.len(),
        replicas=pl.col("replicas").first(),
    )
    suspects = held.filter((pl.col("digests") > 1) | (pl.col("there") < pl.col("replicas")))
    missing = suspects.filter(pl.col("there") < pl.col("replicas"))
    return _Compared(
        judged=held.select(_SLOT),
        bad=pl.concat([missing.select(_SLOT), _unequal(within, suspects).select(_SLOT)]),
        lag=slots.filter(pl.col("offset") > pl.col("hi")).select(_SLOT).n_unique(),
        head=slots.filter((pl.col("offset") < pl.col("lo")) & (pl.col("offset") <= pl.col("hi"))).height,
    )


def _common(reads: pl.DataFrame, drains: pl.DataFrame) -> pl.DataFrame:
    """Per queue that two or more replicas were asked for: the range of offsets that all of them have."""
    shared = drains.group_by(QUEUE).agg(replicas=pl.col("replica").n_unique()).filter(pl.col("replicas") > 1)
    if not shared.height:
        raise MetricUnavailable("no queue was read from two replicas; there is nothing to compare")
    ends = reads.group_by([*QUEUE, "replica"]).agg(first=pl.col("offset").min(), last=pl.col("offset").max())
    ranges = ends.group_by(QUEUE).agg(lo=pl.col("first").max(), hi=pl.col("last").min(), have=pl.len())
    found = shared.join(ranges, on=QUEUE, how="left")
    # A replica that holds nothing of the queue claims no range: all of it is lag.
    empty = pl.col("have").fill_null(0) < pl.col("replicas")
    return found.with_columns(hi=pl.when(empty).then(-1).otherwise("hi"), lo=pl.col("lo").fill_null(0))


def _unequal(within: pl.DataFrame, suspects: pl.DataFrame) -> pl.DataFrame:
    """Offsets whose digests differ between replicas; one offset may hold several messages on each."""
    few = within.join(suspects, on=_SLOT, how="semi")
    each = few.group_by([*_SLOT, "replica"]).agg(held=pl.col("digest").fill_null("").sort().str.join("\n"))
    return each.group_by(_SLOT).agg(kinds=pl.col("held").n_unique()).filter(pl.col("kinds") > 1)


def _repeated(kind: str, rows: pl.DataFrame, key: list[str]) -> Finding:
    distinct = _distinct(rows, key)
    count = rows.height - distinct
    if not count:
        return Finding(kind, 0, rows.height)
    again = rows.filter(pl.struct(key).is_duplicated()).sort("id")
    shown = narrow.examples(again, "id", "group", "process", "replica", "broker", "topic", "queue", "offset")
    return Finding(kind, count, rows.height, shown)


def _distinct(rows: pl.DataFrame, key: list[str]) -> int:
    """How many different keys there are; a message number and two short columns fit one integer, which is faster."""
    short = [pl.col(name).to_physical() for name in key if name != "m"]
    if rows.height and "m" in key and len(short) == 2:
        highest = rows.select(column.max().cast(pl.Int64) for column in short).row(0)
        if all(value is not None and value < _SHORT for value in highest):
            wide = [column.fill_null(_SHORT).cast(pl.UInt64) for column in short]
            one = (wide[0] * (_SHORT + 1) + wide[1]) * 2**32 + pl.col("m").cast(pl.UInt64)
            return int(rows.select(one.n_unique()).item())
    return rows.select(key).n_unique() if rows.height else 0
