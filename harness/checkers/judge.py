"""A history and what is demanded of it -> a verdict. Pure: the same history and rules give the same judgement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from harness.checkers import counts, gates, observed, stages, timing, turns
from harness.checkers.copies import diverged, redelivered
from harness.checkers.excuses import excuse
from harness.checkers.finders import find
from harness.checkers.loss import lost
from harness.checkers.metrics import measure
from harness.core.errors import HarnessError, MetricUnavailable
from harness.core.expectation import COMPARE, Expectation, Forbid, Require, Rules
from harness.core.history import History
from harness.core.names import IN_TURNS
from harness.core.verdict import Assumption, Check, Finding, Judgement, conclude

_OF_READS: Final = frozenset(
    {"lost", "lost-inside", "lacking", "unread-or-undelivered", "duplicate", "diverged", "offset-gap", "offset-reuse"}
    | {"lost_count", "rpo_count", "rpo_ms", "rpo_excess_ms", "duplicates_stored", "stored_count"}
)
"""Finders and metrics that rest on a phase having been read to its end."""

INEXCUSABLE: Final[tuple[Expectation, ...]] = (Forbid(anomaly="altered"),)
"""Demanded of every history, and nothing that is expected excuses it."""

ALWAYS: Final[tuple[Expectation, ...]] = (*INEXCUSABLE, Forbid(anomaly="torn"))
"""Demanded of every history besides what its rules say: no guarantee allows these."""


def judge(history: History, rules: Rules) -> Judgement:
    """Weighs the demands of `rules` on this history.

    Never raises: a demand that cannot be judged, for whatever reason, is never held, nor is one that nothing could have
    violated (see `_vacuous`). What merely was not seen (MetricUnavailable) voids no other demand: another one's
    witnessed violation is broken all the same. Anything else that goes wrong may be the evidence, and then nothing at
    all is said. A history of nothing is inconclusive under every rule. `ALWAYS` is demanded whatever the rules are.
    """
    assumed: list[Assumption] = []
    try:
        assumed += gates.assumptions(history, rules.gates)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here must not become a verdict
        assumed.append(_uncomputable("gates", error, soundness=True))
    checks: list[Check] = []
    for demand in rules.expectations:
        try:
            assumed += _drained_for(history, demand, {a.name for a in assumed})
            check = _check(history, demand)
            check = replace(check, excuse=excuse(history, demand, check))
        except MetricUnavailable as missing:
            # Whether the evidence is sound is said by the gates: a fault that never bit, a look that saw nothing.
            assumed.append(_uncomputable(demand.text(), missing, soundness=False))
            continue
        except Exception as error:  # noqa: BLE001 - as above
            assumed.append(_uncomputable(demand.text(), error, soundness=True))
            continue
        checks.append(check)
    assumed += _vacuous(checks)
    for demand in implied(rules):
        try:
            check = _check(history, demand)
        except Exception as error:  # noqa: BLE001 - as above
            assumed.append(_uncomputable(demand.text(), error, soundness=True))
            continue
        # Nothing to look at is no flaw here (an older harness did not look); nor does it alone make a scenario.
        if not check.met or (rules.expectations and check.finding is not None and check.finding.of):
            checks.append(check)
    verdict, reason = conclude(assumed, checks)
    return Judgement(
        verdict, reason, tuple(assumed), tuple(checks), figures(history, rules.gates.drained_phase, checks)
    )


def implied(rules: Rules) -> tuple[Expectation, ...]:
    """What is demanded although these rules do not name it."""
    return tuple(demand for demand in ALWAYS if demand not in rules.expectations)


def figures(history: History, phase: str, checks: list[Check] | None = None) -> dict[str, Any]:
    """What the judgement rests on, in numbers; what cannot be had is left out, and what is infinite is the word inf."""
    wanted: dict[str, Callable[[], Any]] = {
        "invoked": lambda: int(counts.invoked(history)),
        "acked": lambda: int(counts.acked(history)),
        "faults": lambda: len(history.windows),
        "failed": lambda: int(counts.failed(history)),
        "unknown": lambda: int(counts.unknown(history)),
        "unknown_stored": lambda: int(counts.unknown_stored(history, phase=phase)),
        "success_ratio": lambda: round(counts.success_ratio(history), 6),
        "ok_per_s": lambda: round(counts.ok_per_s(history), 1),
        "latency_p50_ms": lambda: round(timing.latency_p50_ms(history), 3),
        "latency_p99_ms": lambda: round(timing.latency_p99_ms(history), 3),
        "rto_max_s": lambda: round(timing.rto_max_s(history), 3),
    }
    if history.drains.height:
        # A figure everywhere and a demand where a guarantee makes it one: replicas may differ without any error.
        wanted["diverged"] = lambda: diverged(history, phase=phase).count
    if any(seen.name == timing.REPLICATION_LAG for seen in history.observations):
        for name in ("p50_ms", "p99_ms", "p99_at_least_ms", "max_ms"):
            wanted[f"lag_{name}"] = partial(observed.observed, history, name=f"{timing.REPLICATION_LAG}.{name}")
        wanted["lag_p99_bytes"] = lambda: int(observed.observed(history, name=f"{timing.REPLICATION_LAG}.p99_bytes"))
        wanted["rpo_ms"] = lambda: round(timing.rpo_ms(history, phase=phase), 3)
    if (fault := stages.watched(history)) is not None:
        wanted |= {name: partial(_rounded, stage, history, fault) for name, stage in stages.STAGES.items()}
    for look in history.observations:
        if turns.is_look(look.value):
            wanted[IN_TURNS] = partial(turns.in_words, history, look.name)
    if history.deliveries.height:
        wanted["delivered"] = lambda: int(counts.delivered(history))
        wanted["redelivered"] = lambda: redelivered(history).count
    seen: dict[str, Any] = {}
    for name, compute in wanted.items():
        try:
            seen[name] = compute()
        except Exception:  # noqa: BLE001 - a figure that cannot be had is left out; the checks say why
            continue
    seen |= _loss_figures(history, phase, checks or [])
    return {k: "inf" if isinstance(v, float) and math.isinf(v) else v for k, v in seen.items()}


def _rounded(stage: Callable[[History, str], float], history: History, fault: str) -> float:
    return round(stage(history, fault), 3)


def _loss_figures(history: History, phase: str, checks: list[Check]) -> dict[str, Any]:
    # What was lost of the beginning alone, or of what nobody was asked about, is not how much was lost.
    whole = (c.finding for c in checks if "sent_before=" not in c.demand and "told=" not in c.demand)
    finding = next((found for found in whole if found is not None and found.kind == "lost"), None)
    if finding is None:
        try:
            finding = lost(history, phase=phase)
        except Exception:  # noqa: BLE001 - as above
            return {}
    return {"lost": finding.count, "lost_of": finding.of} | {f"lost_{k}": v for k, v in finding.figures.items()}


def _check(history: History, demand: Expectation) -> Check:
    if isinstance(demand, Forbid):
        finding = find(history, demand.anomaly, demand.params)
        return Check(demand.text(), not finding.count, _say(finding), finding)
    return _compare(history, demand)


def _compare(history: History, demand: Require) -> Check:
    value = measure(history, demand.metric, demand.params)
    if math.isnan(value):
        raise ValueError(f"{demand.metric} is no number")
    met = COMPARE[demand.op](value, demand.bound)
    name = demand.text().rpartition(f" {demand.op} ")[0]
    message = f"{name} is {value:.6g}" + ("" if met else f", not {demand.op} {demand.bound:g}")
    return Check(demand.text(), met, message)


def _vacuous(checks: Sequence[Check]) -> list[Assumption]:
    """The demands that nothing could have violated.

    One of a kind that a good run need not have at all (sends that surely failed) stands in the way only if nothing was
    searched for them, or if no other demand had anything to look at either.
    """
    empty = [c for c in checks if c.finding is not None and not c.finding.of]
    alone = len(empty) == len(checks)
    return [
        Assumption("not-vacuous", False, f"{c.demand}: there was nothing to look at")
        for c in empty
        if alone or c.finding is None or not c.finding.figures.get("searched")
    ]


def _say(finding: Finding) -> str:
    text = f"{finding.count:,} {finding.kind} of {finding.of:,}"
    bound = finding.figures.get("upper_bound")
    if bound is not None:
        text += f" (95 % upper bound {bound:.2g})"
    return text + (f": {finding.examples[0]}" if finding.count and finding.examples else "")


def _drained_for(history: History, demand: Expectation, known: set[str]) -> tuple[Assumption, ...]:
    """The reading that this demand rests on, if no gate looked at it already."""
    params = demand.params
    name = demand.anomaly if isinstance(demand, Forbid) else demand.metric
    if name == "found":
        name = str(params.get("anomaly"))
    if name not in _OF_READS:
        return ()
    found = gates.drained(history, params.get("phase", "final"), params.get("replicas"))
    return () if found.name in known else (found,)


def _uncomputable(what: str, error: Exception, *, soundness: bool) -> Assumption:
    kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
    return Assumption(f"computable[{what}]", False, f"{what} cannot be judged: {kind}{error}", soundness=soundness)
