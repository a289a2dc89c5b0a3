"""Metrics that count: sends by outcome, deliveries, stored messages, shares."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from harness.checkers import narrow
from harness.checkers.copies import duplicate, redelivered
from harness.checkers.finders import find
from harness.checkers.loss import lost
from harness.checkers.narrow import FOREVER_NS, QUEUE, Replicas, Since, Until
from harness.core.errors import MetricUnavailable
from harness.core.history import History
from harness.core.verdict import Finding


def invoked(history: History, *, process: str | None = None, topic: str | None = None) -> float:
    """Sends that were begun."""
    return narrow.sends_of(history, process, topic).height


def acked(
    history: History, *, process: str | None = None, topic: str | None = None, broker: str | None = None
) -> float:
    """Acknowledged sends (SEND_OK), of one broker name if asked."""
    return narrow.acked_of(history, process, topic, broker).height


def failed(history: History, *, process: str | None = None, topic: str | None = None) -> float:
    """Sends that surely were not stored."""
    return _outcome(history, "fail", process, topic)


def unknown(history: History, *, process: str | None = None, topic: str | None = None) -> float:
    """Sends of which nobody was told whether they are stored, or stored with a weaker status than SEND_OK."""
    return _outcome(history, "info", process, topic)


def unknown_stored(history: History, *, phase: str = "final") -> float:
    """Sends of unknown outcome that a read of the phase found on any replica: those that did happen.

    What was not read to its end may hold more of them; whether one was delivered is not asked.
    """
    sends = history.sends.filter(pl.col("outcome") == "info")
    return sends.join(narrow.reads_of(history, phase).select("m"), on="m", how="semi").height


def unacknowledged(
    history: History, *, process: str | None = None, topic: str | None = None, but: Sequence[str] = ()
) -> float:
    """Sends without SEND_OK: failed and unknown, so also timeouts and, unless they are in `but`, weaker statuses."""
    allowed = (pl.col("outcome") == "ok") | narrow.text("status").is_in(list(but)).fill_null(False)
    return _made(history, process, topic).filter(~allowed).height


def unacknowledged_in(
    history: History,
    *,
    window: str,
    since: Since = "inject",
    until: Until = "heal",
    margin_s: float = 0.0,
    process: str | None = None,
) -> float:
    """Unacknowledged sends that were under way at any moment of the window (until `margin_s` after it)."""
    begin, end = narrow.span(history, window, since, until, margin_s)
    return _under_way(history, process, begin, end).filter(pl.col("outcome") != "ok").height


def ok_in(
    history: History,
    *,
    window: str,
    since: Since = "observed",
    until: Until = "heal",
    process: str | None = None,
    broker: str | None = None,
) -> float:
    """Acknowledged sends that were begun and completed within the window: for demands that there are some.

    Leaves out what was under way at its begin. That there are none is for `ok_despite` to say, which does not.
    """
    begin, end = narrow.span(history, window, since, until)
    _under_way(history, process, begin, end)
    within = (pl.col("invoke_ns") >= begin) & (pl.col("complete_ns") <= end)
    return narrow.acked_of(history, process, broker=broker).filter(within).height


def invoked_in(
    history: History, *, window: str, since: Since = "observed", until: Until = "heal", process: str | None = None
) -> float:
    """Sends begun within the window, whatever came of them: what makes a count of none mean something."""
    begin, end = narrow.span(history, window, since, until)
    return narrow.sends_of(history, process).filter(pl.col("invoke_ns").is_between(begin, end)).height


def answered(
    history: History,
    *,
    status: str | Sequence[str] | None = None,
    code: int | Sequence[int] | None = None,
    process: str | None = None,
    window: str | None = None,
) -> float:
    """Sends that ended with one of these statuses, as the client names them, or response codes."""
    sends = narrow.sends_of(history, process)
    if status is not None:
        sends = sends.filter(narrow.text("status").is_in([status] if isinstance(status, str) else list(status)))
    if code is not None:
        sends = sends.filter(pl.col("code").is_in([code] if isinstance(code, int) else list(code)))
    if window is not None:
        begin, end = narrow.span(history, window)
        sends = sends.filter(pl.col("complete_ns").is_between(begin, end))
    return sends.height


def success_ratio(
    history: History, *, process: str | None = None, window: str | None = None, margin_s: float = 0.0
) -> float:
    """Acknowledged sends of all sends, 0 to 1; with a window, of those under way in it."""
    sends = narrow.sends_of(history, process)
    if window is not None:
        begin, end = narrow.span(history, window, margin_s=margin_s)
        done = pl.col("complete_ns").fill_null(FOREVER_NS)
        sends = sends.filter((pl.col("invoke_ns") <= end) & (done >= begin))
    if not sends.height:
        raise MetricUnavailable("no send was made; there is no ratio")
    return sends.filter(pl.col("outcome") == "ok").height / sends.height


def ok_per_s(history: History) -> float:
    """Acknowledged sends a second, from the first send's begin to the last answer: faults and pauses included."""
    span = history.sends.select(pl.col("complete_ns").max() - pl.col("invoke_ns").min()).item()
    if not span:
        raise MetricUnavailable("no send was answered; there is no rate")
    return float(acked(history) / (span / 1e9))


