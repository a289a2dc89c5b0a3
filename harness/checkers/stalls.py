"""When a client, the harness, the disk or a node did not get on, and what that violates though the product is well."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.metrics import measure
from harness.checkers.narrow import FOREVER_NS
from harness.checkers.standstills import DISK, HARNESS, Stall, stalls, stalls_text
from harness.core.errors import HarnessError
from harness.core.expectation import COMPARE, Expectation, Forbid, Require
from harness.core.history import History
from harness.core.names import COUNTS, DRAIN, PROCESSORS_WATCHED, QUIET_S
from harness.core.verdict import Assumption
from harness.core.window import FaultWindow

_EDGE_NS: Final = 10_000_000_000
"""A stall so close to what is looked at may reach into it: sends time out and are made again, queues change hands."""

_STAMPS: Final = frozenset({"ok_despite", "rpo_ms", "rpo_excess_ms", "retry_s"})
"""What stamps moved by a client's stall can falsify: a disk stamps nothing, and nor does a node."""
_RAISED, _LOWERED, _STAMPED, _EITHER = "raised", "lowered", "stamped", "either"
_METRICS: Final = MappingProxyType(
    {
        **dict.fromkeys(("latency_min_ms", "latency_p50_ms", "latency_p99_ms", "latency_max_ms"), _RAISED),
        **dict.fromkeys(("rto_max_s", "outage_s"), _RAISED),
        **dict.fromkeys(("unacknowledged", "unacknowledged_in", "unacknowledged_begun_in"), _RAISED),
        "ok_despite": _RAISED,  # acknowledged in time, and written down late
        **dict.fromkeys(("failed", "unknown"), _RAISED),  # a client times out by itself, also before it has sent
        **dict.fromkeys(("step_s", "stops_using_s", "time_to_first_delivery_s"), _RAISED),
        **dict.fromkeys(("rerouted_s", "first_ok_s", "full_service_s"), _RAISED),
        **dict.fromkeys(("duplicates_delivered", "duplicate_ratio"), _RAISED),
        **dict.fromkeys(("success_ratio", "invoked", "acked", "ok_in", "invoked_in", "delivered"), _LOWERED),
        **dict.fromkeys(("members_served", "least_delivered_ratio", "queues_in_use"), _LOWERED),
        # Who stands still is given nothing, or is taken for dead and others are given its queues.
        **dict.fromkeys(("queues_per_member", "owners_per_queue"), _EITHER),
        "taken_over_s": _RAISED,
        "ahead_of_answer_s": _RAISED,  # an answer that came in time, and was written down late
        "delay_s": _RAISED,
        # Who stood still in one turn did well in the other.
        "turns_ratio": _EITHER,
        # What was given before a stall is stamped before or after it.
        "retry_s": _EITHER,
        # A consumer that stood still is given what it has again, and the same attempt is one.
        "attempts": _LOWERED,
        **dict.fromkeys(("rpo_ms", "rpo_excess_ms"), _STAMPED),  # by no more than the stall
    }
)
"""Which way a stall can move a metric. It moves none that is not here: an acknowledgement too many is one."""

_LEAVES: Final = MappingProxyType(
    {
        **dict.fromkeys(("seconds", "slowest_s", "slowest_at_least_s", "fastest_s", "missing", "no"), _RAISED),
        **dict.fromkeys(("reached", "all", "count"), _LOWERED),
    }
)
"""The same of what a look saw, by the last word of the observation's name."""

_NEVER_GIVEN: Final = frozenset({"undelivered", "unread-or-undelivered"})
_ANOMALIES: Final = _NEVER_GIVEN | {"redelivered"}
_OF_DELIVERIES: Final = _ANOMALIES | {
    "delivered",
    "members_served",
    "duplicates_delivered",
    "duplicate_ratio",
    "time_to_first_delivery_s",
    "queues_per_member",
    "queues_in_use",
    "owners_per_queue",
    "least_delivered_ratio",
    "taken_over_s",
    "delay_s",
    "retry_s",
    "attempts",
}
_OF_STEPS: Final = frozenset({"observed", "step_s"})
_OPEN_ENDED: Final = frozenset(
    {
        *("outage_s", "time_to_first_delivery_s", "stops_using_s", "taken_over_s"),
        *("rerouted_s", "first_ok_s", "full_service_s"),
    }
)


def clients_ran(history: History) -> Assumption:
    """What is known of stalls, for the report: they excuse violations, each where it can be one, and void nothing.

    Nodes are watched where the kernel counts for what they wait and they run on this machine.
    """
    seen = stalls(history)
    if seen:
        return Assumption("clients-ran", True, f"not all the time: {stalls_text(seen)}")
    names = {e.name for e in history.events}
    if COUNTS not in names:
        return Assumption("clients-ran", True, "not known: it was not watched")
    nodes = "nodes, " if PROCESSORS_WATCHED in names else ""
    message = f"neither clients, {nodes}harness nor disk were seen to stand still"
    return Assumption("clients-ran", True, message)


def near_stalls(history: History, demand: Expectation) -> tuple[Stall, ...]:
    """The stalls that touched what the demand looks at, of those whom it is about; none if no stall can violate it."""
    seen = stalls(history)
    name = _name(demand)
    if not seen or (isinstance(demand, Forbid) and name not in _ANOMALIES):
        return ()
    begin, end = _span(history, demand, name)
    return tuple(
        s
        for s in seen
        if s.from_ns <= end + _EDGE_NS and s.to_ns >= begin - _EDGE_NS and _concerns(history, s, demand, name)
    )


def moved_by_stalls(history: History, demand: Expectation, near: tuple[Stall, ...]) -> bool:
    """The violation is of a kind, and lies on the side, that stalls may have made."""
    return not isinstance(demand, Require) or _name(demand) in _ANOMALIES or _moved(history, demand, near)


