"""The assumptions of a scenario, looked at in its history: what must be true before a verdict means anything."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from harness.checkers import narrow, underway
from harness.checkers.books import complete_record
from harness.checkers.causality import before_their_send
from harness.checkers.metrics import measure
from harness.checkers.narrow import QUEUE, Replicas
from harness.checkers.stalls import clients_ran
from harness.checkers.standstills import stalls
from harness.core.errors import MetricUnavailable
from harness.core.expectation import COMPARE, Gates, Require
from harness.core.history import History
from harness.core.names import INDEX_STILL
from harness.core.verdict import Assumption
from harness.core.wording import several, were

INDEX_STILL_S = 60.0
"""As long as the oracle waits for an index before it reads."""
_READING_S = 20.0
"""What the oracle takes at most, between its last wait and the first line of what it read."""


def assumptions(history: History, gates: Gates) -> tuple[Assumption, ...]:
    """Every gate, met or not.

    `well-formed`, `complete-record`, `drained` and the preconditions are matters of soundness: unmet, they void any
    verdict.
    """
    return tuple(_assumptions(history, gates))


def _assumptions(history: History, gates: Gates) -> Iterator[Assumption]:
    yield well_formed(history)
    yield complete_record(history)
    yield clients_ran(history)
    yield _enough(history, gates.min_acked)
    if gates.min_acked_before_fault:
        yield underway.warm(history, gates)
    if gates.in_flight_at_fault:
        yield underway.in_flight(history)
    if gates.faults_bite:
        yield _bit(history)
    if gates.faults_heal:
        yield _healed(history)
    if gates.drained:
        yield drained(history, gates.drained_phase, None)
    if gates.healthy:
        yield _healthy(history)
    if gates.deliveries:
        number = history.deliveries.height
        yield Assumption("deliveries", number > 0, f"{number:,} deliveries were recorded")
    for wanted in gates.also:
        yield _also(history, wanted, soundness=False)
    for wanted in gates.preconditions:
        yield _also(history, wanted, soundness=True)


def _also(history: History, wanted: Require, *, soundness: bool) -> Assumption:
    """A metric that shows that the scenario happened; one that cannot be computed was not met."""
    try:
        value = measure(history, wanted.metric, wanted.params)
    except MetricUnavailable as missing:
        return Assumption(wanted.text(), False, f"{wanted.text()} cannot be told: {missing}", soundness=soundness)
    met = COMPARE[wanted.op](value, wanted.bound)
    message = f"{wanted.text()} is {'met' if met else 'not met'}: it is {value:.6g}"
    return Assumption(wanted.text(), met, message, soundness=soundness)


def well_formed(history: History) -> Assumption:
    """No send completes before it began, none has a completion without being one, no queue was half recorded.

    And nothing is delivered or read before it was sent.
    """
    wrong = []
    backwards = history.sends.filter(pl.col("complete_ns") < pl.col("invoke_ns")).height
    if backwards:
        wrong.append(f"{backwards} sends completed before they were invoked")
    open_ = history.sends.filter(pl.col("complete_ns").is_null() & (pl.col("outcome") != "info")).height
    if open_:
        wrong.append(f"{open_} sends have an outcome and no completion")
    wrong += _miscounted(history)
    wrong += before_their_send(history)
    return Assumption("well-formed", not wrong, "; ".join(wrong) or "the history is well-formed", soundness=True)


def drained(history: History, phase: str, replicas: Replicas) -> Assumption:
    """Every queue that was asked for was read to its end, and every queue that acknowledged anything was asked for.

    It must have been read on its master, unless a fault that is meant to last took that; with `replicas` on one of
    those.
    """
    name = f"drained[{phase}]" if replicas is None else f"drained[{phase}, {replicas}]"
    try:
        drains = narrow.drains_of(history, phase, replicas)
    except MetricUnavailable as missing:
        return Assumption(name, False, str(missing), soundness=True)
    cut_short = drains.filter(~pl.col("complete"))
    if cut_short.height:
        first = cut_short.select("replica", "topic", "queue", "detail").row(0)
        message = f"{were(cut_short.height, 'queue')} not read to their end in phase {phase!r}, first {first}"
        return Assumption(name, False, message, soundness=True)
    if doubt := _doubtful(history, drains):
        return Assumption(name, False, doubt, soundness=True)
    unread = _never_read(history, drains, masters_only=replicas is None)
    if unread.height:
        first = unread.row(0)
        queues = several(unread.height, "queue")
        message = f"{queues} acknowledged messages without being read in phase {phase!r}, first {first}"
        return Assumption(name, False, message, soundness=True)
    return Assumption(
        name, True, f"{were(drains.height, 'queue')} read to their end in phase {phase!r}", soundness=True
    )


def _doubtful(history: History, drains: pl.DataFrame) -> str:
    """An index that stood still is a broker's last word, but not while the disk or the harness stood still as well."""
    still = drains.filter(pl.col("complete") & pl.col("detail").str.contains(INDEX_STILL, literal=True))
    if not still.height:
        return ""
    # Replicas are waited for one after the other and then read, and only then are their drains written down.
    together = history.drains.filter(pl.col("phase").is_in(still["phase"].unique().implode()))
    waits_s = together.select(pl.col("replica").n_unique()).item() * INDEX_STILL_S + _READING_S
    began_ns = together.select(pl.col("time_ns").min()).item() - int(waits_s * 1e9)
    near = [s for s in stalls(history) if s.not_a_client and s.to_ns >= began_ns]
    for replica, detail in still.select("replica", "detail").unique(maintain_order=True).iter_rows():
        felt = [s for s in near if not s.starved or s.process == replica]
        if felt:
            return f"of {replica} {detail}, but {felt[0].text()} meanwhile: what it has not indexed is not lost"
    return ""