def broker_share(history: History, *, broker: str, topic: str | None = None, process: str | None = None) -> float:
    """Share of the acknowledged sends that this broker name acknowledged, 0 to 1."""
    every = narrow.acked_of(history, process, topic)
    if not every.height:
        raise MetricUnavailable("nothing was acknowledged; there are no shares")
    return every.filter(narrow.text("broker") == broker).height / every.height


def queue_share_deviation(
    history: History, *, topic: str | None = None, process: str | None = None, queues: int | None = None
) -> float:
    """How far the busiest or idlest queue is from an even share, as a part of that share (0.05 = 5 %).

    `queues` is how many there are; else those that were read back or, failing that, that acknowledged anything. A
    queue that got nothing is 1 away only if it is known by one of these.
    """
    every = narrow.acked_of(history, process, topic).filter(pl.col("queue").is_not_null())
    if not every.height:
        raise MetricUnavailable("nothing was acknowledged; there are no shares")
    counts = every.group_by(QUEUE).len().get_column("len")
    drained = history.drains.join(every.select("topic").unique(), on="topic", how="semi")
    number = queues or pl.concat([every.select(QUEUE), drained.select(QUEUE)]).n_unique()
    even = every.height / number
    furthest = max(abs(count / even - 1) for count in counts.to_list())
    return 1.0 if number > counts.len() and furthest < 1 else furthest


def lost_count(history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None) -> float:
    """Acknowledged messages that are in no read of the phase: the recovery point as a count.

    Raises MetricUnavailable if nothing was acknowledged: nothing can be lost of nothing.
    """
    return _counted(lost(history, phase=phase, replicas=replicas, topic=topic))


def delivered(history: History, *, group: str | None = None, broker: str | None = None) -> float:
    """Distinct messages given to the group, or to any."""
    given = history.deliveries.filter(pl.col("m").is_not_null())
    if group is not None:
        given = given.filter(narrow.text("group") == group)
    if broker is not None:
        given = given.filter(narrow.text("broker") == broker)
    return given.get_column("m").n_unique()


def duplicates_delivered(history: History, *, group: str | None = None) -> float:
    """Deliveries beyond the first of a message at the same attempt. Of nothing there is no count: MetricUnavailable."""
    return _counted(redelivered(history, group=group))


def duplicate_ratio(history: History, *, group: str | None = None) -> float:
    """Deliveries beyond the first, per delivery; 0 to 1."""
    found = redelivered(history, group=group)
    if not found.of:
        raise MetricUnavailable("nothing was delivered; there is no ratio")
    return found.count / found.of


def duplicates_stored(history: History, *, phase: str = "final", replicas: Replicas = None) -> float:
    """Stored copies beyond the first of a message on one replica."""
    return duplicate(history, phase=phase, replicas=replicas).count


def members_served(history: History, *, group: str) -> float:
    """How many processes of the group were given anything."""
    given = history.deliveries.filter(narrow.text("group") == group)
    return given.get_column("process").n_unique()


def stored_count(
    history: History, *, phase: str = "final", replicas: Replicas = None, topic: str | None = None
) -> float:
    """Messages read back, every copy on every replica counted."""
    reads = narrow.reads_of(history, phase, replicas)
    return (reads if topic is None else reads.filter(narrow.text("topic").str.starts_with(topic))).height


def drained_queues(history: History, *, phase: str = "final", replicas: Replicas = None) -> float:
    """Queues of replicas that were read to their end."""
    return narrow.drains_of(history, phase, replicas).filter("complete").height


def found(history: History, *, anomaly: str, **params: object) -> float:
    """How many anomalies of a kind its finder counts: for bounds other than none.

    Raises MetricUnavailable if there was nothing to look at.
    """
    return _counted(find(history, anomaly, params))


def unstored(
    history: History,
    *,
    statuses: Sequence[str],
    phase: str = "final",
    replicas: Replicas = None,
    topic: str | None = None,
) -> float:
    """Sends that were answered with one of these weaker statuses, which say "stored", and that no read found.

    None was need not be: a good run may have no such answer. Raises MetricUnavailable if nothing was read at all.
    """
    read = narrow.reads_of(history, phase, replicas)
    if not read.height:
        raise MetricUnavailable(f"nothing was read in phase {phase!r}: it shows nothing")
    told = narrow.acked_of(history, topic=topic, statuses=statuses)
    return told.join(read.select("m"), on="m", how="anti").height


def _counted(finding: Finding) -> float:
    if not finding.of:
        raise MetricUnavailable(f"{finding.kind}: there was nothing to look at")
    return finding.count


def _outcome(history: History, outcome: str, process: str | None, topic: str | None) -> float:
    return _made(history, process, topic).filter(pl.col("outcome") == outcome).height


def _made(history: History, process: str | None, topic: str | None) -> pl.DataFrame:
    """Sends of these names. None at all is a name that nobody has: a count of none would prove nothing."""
    sends = narrow.sends_of(history, process, topic)
    if not sends.height:
        raise MetricUnavailable(f"no send was made by {process or 'anyone'} to {topic or 'any topic'}")
    return sends


def _under_way(history: History, process: str | None, begin: int, end: int) -> pl.DataFrame:
    done = pl.col("complete_ns").fill_null(FOREVER_NS)
    sends = narrow.sends_of(history, process).filter((pl.col("invoke_ns") <= end) & (done >= begin))
    if not sends.height:
        raise MetricUnavailable(f"no send of {process or 'anyone'} was under way in the window: it shows nothing")
    return sends
