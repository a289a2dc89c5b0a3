"""Planted controls: a recorded history with one defect, which the judge must call broken, and its harmless twin.

What they show is that this finder, with these parameters, on this very history, would have seen the anomaly. They do
not show that the fault could have caused it.
"""

from __future__ import annotations

import polars as pl

from harness.checkers import gates, plants, twins
from harness.checkers.finders import find
from harness.checkers.metrics import measure
from harness.checkers.observed import LOOKS
from harness.checkers.plantmetrics import mutations
from harness.core.errors import HarnessError
from harness.core.expectation import COMPARE, Expectation, Forbid, Require
from harness.core.history import History


def plant(history: History, expectation: Expectation) -> History | None:
    """The history with one defect that violates the expectation, and only as large as it takes.

    None if nothing in this history can be falsified that way; then there is no control of this kind. The defect may
    violate other demands too.
    """
    if isinstance(expectation, Require):
        return _plant_metric(history, expectation)
    planter = plants.PLANTS.get(expectation.anomaly)
    try:
        return None if planter is None else planter(history, expectation.params)
    except (HarnessError, pl.exceptions.PolarsError):
        return None


def twin(history: History, expectation: Expectation) -> History | None:
    """The harmless counterpart of the defect: what looks like it and is allowed. It must not be called broken.

    None where there is none: for metrics, and for anomalies that nothing resembles.
    """
    if isinstance(expectation, Require) or expectation.anomaly not in twins.TWINS:
        return None
    try:
        return twins.TWINS[expectation.anomaly](history, expectation.params)
    except (HarnessError, pl.exceptions.PolarsError):
        return None


def is_look(expectation: Expectation) -> bool:
    """The demand is about what a step recorded: all that can be planted is another number in its place."""
    return isinstance(expectation, Require) and expectation.metric in LOOKS


def sees(history: History, expectation: Forbid) -> bool:
    """The finder finds something: a planted defect is there to be seen."""
    return find(history, expectation.anomaly, expectation.params).count > 0


def _plant_metric(history: History, demand: Require) -> History | None:
    for mutated in mutations(history, demand):
        try:
            value = measure(mutated, demand.metric, demand.params)
        except (HarnessError, pl.exceptions.PolarsError):
            continue
        if not COMPARE[demand.op](value, demand.bound) and _as_sound(mutated, history, demand):
            return mutated
    return None


def _as_sound(mutated: History, history: History, demand: Require) -> bool:
    """The falsified evidence is no worse as evidence: else it would be called inconclusive, not broken."""
    phase = str(demand.params.get("phase", "final"))
    replicas = demand.params.get("replicas")
    read = gates.drained(mutated, phase, replicas).met or not gates.drained(history, phase, replicas).met
    return read and gates.well_formed(mutated).met
