"""Metrics that measure time: outages, recovery, latency, how much acknowledged time was lost."""

from __future__ import annotations

import math
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.hit import with_stretch
from harness.checkers.narrow import FOREVER_NS, Replicas, Since
from harness.checkers.observed import observed
from harness.core.errors import MetricUnavailable
from harness.core.history import History

_TAIL_NS: Final = 1_000_000_000
"""Unacknowledged sends of the last second of a producer may be its end and not an outage."""

REPLICATION_LAG: Final = "replication-lag"
"""The name under which what the probe ReplicationLag saw is recorded, unless a suite gives it another."""


def rto_max_s(history: History, *, window: str | None = None, process: str | None = None) -> float:
    """The longest time any one producer went without an acknowledgement because of the fault, in seconds.

    For each producer: from its last SEND_OK before (or its first send, if it had none) to its first SEND_OK after,
    over every such stretch that touches the window (from inject to heal; of a lasting fault, to the end). Without a
    window, the worst over all windows. Infinite for a producer that went on sending for more than a second without
    ever being acknowledged again. Includes the pause between two sends, so the load must be steady. Never "the first
    success of any client".
    """
    producers = rto_per_producer(history, window=window, process=process)
    if not producers:
        raise MetricUnavailable("no producer was sending when the fault came; there is no time to recover")
    return max(producers.values())


def rto_per_producer(history: History, *, window: str | None = None, process: str | None = None) -> dict[str, float]:
    """`rto_max_s` of each producer that was sending in the window; probes and direct sends are producers too."""
    names = [window] if window is not None else [w.name for w in history.windows]
    if not names:
        raise MetricUnavailable("no fault was injected; there is nothing to recover from")
    worst: dict[str, float] = {}
    for name in names:
        for producer, seconds in _rto(history, name, process).items():
            worst[producer] = max(seconds, worst.get(producer, 0.0))
    return worst


def outage_s(history: History, *, window: str, process: str | None = None) -> float:
    """From the first to the last failed or unanswered completion since the injection, in seconds; 0 without any.

    A send that never completed counts with its invoke.
    """
    begin = narrow.instant(history, window, "inject")
    ended = pl.coalesce("complete_ns", "invoke_ns")
    bad = narrow.sends_of(history, process).filter((pl.col("outcome") != "ok") & (ended >= begin))
    times = bad.select(first=ended.min(), last=ended.max()).row(0)
    return 0.0 if times[0] is None else float(times[1] - times[0]) / 1e9


def latency_p50_ms(history: History, *, window: str | None = None, process: str | None = None) -> float:
    """Median time of acknowledged sends, ms; with a window, of those completed in it."""
    return _latency_ms(history, 0.5, window, process)


def latency_p99_ms(history: History, *, window: str | None = None, process: str | None = None) -> float:
    """99th percentile of the time of acknowledged sends, ms."""
    return _latency_ms(history, 0.99, window, process)


def latency_max_ms(history: History, *, window: str | None = None, process: str | None = None) -> float:
    """Longest time of an acknowledged send, ms."""
    return _latency_ms(history, 1.0, window, process)


def latency_min_ms(history: History, *, window: str, process: str | None = None) -> float:
    """Shortest time of an acknowledged send that was begun after the fault was seen to bite and ended before its heal.

    For what must wait for something slow: what was under way when it became slow does not count.
    """
    begin, end = narrow.instant(history, window, "observed"), narrow.instant(history, window, "heal")
    inside = (pl.col("invoke_ns") >= begin) & (pl.col("complete_ns") <= end)
    took = narrow.acked_of(history, process).filter(inside)
    shortest = took.select((pl.col("complete_ns") - pl.col("invoke_ns")).min()).item()
    if shortest is None:
        raise MetricUnavailable(f"no send that was begun and ended within {window} was acknowledged")
    return float(shortest) / 1e6


