"""Histories in which a metric comes out otherwise: candidates, tried in turn until one violates the demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import polars as pl

from harness.checkers import edit, narrow, plants, timing, turns
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Require
from harness.core.history import History

_OBSERVED: Final = {"observed": "name", "observed_ratio": "first", "observed_difference": "first"}
_LATENCY: Final = frozenset({"latency_min_ms", "latency_p50_ms", "latency_p99_ms", "latency_max_ms"})
_OUTAGES: Final = frozenset({"outage_s", "rto_max_s"})
_LOST_TIME: Final = frozenset({"rpo_ms", "rpo_excess_ms"})
_NO_STATUS: Final = "PLANTED"


def mutations(history: History, demand: Require) -> Iterator[History]:
    """Falsified histories, the smallest change first. Which of them violates the demand is for the caller to see."""
    params = demand.params
    if demand.metric in _OBSERVED:
        yield from _observations(history, str(params.get(_OBSERVED[demand.metric])), demand)
        return
    if demand.metric == "turns_ratio":
        yield from _turns(history, str(params.get("name")))
        return
    if demand.metric == "found":
        planted = _found(history, params)
        if planted is not None:
            yield from planted
        return
    if demand.metric in _LATENCY:
        longer_ns = int(abs(demand.bound) * 2e6) + 1
        yield edit.with_sends(history, pl.col("outcome") == "ok", invoke_ns=pl.col("invoke_ns") - longer_ns)
        yield edit.with_sends(history, pl.col("outcome") == "ok", complete_ns=pl.col("invoke_ns"))
    if demand.metric == "ahead_of_answer_s":
        later_ns = int(abs(demand.bound) * 2e9) + 1_000_000_000
        yield edit.with_sends(history, pl.col("outcome") == "ok", complete_ns=pl.col("complete_ns") + later_ns)
    if demand.metric == "rerouted_s":
        yield from _routes(history, demand)
        return
    if demand.metric == "step_s":
        yield replace(history, steps=tuple(replace(s, end_ns=s.start_ns + int(4e18)) for s in history.steps))
        yield replace(history, steps=tuple(replace(s, end_ns=s.start_ns) for s in history.steps))
        return
    if demand.metric == "unstored":
        yield from _told_and_gone(history, params)
        return
    if demand.metric in _OUTAGES:
        yield from _outages(history, demand)
    if demand.metric in _LOST_TIME:
        yield from _tails(history, demand)
    yield from _sends(history, demand)
    yield from _deliveries(history, params)
    yield from _reads(history, params)


def _observations(history: History, name: str, demand: Require) -> Iterator[History]:
    for value in (demand.bound + 1, demand.bound - 1, demand.bound, 1.0, 0.0, 1e18, -1e18):
        yield edit.with_observation(history, name, value)


def _routes(history: History, demand: Require) -> Iterator[History]:
    """Each client learns so much later of every change of its route; or of none that comes after the fault."""
    begin = narrow.instant(history, str(demand.params.get("window")), "inject")
    late_ns = int((abs(demand.bound) + 1) * 2e9)
    late = (replace(r, time_ns=r.time_ns + late_ns * (r.time_ns >= begin)) for r in history.routes)
    yield replace(history, routes=tuple(late))
    yield replace(history, routes=tuple(r for r in history.routes if r.time_ns < begin))


def _turns(history: History, name: str) -> Iterator[History]:
    """The two loads change their names; or the turns of both are of one of them, for then they are alike."""
    try:
        seen = turns.look(history, name)
    except MetricUnavailable:
        return
    yield edit.with_observation(history, name, seen | {"first": seen["second"], "second": seen["first"]})
    yield edit.with_observation(history, name, seen | {"second": seen["first"]})


def _found(history: History, params: Any) -> Iterator[History] | None:
    planter = plants.PLANTS.get(str(params.get("anomaly")))
    if planter is None:
        return None
    rest = {key: value for key, value in params.items() if key != "anomaly"}
    planted = planter(history, rest)
    return None if planted is None else iter((planted,))


def _sends(history: History, demand: Require) -> Iterator[History]:
    """One acknowledgement less, then as many as the bound says, then none; or none unacknowledged."""
    params = demand.params
    within = _in_window(history, params)
    mine = _mine(params)
    acked = (pl.col("outcome") == "ok") & mine
    refused = {"outcome": "fail", "status": _NO_STATUS, "code": params.get("code") or 1}
    few = abs(int(demand.bound)) + 1
    for number in (1, few):
        chosen = acked & within & ((acked & within).cum_sum() <= number)
        yield edit.with_sends(history, chosen, outcome="fail")
        yield edit.with_sends(history, chosen, outcome="info")
        yield edit.with_sends(history, chosen, **(refused | _wanted_answer(params)))
    yield edit.with_sends(history, acked & within, outcome="fail")
    yield edit.with_sends(history, acked, outcome="info", status=_NO_STATUS)
    done = pl.col("complete_ns").is_not_null() & mine
    yield edit.with_sends(history, done & within, outcome="ok")
    # Where nothing was answered in the window, what was begun in it was answered at once.
    answered_ns = pl.coalesce("complete_ns", pl.col("invoke_ns") + 1)
    yield edit.with_sends(history, mine & within, outcome="ok", complete_ns=answered_ns, code=0, status="SEND_OK")
    # No queue is named: none that was not read back may have acknowledged anything.
    if params.get("broker") is not None:
        moved = {"broker": params["broker"], "queue": None, "offset": None}
        at_once_ns = pl.col("invoke_ns") + 1
        yield edit.with_sends(history, mine & within, outcome="ok", complete_ns=at_once_ns, **moved)
        yield edit.with_sends(history, acked, **(moved | {"broker": "planted"}))
    yield edit.with_sends(history, acked, queue=pl.col("queue").max())
    yield replace(history, sends=history.sends.head(0))


def _told_and_gone(history: History, params: Any) -> Iterator[History]:
    """A message that is stored was acknowledged with the weaker status, and is nowhere."""
    victim = plants.acked_and_stored(history, {k: v for k, v in params.items() if k != "statuses"})
    if victim is not None:
        told = edit.with_sends(history, pl.col("m") == victim, outcome="info", status=params["statuses"][0])
        yield edit.without_reads(told, (pl.col("m") == victim) & _here(params))


def _outages(history: History, demand: Require) -> Iterator[History]:
    """What was begun after a fault is answered late: well, or badly and with a failure before it."""
    name = demand.params.get("window")
    window = narrow.window_of(history, name) if name else next(iter(history.windows), None)
    if window is None:
        return
    later = (pl.col("invoke_ns") >= window.inject_ns) & pl.col("complete_ns").is_not_null() & _mine(demand.params)
    late_ns = pl.col("complete_ns") + int((abs(demand.bound) + 1) * 2e9)
    yield edit.with_sends(history, later, complete_ns=late_ns)
    failed = edit.with_sends(history, later, outcome="fail")
    yield edit.with_sends(failed, later & (later.cum_sum() > 1), complete_ns=late_ns)


def _tails(history: History, demand: Require) -> Iterator[History]:
    """Of one broker name and stretch the newest messages are nowhere, back to the first that is older than allowed."""
    params = demand.params
    try:
        allowed_ms = demand.bound
        if demand.metric == "rpo_excess_ms":
            lag = {name: params[name] for name in ("lag", "factor", "floor_ms") if name in params}
            allowed_ms += timing.allowed_ms(history, **lag)[1]
        there = narrow.reads_of(history, params.get("phase", "final"), params.get("replicas")).select("m")
    except MetricUnavailable:
        return
    aged = timing.acknowledged_age(history, params.get("topic"))
    older = aged.join(there, on="m", how="semi").filter(pl.col("age_ms") > allowed_ms).sort("age_ms")
    if not older.height:
        return
    first = older.row(0, named=True)
    lane = (narrow.text("broker") == first["broker"]) & (pl.col("epoch") == first["epoch"])
    tail = aged.filter(lane & (pl.col("age_ms") <= first["age_ms"])).get_column("m").to_list()
    yield edit.without_reads(history, pl.col("m").is_in(tail) & _here(params))


def _wanted_answer(params: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for name in ("status", "code"):
        value = params.get(name)
        if value is not None:
            wanted[name] = value[0] if isinstance(value, list | tuple) else value
    return wanted


def _deliveries(history: History, params: Any) -> Iterator[History]:
    group = params.get("group")
    mine = pl.lit(True) if group is None else narrow.text("group") == group
    if not history.deliveries.height:
        return
    yield edit.replace_deliveries(history, pl.concat([history.deliveries, history.deliveries.filter(mine)]))
    if "window" in params:
        try:
            begin = narrow.instant(history, params["window"], params.get("since", "inject"))
        except MetricUnavailable:
            return
        yield edit.without_deliveries(history, mine & (pl.col("time_ns") >= begin))
        yield _given_at_once(history, mine, max(begin, narrow.window_of(history, params["window"]).observed_ns or 0))
    yield edit.without_deliveries(history, mine)
    one = history.deliveries.get_column("process").unique().sort()[0]
    yield edit.replace_deliveries(history, edit.set_rows(history.deliveries, mine, process=one))
    yield from _at_other_times(history, params, mine)
    apart = pl.format("planted-{}", pl.int_range(pl.len()))
    yield edit.replace_deliveries(history, edit.set_rows(history.deliveries, mine, process=apart))
    twice = edit.set_rows(history.deliveries.filter(mine), pl.lit(True), process="planted")
    yield edit.replace_deliveries(history, pl.concat([history.deliveries, twice]))
    yield edit.without_deliveries(history, mine & (pl.col("queue") == pl.col("queue").filter(mine).max()))


def _at_other_times(history: History, params: Any, mine: pl.Expr) -> Iterator[History]:
    """One message is given as soon as it was sent, or an hour late, or its later attempts are, or there are none."""
    sent = narrow.sends_of(history, params.get("process"), params.get("topic")).select("m", "invoke_ns").unique("m")
    attempt = pl.col("reconsume").fill_null(0)
    given = history.deliveries.filter(mine).join(sent, on="m").sort(attempt, descending=True, maintain_order=True)
    if not given.height:
        return
    victim, sent_ns = given.select("m", "invoke_ns").row(0)
    one = mine & (pl.col("m") == victim)
    hour_ns = 3_600_000_000_000
    for at_ns in (pl.lit(sent_ns), pl.col("time_ns") + hour_ns * attempt, pl.col("time_ns") + hour_ns):
        yield edit.replace_deliveries(history, edit.set_rows(history.deliveries, one, time_ns=at_ns))
    yield edit.without_deliveries(history, one & (attempt > 0))
    yield edit.replace_deliveries(history, edit.set_rows(history.deliveries, one, reconsume=attempt + 40))
    once_more = edit.set_rows(history.deliveries.filter(one).tail(1), pl.lit(True), reconsume=attempt + 1)
    yield edit.replace_deliveries(history, pl.concat([history.deliveries, once_more]))


def _given_at_once(history: History, mine: pl.Expr, begin_ns: int) -> History:
    """What was given after the fault was given at its begin, or as soon as it was sent."""
    sent = history.sends.select("m", "invoke_ns").unique("m")
    given = history.deliveries.join(sent, on="m", how="left", maintain_order="left")
    at_ns = pl.max_horizontal(pl.lit(begin_ns), pl.col("invoke_ns").fill_null(0)) + 1
    moved = edit.set_rows(given, mine & (pl.col("time_ns") > begin_ns), time_ns=at_ns)
    return edit.replace_deliveries(history, moved.drop("invoke_ns"))


def _reads(history: History, params: Any) -> Iterator[History]:
    if not history.reads.height:
        return
    here = _here(params)
    victim = _oldest_stored(history)
    if victim is not None:
        yield edit.without_reads(
            history, (pl.col("m") == victim) & (narrow.text("phase") == params.get("phase", "final"))
        )
    yield edit.without_reads(history, here)
    yield edit.with_reads(history, pl.concat([history.reads, history.reads.filter(here)]))


def _here(params: Any) -> pl.Expr:
    """Reads of the phase and the replicas that the metric looks at."""
    here: pl.Expr = narrow.text("phase") == params.get("phase", "final")
    return here & narrow.on_replicas(params.get("replicas"))


def _oldest_stored(history: History) -> int | None:
    acked = history.sends.filter(pl.col("outcome") == "ok").join(history.reads.select("m"), on="m", how="semi")
    return plants.middle(acked.sort("complete_ns").head(1))


def _mine(params: Any) -> pl.Expr:
    conditions = [pl.lit(True)]
    for name in ("process", "topic"):
        if params.get(name) is not None:
            conditions.append(narrow.text(name).str.starts_with(params[name]))
    return pl.all_horizontal(conditions)


def _in_window(history: History, params: Any) -> pl.Expr:
    """Sends begun in the window that the metric looks at."""
    name = params.get("window")
    if name is None:
        return pl.lit(True)
    begin, end = narrow.span(history, name, params.get("since", "inject"), params.get("until", "heal"))
    return pl.col("invoke_ns").is_between(begin, end)