def touched_by(near: tuple[Stall, ...]) -> pl.Expr:
    """Of a table of sends, those that a stall of their process, of the disk or of a node may have touched.

    A broker that was starved has touched those of its name, and those of which no broker is known; a nameserver all.
    One of the harness makes none late.
    """
    done = pl.col("complete_ns").fill_null(FOREVER_NS)
    touched = pl.lit(False)
    for stall in near:
        mine = _sends_of(stall)
        meets = (pl.col("invoke_ns") <= stall.to_ns + _EDGE_NS) & (done >= stall.from_ns - _EDGE_NS)
        touched = touched | (mine & meets)
    return touched


def _sends_of(stall: Stall) -> pl.Expr:
    if stall.process == DISK:
        return pl.lit(True)
    if not stall.starved:
        return narrow.text("process") == stall.process
    return (narrow.text("broker") == stall.broker).fill_null(True) if stall.broker else pl.lit(True)


def _name(demand: Expectation) -> str:
    if isinstance(demand, Forbid):
        return demand.anomaly
    return str(demand.params.get("anomaly", "")) if demand.metric == "found" else demand.metric


def _moved(history: History, demand: Require, near: tuple[Stall, ...]) -> bool:
    """The violation lies on the side to which a stall moves this metric."""
    name = demand.metric
    if name == "observed":
        way = _LEAVES.get(str(demand.params.get("name", "")).rpartition(".")[2])
    else:
        way = _METRICS.get(name)
    if way is None or way == _EITHER:
        return way is not None
    try:
        value = measure(history, name, demand.params)
    except HarnessError:
        return False
    if way == _STAMPED:
        stood_ms = sum(s.to_ns - s.from_ns for s in near) / 1e6
        return value > demand.bound and COMPARE[demand.op](value - stood_ms, demand.bound)
    above = value > demand.bound or (value == demand.bound and demand.op == "<")
    return demand.op != "!=" and above is (way == _RAISED)


def _span(history: History, demand: Expectation, name: str) -> tuple[int, int]:
    """What the demand looks at; the whole run, until the workers were stopped, if it names no window and no step."""
    params = demand.params
    if params.get("window") is not None:
        window = narrow.window_of(history, params["window"])
        return window.inject_ns, _until(window, params, open_ended=name in _OPEN_ENDED)
    if params.get("during") is not None:
        begin, end = narrow.last_step(history, str(params["during"]))
        return begin - int(QUIET_S * 1e9), end
    if name in _OF_STEPS:
        seen = str(params.get("name", ""))
        steps = [s for s in history.steps if seen == s.name or seen.startswith(f"{s.name}.")]
        if steps:
            return _since(history, steps[-1].start_ns), steps[-1].end_ns or FOREVER_NS
    if name in _NEVER_GIVEN:
        return _last_wait(history, params.get("group"))
    first = history.sends.select(pl.col("invoke_ns").min()).item()
    return first or 0, _end(history)


def _last_wait(history: History, group: object) -> tuple[int, int]:
    """The last look at what a group was not given yet, back to where the wait for it must have been quiet to count.

    Who stood still before that had the time to catch up, or others were given its queues. Of a history that does not
    tell when that look was, the end of the work.
    """
    waits = [o.time_ns for o in history.observations if o.name.startswith(DRAIN)]
    own = [o.time_ns for o in history.observations if o.name == f"{DRAIN}{group}"]
    quiet_ns = int(QUIET_S * 1e9)
    if own or waits:
        return min(own or waits) - quiet_ns, max(own or waits)
    end = _end(history)
    return end - quiet_ns, end


def _end(history: History) -> int:
    """When the workers were stopped, or the last of what they did; who was never stopped tells its counts later."""
    stopped = (e.time_ns for e in history.events if e.name == COUNTS and e.detail.get("final"))
    lasts = [
        history.sends.select(pl.max_horizontal(pl.col("invoke_ns").max(), pl.col("complete_ns").max())).item(),
        history.deliveries.select(pl.col("time_ns").max()).item(),
        max(stopped, default=None),
    ]
    return max((at for at in lasts if at is not None), default=FOREVER_NS)


def _until(window: FaultWindow, params: dict[str, object], *, open_ended: bool) -> int:
    if open_ended or params.get("until") == "end" or window.heal_ns is None:
        return FOREVER_NS
    margin_s = params.get("margin_s", 0.0)
    margin_ns = int(float(margin_s) * 1e9) if isinstance(margin_s, int | float) else 0
    return max(window.heal_ns, window.recovered_ns or 0) + margin_ns


def _since(history: History, start_ns: int) -> int:
    """What a step waits for began with the last fault or heal before it: its time is often counted from there."""
    turns = [at for w in history.windows for at in (w.inject_ns, w.heal_ns) if at is not None and at <= start_ns]
    return max(turns, default=start_ns)


def _concerns(history: History, stall: Stall, demand: Expectation, name: str) -> bool:
    """Harness, disk and nodes always; of the workers those the demand is about: by role and, if it names one, name."""
    if stall.process == DISK or stall.starved:
        return name not in _STAMPS
    if stall.process == HARNESS or name in _OF_STEPS:
        return True
    about = history.processes.get(stall.process, {})
    config = about.get("config")
    role = config.get("role") if isinstance(config, dict) else None
    if role is not None and (role == "consumer") is not (name in _OF_DELIVERIES):
        return False
    # A demand on deliveries names whose messages they are, and not who is given them.
    process = None if name in _OF_DELIVERIES else demand.params.get("process")
    return process is None or stall.process.startswith(str(process))