def _never_read(history: History, drains: pl.DataFrame, *, masters_only: bool) -> pl.DataFrame:
    """Queues that acknowledged anything and were not read; of a client that tells none, topics of which none was."""
    acked = history.sends.filter(pl.col("outcome") == "ok")
    wanted = acked.filter(pl.col("queue").is_not_null()).select(QUEUE).unique()
    anywhere = acked.filter(pl.col("queue").is_null()).select(QUEUE).unique()
    if masters_only:
        gone = {t for w in history.windows if w.lasting for t in w.targets}
        lost = {t.rpartition("-")[0] for t in gone if narrow.is_in_charge(t)}
        excused = narrow.text("broker").is_in(sorted(lost))
        drains = drains.filter(narrow.in_charge() | excused)
    unread = (wanted.join(drains, on=QUEUE, how="anti"), anywhere.join(drains, on="topic", how="anti"))
    return pl.concat(unread).sort(QUEUE)


def _miscounted(history: History) -> list[str]:
    """Queues whose drain speaks of another number of messages than were recorded: lines are missing."""
    key = ["phase", "replica", *QUEUE]
    there = history.reads.group_by(key).agg(have=pl.len())
    said = history.drains.select([*key, "count"])
    both = said.join(there, on=key, how="left", nulls_equal=True).with_columns(pl.col("have").fill_null(0))
    wrong = both.filter(pl.col("count").is_not_null() & (pl.col("count") != pl.col("have"))).height
    found = [f"{wrong} queues have another number of reads than their drain says"] if wrong else []
    twice = said.select(key).is_duplicated().sum()
    if twice:
        found.append(f"{twice} drains are of a queue that was read twice in one phase; give each reading its own phase")
    unclosed = there.join(said, on=key, how="anti", nulls_equal=True).height
    if unclosed:
        found.append(f"{unclosed} queues were read and have no drain: the oracle was cut short")
    return found


def _enough(history: History, least: int) -> Assumption:
    number = history.sends.filter(pl.col("outcome") == "ok").height
    needed = max(1, least) if least else 0
    message = f"{were(number, 'send')} acknowledged" + ("" if number >= needed else f"; {needed:,} are needed")
    return Assumption("load", number >= needed, message)


def _bit(history: History) -> Assumption:
    if not history.windows:
        return Assumption("faults-bite", False, "no fault was injected: nothing bit")
    idle = [w.name for w in history.windows if not w.bit]
    message = f"not seen to bite: {', '.join(idle)}" if idle else f"{were(len(history.windows), 'fault')} seen to bite"
    return Assumption("faults-bite", not idle, message)


def _healed(history: History) -> Assumption:
    open_ = [w.name for w in history.windows if not w.recovered]
    message = f"not seen to recover: {', '.join(open_)}" if open_ else "every fault that was to be healed was"
    return Assumption("faults-heal", not open_, message)


def _healthy(history: History) -> Assumption:
    wrong = []
    for name in ("healthy.before", "healthy.after"):
        try:
            seen = history.observed(name)
        except KeyError:
            wrong.append(f"{name} was never observed")
            continue
        if seen is not True:
            wrong.append(f"{name} was {seen}")
    return Assumption("healthy", not wrong, "; ".join(wrong) or "the cluster was healthy before and after")
