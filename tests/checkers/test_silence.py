"""What a look could not see is no verdict: neither held nor broken. What it saw for certain is."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.judge import judge
from harness.checkers.planting import plant
from harness.core.expectation import Expectation, Gates, Require, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from harness.scenario import observed
from tests.builder import healthy_run

HELD, BROKEN, OPEN = Verdict.HELD, Verdict.BROKEN, Verdict.INCONCLUSIVE
GONE: tuple[Expectation, ...] = (observed("look.all").equals(1), observed("look.slowest_at_least_s") < 5)
IN_TIME: tuple[Require, ...] = (observed("look.slowest_s") < 5,)


def verdict(value: Any, *demands: Expectation, thin: Gates, also: tuple[Require, ...] = ()) -> Verdict:
    h = healthy_run()
    h.observe("look", value)
    gates = thin.model_copy(update={"also": also})
    return judge(h.history(), Rules(gates=gates, expectations=demands)).verdict


@pytest.mark.parametrize(
    ("every", "at_most_s", "at_least_s", "expected"),
    [
        (True, 3.0, 2.9, HELD),
        (True, 7.0, 6.9, BROKEN),  # certainly late
        (True, 7.0, 0.0, OPEN),  # seen late, after a silence in which it may have happened in time
        (False, None, 30.0, BROKEN),  # nobody followed, and said so to the end
        (False, 3.0, 30.0, BROKEN),
        (None, 3.0, 2.9, OPEN),  # one did not answer
        (None, None, 0.0, OPEN),  # nobody did
    ],
)
def test_a_route_that_was_awaited(
    thin: Gates, every: bool | None, at_most_s: float | None, at_least_s: float, expected: Verdict
) -> None:
    value = {"all": every, "slowest_s": at_most_s, "slowest_at_least_s": at_least_s}
    assert verdict(value, *GONE, thin=thin, also=IN_TIME) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"yes": 2, "no": 0, "unknown": 0}, HELD),
        ({"yes": 1, "no": 1, "unknown": 0}, BROKEN),
        ({"yes": None, "no": None, "unknown": 1}, OPEN),
        ({"yes": 2, "no": 0}, HELD),  # as it was recorded before silence was counted
    ],
)
def test_registrations(thin: Gates, value: Any, expected: Verdict) -> None:
    assert verdict(value, observed("look.no").equals(0), thin=thin) is expected


@pytest.mark.parametrize(("value", "expected"), [(True, HELD), (False, BROKEN), (None, OPEN)])
def test_sameness(thin: Gates, value: Any, expected: Verdict) -> None:
    assert verdict(value, observed("look").equals(1), thin=thin) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stored": 0, "accepted": 0, "answered": 50, "codes": {"14": 50, "other": 0}}, HELD),
        ({"stored": 0, "accepted": 0, "answered": 49, "codes": {"14": 49, "none": 1, "other": 0}}, HELD),
        ({"stored": 0, "accepted": 0, "answered": 39, "codes": {"14": 39, "none": 11, "other": 0}}, OPEN),
        ({"stored": 0, "accepted": 0, "answered": 0, "codes": {"none": 50, "other": 0}}, OPEN),
        ({"stored": 0, "accepted": 0, "answered": 50, "codes": {"14": 49, "2": 1, "other": 1}}, BROKEN),
        ({"stored": 1, "accepted": 0, "answered": 50, "codes": {"14": 49, "10": 1, "other": 1}}, BROKEN),
        ({"stored": 1, "accepted": 1, "answered": 1, "codes": {"0": 1, "none": 49, "other": 1}}, BROKEN),
    ],
)
def test_direct_sends(thin: Gates, value: Any, expected: Verdict) -> None:
    """As slave-is-not-writable and disk-warning-refuses-writes demand it."""
    demands = [observed(f"look.{what}").equals(0) for what in ("stored", "accepted", "codes.other")]
    assert verdict(value, *demands, thin=thin, also=(observed("look.answered") >= 40,)) is expected


def test_of_an_empty_history_nothing_is_known(thin: Gates) -> None:
    gates = thin.model_copy(update={"also": IN_TIME})
    assert judge(History.empty(), Rules(gates=gates, expectations=GONE)).verdict is OPEN


@pytest.mark.parametrize("demand", GONE)
def test_each_demand_has_its_planted_control(thin: Gates, demand: Expectation) -> None:
    h = healthy_run()
    h.observe("look", {"all": True, "slowest_s": 3.0, "slowest_at_least_s": 2.9})
    bad = plant(h.history(), demand)
    assert bad is not None
    gates = thin.model_copy(update={"also": IN_TIME})
    assert judge(bad, Rules(gates=gates, expectations=(demand,))).verdict is BROKEN