def rpo_ms(history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None) -> float:
    """How much acknowledged time was lost, ms: from the oldest lost SEND_OK to the newest one before the fault.

    Per broker name and stretch of its log (see `hit.with_stretch`): the instant of the last SEND_OK by the broker that
    completed before the fault was seen that ended the stretch, minus that of its oldest lost SEND_OK; the largest of
    these. 0 if nothing was lost (or only the very last message was). How long the broker was away counts for nothing.
    """
    there = narrow.reads_of(history, phase, replicas).select("m")
    aged = acknowledged_age(history, topic)
    if not aged.height:
        raise MetricUnavailable("nothing was acknowledged: there is no time of which anything could be lost")
    oldest = aged.join(there, on="m", how="anti").get_column("age_ms").max()
    return float(oldest) if isinstance(oldest, float) else 0.0


def acknowledged_age(history: History, topic: str | None = None) -> pl.DataFrame:
    """Acknowledged sends with `epoch` (the stretch of their broker's log) and `age_ms`.

    Their age is at the last SEND_OK of the same broker name and stretch that completed before the fault was seen: what
    would be lost with the message and everything newer. Not the injection: a broker that is stopped goes on
    acknowledging after it. What was written down later still is of age 0.
    """
    acked = with_stretch(history, narrow.acked_of(history, topic=topic))
    before = pl.col("complete_ns").filter(pl.col("complete_ns") <= pl.col("ended_ns"))
    newest = before.max().over("broker", "epoch").fill_null(pl.col("complete_ns"))
    age_ns = (newest - pl.col("complete_ns")).clip(lower_bound=0)
    return acked.with_columns(age_ms=age_ns / 1e6)


def rpo_excess_ms(
    history: History,
    *,
    lag: str = REPLICATION_LAG,
    factor: float = 3.0,
    floor_ms: float = 1000.0,
    lag_below_ms: float = 1000.0,
    phase: str = "final",
    replicas: Replicas = None,
) -> float:
    """`rpo_ms` minus what is allowed: the larger of `floor_ms` and `factor` times the p99 of the observation `lag`.

    That p99 lies between two bounds (see the probe ReplicationLag). Positive if even the upper one does not explain the
    loss, else negative or 0 if the lower one does; between the two it cannot be told, which is MetricUnavailable.

    So it is if the p99 is not surely below `lag_below_ms`: the lag of a slave that stands still grows as fast as what
    it lacks, and would excuse any loss. "Milliseconds" are promised, which a second is not by any reading, and such a
    run does not show whether the product was slow or the machine.
    """
    strict_ms, wide_ms = allowed_ms(history, lag=lag, factor=factor, floor_ms=floor_ms)
    lost_ms = rpo_ms(history, phase=phase, replicas=replicas)
    if lost_ms > wide_ms:
        return lost_ms - wide_ms
    p99_ms = observed(history, name=f"{lag}.p99_ms")
    if p99_ms >= lag_below_ms:
        raise MetricUnavailable(
            f"the p99 of {lag!r} was {p99_ms:.6g} ms, not below {lag_below_ms:g}: "
            f"a slave that far behind would excuse a loss of {wide_ms:.6g} ms"
        )
    if lost_ms > strict_ms:
        raise MetricUnavailable(
            f"{lost_ms:.6g} ms were lost and between {strict_ms:.6g} and {wide_ms:.6g} are allowed: "
            f"{lag!r} was sampled too coarsely to tell"
        )
    return lost_ms - strict_ms


def allowed_ms(
    history: History, *, lag: str = REPLICATION_LAG, factor: float = 3.0, floor_ms: float = 1000.0
) -> tuple[float, float]:
    """What a lag allows to be lost, ms, if its p99 was as small and as large as it may have been."""
    least_ms, most_ms = (observed(history, name=f"{lag}.{bound}") for bound in ("p99_at_least_ms", "p99_ms"))
    if not 0 <= least_ms <= most_ms:
        raise MetricUnavailable(f"the p99 of {lag!r} was seen between {least_ms:g} and {most_ms:g} ms, which is no lag")
    return max(floor_ms, factor * least_ms), max(floor_ms, factor * most_ms)


