"""Metrics of how a consumer group shares its queues: who was given what, and how soon another takes over."""

from __future__ import annotations

import math
from typing import Literal

import polars as pl

from harness.checkers import narrow
from harness.checkers.narrow import QUEUE
from harness.core.errors import MetricUnavailable
from harness.core.history import History


def queues_per_member(
    history: History, *, group: str, during: str, members: int, which: Literal["most", "least"]
) -> float:
    """Queues from which one of the group's members was given messages while the last step `during` went on.

    Of the member that had the most of them, or the least: 0 if fewer than `members` were given anything. A queue
    without messages in that time belongs to nobody here, so the load must reach all of them. Raises
    MetricUnavailable if nothing was delivered in the step: owning nothing and being given nothing look the same.
    """
    given = _during(history, group, during)
    owned = given.group_by("process").agg(queues=pl.struct(QUEUE).n_unique()).get_column("queues").to_list()
    if which == "most":
        return float(max(owned))
    return float(min(owned)) if len(owned) >= members else 0.0


def queues_in_use(history: History, *, group: str, during: str) -> float:
    """Queues of which anything was given to the group while the step went on: for a gate beside the shares."""
    return float(_during(history, group, during).select(pl.struct(QUEUE).n_unique()).item())


def owners_per_queue(history: History, *, group: str, during: str) -> float:
    """Members that were given messages of one and the same queue during the step: of the queue that had the most."""
    owners = _during(history, group, during).group_by(QUEUE).agg(owners=pl.col("process").n_unique())
    return float(max(owners.get_column("owners").to_list()))


def least_delivered_ratio(history: History, *, group: str, sent_after: str | None = None) -> float:
    """The share of all acknowledged messages that the member which was given the fewest was given, 0 to 1.

    Of those on the group's topics. 1 for a group in which each gets every message; of n that share them, about 1/n.
    """
    acked = (
        narrow.acked_of(history, sent_after=sent_after).filter(narrow.subscribed(history, group)).select("m").unique()
    )
    members = narrow.members_of(history, group)
    if not acked.height or not members:
        raise MetricUnavailable(f"nothing was acknowledged, or group {group} had no member; there are no shares")
    given = history.deliveries.filter(narrow.text("group") == group).join(acked, on="m", how="semi")
    counts = given.group_by(narrow.text("process")).agg(got=pl.col("m").n_unique())
    by_member = dict(counts.iter_rows())
    fewest: int = min(by_member.get(member, 0) for member in members)
    return fewest / acked.height


def taken_over_s(
    history: History,
    *,
    group: str,
    window: str,
    which: Literal["first", "last"] = "last",
    looked_back_s: float = 5.0,
) -> float:
    """Seconds from the fault until another member was given a message of a queue of the member that was hit.

    Of the last of its queues, by which all are taken over; or of the first, before which it has kept them all. Its
    queues are those of which it was given something in the `looked_back_s` before the injection. Infinite for one that
    nobody took over. Raises MetricUnavailable if the member had no queue, or if the fault hit anybody but one member.
    """
    fault = narrow.window_of(history, window)
    given = history.deliveries.filter(narrow.text("group") == group)
    victims = [name for name in narrow.members_of(history, group) if name in fault.targets]
    if len(victims) != 1:
        raise MetricUnavailable(f"fault {window!r} hit {len(victims)} members of {group}; this is about one")
    mine = narrow.text("process") == victims[0]
    recent = pl.col("time_ns").is_between(fault.inject_ns - int(looked_back_s * 1e9), fault.inject_ns)
    owned = given.filter(mine & recent).select(QUEUE).unique()
    if not owned.height:
        raise MetricUnavailable(f"{victims[0]} had no queue before {window!r}: there is nothing to take over")
    begin = narrow.instant(history, window, "observed")
    others = given.filter(~mine & (pl.col("time_ns") >= begin)).group_by(QUEUE).agg(first=pl.col("time_ns").min())
    taken = owned.join(others, on=QUEUE, how="left")
    times = [math.inf if at is None else (at - begin) / 1e9 for at in taken.get_column("first").to_list()]
    return float(max(times) if which == "last" else min(times))


def _during(history: History, group: str, step: str) -> pl.DataFrame:
    within = pl.col("time_ns").is_between(*narrow.last_step(history, step))
    given = history.deliveries.filter((narrow.text("group") == group) & within)
    if not given.height:
        raise MetricUnavailable(f"group {group} was given nothing during {step!r}: it shows nothing")
    return given
