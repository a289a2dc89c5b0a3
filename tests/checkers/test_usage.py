import math

import pytest

from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Gates, Require, Rules
from harness.core.verdict import Verdict
from tests.builder import HistoryBuilder

GATES = Gates(min_acked=5, min_acked_before_fault=1, drained=False, healthy=False)
USE = {"broker": "broker-a", "window": "pause", "after": "gone"}


def silent_broker(last_use_s: float = 18.0) -> HistoryBuilder:
    """broker-a is silent from 10 to 40 s and leaves the route at 15 s; p1 gives it a last send at `last_use_s`."""
    h = HistoryBuilder()
    h.send("p1", "a0", at_s=9.5).ok(at_s=9.6)
    h.send("p1", "a1", at_s=9.9).info(at_s=12.9)
    h.fault("pause", "inject", at_s=10.0)
    h.fault("pause", "observed", at_s=10.1)
    h.send("p2", "b0", at_s=11.0).ok(broker="broker-b", at_s=11.1)
    h.send("p1", "a2", at_s=13.0).ok(broker="broker-b", at_s=13.1)
    h.now(15.0)
    h.observe("gone", {"all": True})
    h.send("p1", "a3", at_s=last_use_s).info(at_s=last_use_s + 3)
    h.send("p2", "b1", at_s=25.0).ok(broker="broker-b", at_s=25.1)
    h.send("p1", "a4", at_s=30.0).ok(broker="broker-b", at_s=30.1)
    h.send("p1", "a5", at_s=31.0).ok(broker="broker-b", at_s=31.1)
    h.fault("pause", "heal", at_s=40.0)
    h.fault("pause", "recovered", at_s=41.0)
    h.send("p1", "a6", at_s=42.0).ok(at_s=42.1)
    return h


class TestStopsUsing:
    def test_the_last_use_counts_by_its_beginning(self):
        assert measure(silent_broker().history(), "stops_using_s", USE) == pytest.approx(3.0, abs=0.1)

    def test_none_after_the_observation_is_none(self):
        h = HistoryBuilder()
        h.fault("pause", "inject", at_s=10.0)
        h.send("p1", "a0", at_s=11.0).info(at_s=14.0)
        h.now(15.0)
        h.observe("gone", {"all": True})
        h.send("p1", "a1", at_s=16.0).ok(broker="broker-b", at_s=16.1)
        h.fault("pause", "heal", at_s=40.0)
        assert measure(h.history(), "stops_using_s", USE) == 0

    def test_an_acknowledgement_of_that_broker_is_a_use(self):
        h = silent_broker()
        h.send("p1", "a7", at_s=32.0).ok(broker="broker-a", at_s=32.1)
        h.send("p1", "a8", at_s=33.0).ok(broker="broker-b", at_s=33.1)
        assert measure(h.history(), "stops_using_s", USE) == pytest.approx(17.0, abs=0.1)

    def test_who_never_went_elsewhere_did_not_stop(self):
        h = silent_broker()
        h.send("p3", "c0", at_s=20.0).info(at_s=23.0)
        assert measure(h.history(), "stops_using_s", USE) == math.inf

    def test_without_the_observation_there_is_no_value(self):
        with pytest.raises(MetricUnavailable, match="lost"):
            measure(silent_broker().history(), "stops_using_s", USE | {"after": "lost"})

    def test_without_any_send_there_is_no_value(self):
        with pytest.raises(MetricUnavailable, match="no send"):
            measure(silent_broker().history(), "stops_using_s", USE | {"process": "q"})

    def test_it_can_be_made_to_break(self):
        demand = Require(metric="stops_using_s", op="<=", bound=5, params=USE)
        rules = Rules(gates=GATES, expectations=(demand,))
        history = silent_broker().history()
        assert judge(history, rules).verdict is Verdict.HELD, judge(history, rules).reason
        bad = plant(history, demand)
        assert bad is not None
        assert judge(bad, rules).verdict is Verdict.BROKEN
        assert judge(silent_broker(last_use_s=22.0).history(), rules).verdict is Verdict.BROKEN


class TestBegun:
    def test_what_was_under_way_does_not_count(self):
        history = silent_broker().history()
        assert measure(history, "unacknowledged_in", {"window": "pause"}) == 2
        assert measure(history, "unacknowledged_begun_in", {"window": "pause"}) == 1

    def test_a_window_without_sends_shows_nothing(self):
        with pytest.raises(MetricUnavailable, match="no send"):
            measure(silent_broker().history(), "unacknowledged_begun_in", {"window": "pause", "process": "q"})