def ahead_of_answer_s(history: History, *, window: str, group: str) -> float:
    """Seconds by which a message was given to the group before its sender was told SEND_OK: the most of any.

    Of those begun within the fault; negative if each was answered first. Raises MetricUnavailable if none of them was
    given. A client that stands still writes an answer down late.
    """
    begin, end = narrow.span(history, window)
    sent = narrow.acked_of(history).filter(pl.col("invoke_ns").is_between(begin, end)).unique("m")
    mine = history.deliveries.filter(narrow.text("group") == group)
    first = mine.group_by("m").agg(first=pl.col("time_ns").min())
    ahead = sent.join(first, on="m").select(ahead=pl.col("complete_ns") - pl.col("first")).get_column("ahead")
    if not ahead.len():
        raise MetricUnavailable(f"nothing that was sent during {window!r} was given to {group}")
    return float(ahead.max()) / 1e9  # type: ignore[arg-type]


def time_to_first_delivery_s(
    history: History,
    *,
    window: str,
    group: str | None = None,
    since: Since = "inject",
    broker: str | None = None,
) -> float:
    """Seconds from an instant of the window to the next delivery (from that broker name); infinite if none came."""
    begin = narrow.instant(history, window, since)
    given = history.deliveries.filter(pl.col("time_ns") >= begin)
    if group is not None:
        given = given.filter(narrow.text("group") == group)
    if broker is not None:
        given = given.filter(narrow.text("broker") == broker)
    if not history.deliveries.height:
        raise MetricUnavailable("nothing was delivered in the whole scenario; nothing shows that consumers worked")
    first = given.select(pl.col("time_ns").min()).item()
    return math.inf if first is None else float(first - begin) / 1e9


def _rto(history: History, window: str, process: str | None) -> dict[str, float]:
    begin = narrow.instant(history, window, "inject")
    fault = narrow.window_of(history, window)
    end = fault.heal_ns if fault.heal_ns is not None else FOREVER_NS
    sends = narrow.sends_of(history, process).with_columns(narrow.text("process"))
    # A send that hangs for good lasts as long as anybody was sending.
    over = history.sends.select(pl.max_horizontal(pl.col("invoke_ns").max(), pl.col("complete_ns").max())).item() or 0
    about = sends.group_by("process").agg(
        first=pl.col("invoke_ns").min(), last=pl.col("complete_ns").fill_null(over).max()
    )
    sending = about.filter((pl.col("first") < begin) & (pl.col("last") >= begin))
    oks = sends.filter(pl.col("outcome") == "ok").select("process", at="complete_ns")
    starts = sending.select("process", at="first")
    points = pl.concat([starts, oks.join(sending, on="process", how="semi")]).sort("process", "at")
    gaps = points.with_columns(next=pl.col("at").shift(-1).over("process")).join(sending, on="process")
    touching = gaps.filter((pl.col("at") <= end) & (pl.col("next").fill_null(FOREVER_NS) >= begin))
    # The stretch behind a producer's last SEND_OK is an outage only if it went on sending for a while.
    open_ = pl.col("next").is_null()
    gone = open_ & (pl.col("last") - pl.col("at") > _TAIL_NS)
    length = pl.when(gone).then(math.inf).when(open_).then(0.0).otherwise((pl.col("next") - pl.col("at")) / 1e9)
    worst = touching.with_columns(length=length).group_by("process").agg(pl.col("length").max())
    return {row["process"]: row["length"] for row in worst.sort("process").to_dicts()}


def _latency_ms(history: History, quantile: float, window: str | None, process: str | None) -> float:
    oks = narrow.acked_of(history, process)
    if window is not None:
        begin, end = narrow.span(history, window)
        oks = oks.filter(pl.col("complete_ns").is_between(begin, end))
    took = oks.select((pl.col("complete_ns") - pl.col("invoke_ns")).quantile(quantile, "nearest")).item()
    if took is None:
        raise MetricUnavailable("nothing was acknowledged; there is no latency")
    return float(took) / 1e6
