"""Every metric by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from harness.checkers import counts, delays, despite, groups, observed, stages, timing, turns, usage
from harness.checkers.finders import FINDERS, known
from harness.core.expectation import Forbid, Rules
from harness.core.history import History

METRICS: Final[Mapping[str, Callable[..., float]]] = MappingProxyType(
    {
        "invoked": counts.invoked,
        "acked": counts.acked,
        "failed": counts.failed,
        "unknown": counts.unknown,
        "unacknowledged": counts.unacknowledged,
        "unacknowledged_in": counts.unacknowledged_in,
        "unacknowledged_begun_in": usage.unacknowledged_begun_in,
        "ok_in": counts.ok_in,
        "ok_despite": despite.ok_despite,
        "answered_in": despite.answered_in,
        "invoked_in": counts.invoked_in,
        "answered": counts.answered,
        "success_ratio": counts.success_ratio,
        "broker_share": counts.broker_share,
        "queue_share_deviation": counts.queue_share_deviation,
        "lost_count": counts.lost_count,
        "rpo_count": counts.lost_count,
        "rpo_ms": timing.rpo_ms,
        "rpo_excess_ms": timing.rpo_excess_ms,
        "delivered": counts.delivered,
        "duplicates_delivered": counts.duplicates_delivered,
        "duplicate_ratio": counts.duplicate_ratio,
        "duplicates_stored": counts.duplicates_stored,
        "members_served": counts.members_served,
        "stored_count": counts.stored_count,
        "drained_queues": counts.drained_queues,
        "found": counts.found,
        "unstored": counts.unstored,
        "queues_per_member": groups.queues_per_member,
        "queues_in_use": groups.queues_in_use,
        "owners_per_queue": groups.owners_per_queue,
        "least_delivered_ratio": groups.least_delivered_ratio,
        "taken_over_s": groups.taken_over_s,
        "delay_s": delays.delay_s,
        "retry_s": delays.retry_s,
        "attempts": delays.attempts,
        "straddled": delays.straddled,
        "rto_max_s": timing.rto_max_s,
        "outage_s": timing.outage_s,
        "latency_min_ms": timing.latency_min_ms,
        "latency_p50_ms": timing.latency_p50_ms,
        "latency_p99_ms": timing.latency_p99_ms,
        "latency_max_ms": timing.latency_max_ms,
        "ahead_of_answer_s": timing.ahead_of_answer_s,
        "time_to_first_delivery_s": timing.time_to_first_delivery_s,
        "observed": observed.observed,
        "observed_ratio": observed.observed_ratio,
        "observed_difference": observed.observed_difference,
        "step_s": observed.step_s,
        "rerouted_s": stages.rerouted_s,
        "first_ok_s": stages.first_ok_s,
        "full_service_s": stages.full_service_s,
        "stops_using_s": usage.stops_using_s,
        "turns_ratio": turns.turns_ratio,
    }
)


def measure(history: History, metric: str, params: Mapping[str, Any]) -> float:
    """The metric's value. Raises UsageError for an unknown metric or parameter, MetricUnavailable without a value."""
    return float(known(METRICS, metric, params, "metric")(history, **params))


def validate(rules: Rules) -> None:
    """Raises UsageError for a demand that no finder or metric answers: before a cluster is started for it."""
    for demand in (*rules.expectations, *rules.gates.also, *rules.gates.preconditions):
        if isinstance(demand, Forbid):
            known(FINDERS, demand.anomaly, demand.params, "anomaly")
        else:
            known(METRICS, demand.metric, demand.params, "metric")
            if demand.metric == "found":
                rest = {key: value for key, value in demand.params.items() if key != "anomaly"}
                known(FINDERS, str(demand.params["anomaly"]), rest, "anomaly")
