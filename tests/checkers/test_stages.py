"""The stages of a failover: who learned of it when, and that neither an early nor an absent word passes for one."""

import math

import pytest

from harness.checkers.judge import figures, judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Gates, Require, Rules
from harness.core.history import History
from harness.core.names import DROPPED, REGISTERED
from harness.core.verdict import Verdict
from tests.builder import HistoryBuilder

GATES = Gates(min_acked=5, min_acked_before_fault=1, drained=False, healthy=False)
LOST = {"window": "lost"}
BOTH = ("broker-a", "broker-b")


def failover(*, left_s: float = 14.0, back_s: float = 44.0, used_s: float = 45.0) -> HistoryBuilder:
    """broker-a is lost from 10 to 40 s; p1 and p2 learn of it at 11 s and `left_s`, and again at 42 s and `back_s`."""
    h = HistoryBuilder()
    for p in ("p1", "p2"):
        h.route(p, *BOTH, at_s=1.0)
        h.send(p, f"{p}-0", at_s=9.0).ok(at_s=9.1)
        h.send(p, f"{p}-1", at_s=9.9 + (p == "p2") / 100).info(at_s=12.9)
    h.fault("lost", "inject", at_s=10.0)
    h.fault("lost", "observed", at_s=10.2)
    h.observe(DROPPED, {"all": True, "slowest_s": 0.3})
    h.route("p1", "broker-b", at_s=11.0)
    h.send("p1", "p1-2", at_s=10.1).ok(broker="broker-b", at_s=10.15)
    h.send("p1", "p1-3", at_s=10.3).ok(broker="broker-b", at_s=13.0)
    h.send("p2", "p2-2", at_s=10.4).ok(broker="broker-b", at_s=10.5)
    h.route("p2", "broker-b", at_s=left_s)
    h.fault("lost", "heal", at_s=40.0)
    h.fault("lost", "recovered", at_s=41.0)
    h.observe(REGISTERED, {"all": True, "slowest_s": 1.5})
    h.route("p1", *BOTH, at_s=42.0)
    h.route("p2", *BOTH, at_s=back_s)
    h.send("p1", "p1-4", at_s=42.5).ok(broker="broker-a", at_s=42.6)
    h.send("p2", "p2-3", at_s=used_s).ok(broker="broker-a", at_s=used_s + 0.1)
    for p in ("p1", "p2"):
        h.send(p, f"{p}-9", at_s=50.0).ok(broker="broker-b", at_s=50.1)
    return h


class TestStages:
    def test_each_is_that_of_the_slowest_client(self):
        seen = figures(failover().history(), "final")
        stages = ("bitten_s", "dropped_s", "rerouted_s", "first_ok_s", "registered_s", "routed_again_s")
        assert [seen[name] for name in stages] == [0.2, 0.3, 4.0, 3.0, 1.5, 4.0]
        assert seen["full_service_s"] == 5.1

    def test_what_was_under_way_is_no_first_success(self):
        """It was begun before the fault bit: it may have been answered by whoever is dead now."""
        assert measure(failover().history(), "first_ok_s", LOST) == pytest.approx(3.0)

    def test_a_route_that_came_back_was_not_left(self):
        h = failover()
        h.route("p1", *BOTH, at_s=20.0)
        assert measure(h.history(), "rerouted_s", LOST) == math.inf

    def test_a_route_that_changes_otherwise_counts_from_its_first_word(self):
        h = failover()
        h.route("p2", at_s=20.0)
        assert measure(h.history(), "rerouted_s", LOST) == pytest.approx(4.0)

    def test_who_left_only_after_the_heal_did_not_leave(self):
        assert measure(failover(left_s=40.5).history(), "rerouted_s", LOST) == math.inf

    def test_a_client_whose_route_nobody_wrote_down_says_nothing(self):
        history = failover().history()
        mute = History(**{f: getattr(history, f) for f in History.__slots__} | {"routes": history.routes[1:]})
        with pytest.raises(MetricUnavailable, match="recorded no route"):
            measure(mute, "rerouted_s", LOST)

    def test_who_never_used_it_again_is_not_served_in_full(self):
        h = failover()
        for n, at_s in enumerate((9.0, 49.0)):
            h.send("p3", f"p3-{n}", at_s=at_s).ok(broker="broker-b", at_s=at_s + 0.1)
        assert measure(h.history(), "full_service_s", LOST) == math.inf

    def test_who_had_stopped_sending_need_not_be_served(self):
        h = failover()
        h.send("p3", "p3-0", at_s=9.0).ok(at_s=9.1)
        h.send("p3", "p3-1", at_s=10.5).info(at_s=13.5)
        assert measure(h.history(), "first_ok_s", LOST) == pytest.approx(3.0)

    @pytest.mark.parametrize("metric", ["rerouted_s", "first_ok_s"])
    def test_where_nobody_was_sending_there_is_no_telling(self, metric):
        h = HistoryBuilder()
        h.route("p1", *BOTH, at_s=1.0)
        h.send("p1", "a", at_s=9.0).ok(at_s=9.1)
        h.fault("lost", "inject", at_s=10.0)
        h.fault("lost", "observed", at_s=10.2)
        h.fault("lost", "heal", at_s=40.0)
        with pytest.raises(MetricUnavailable, match="no producer was sending"):
            measure(h.history(), metric, LOST)

    def test_after_a_fault_that_lasts_no_route_comes_back(self):
        h = HistoryBuilder()
        h.route("p1", *BOTH, at_s=1.0)
        h.send("p1", "a", at_s=9.0).ok(at_s=9.1)
        h.fault("lost", "inject", at_s=10.0)
        h.fault("lost", "observed", at_s=10.2)
        h.route("p1", "broker-b", at_s=11.0)
        h.send("p1", "b", at_s=20.0).ok(broker="broker-b", at_s=20.1)
        with pytest.raises(MetricUnavailable):
            measure(h.history(), "rerouted_s", LOST | {"back": True})

    def test_of_a_broker_that_no_client_had_nobody_was_seen_to_leave_it(self):
        h = HistoryBuilder()
        h.route("p1", "broker-b", at_s=1.0)
        for n, at_s in enumerate((9.0, 20.0)):
            h.send("p1", str(n), at_s=at_s).ok(broker="broker-b", at_s=at_s + 0.1)
        h.fault("lost", "inject", at_s=10.0)
        h.fault("lost", "observed", at_s=10.2)
        h.fault("lost", "heal", at_s=40.0)
        with pytest.raises(MetricUnavailable, match="had broker-a in its route"):
            measure(h.history(), "rerouted_s", LOST)

    @pytest.mark.parametrize("answered", [None, 49.0])
    @pytest.mark.parametrize("metric", ["first_ok_s", "rerouted_s", "full_service_s"])
    def test_who_hangs_in_a_send_was_never_served_again(self, metric, answered):
        """Begun before the fault and not answered until the end: it did not stop, it could not go on."""
        h = failover()
        h.route("p3", *BOTH, at_s=1.0)
        h.send("p3", "p3-0", at_s=9.0).ok(at_s=9.1)
        hangs = h.send("p3", "p3-1", at_s=9.5)
        if answered is not None:
            hangs.info(at_s=answered)
        assert measure(h.history(), metric, LOST) == math.inf

    def test_who_had_only_so_many_to_send_need_not_be_served(self):
        h = failover()
        h.hello("p3", role="producer", max_messages=2)
        h.route("p3", *BOTH, at_s=1.0)
        h.send("p3", "p3-0", at_s=9.0).ok(at_s=9.1)
        h.send("p3", "p3-1", at_s=9.5).info(at_s=12.5)
        assert measure(h.history(), "first_ok_s", LOST) == pytest.approx(3.0)

    def test_a_nameserver_that_never_dropped_it_is_the_slowest(self):
        """`slowest_s` is of those that did."""
        for name, stage in ((DROPPED, "dropped_s"), (REGISTERED, "registered_s")):
            h = failover()
            h.observe(name, {"all": False, "slowest_s": 0.3})
            assert figures(h.history(), "final")[stage] == "inf"
            h.observe(name, {"all": None, "slowest_s": 0.3})
            assert stage not in figures(h.history(), "final")

    def test_who_came_back_before_the_next_fault_came_back(self):
        h = failover()
        h.fault("again", "inject", at_s=60.0)
        for p in ("p1", "p2"):
            h.route(p, "broker-b", at_s=61.0)
            h.send(p, f"{p}-z", at_s=70.0).ok(broker="broker-b", at_s=70.1)
        assert measure(h.history(), "rerouted_s", LOST | {"back": True}) == pytest.approx(4.0)

    def test_of_a_cut_it_is_the_node_at_the_end_of_every_link(self):
        h = HistoryBuilder()
        h.route("p1", *BOTH, at_s=1.0)
        h.send("p1", "a", at_s=9.0).ok(at_s=9.1)
        ends = ("broker-a-0", "namesrv-0", "p1")
        links = [f"broker-a-0->{end}" for end in ends[1:]] + [f"{end}->broker-a-0" for end in ends[1:]]
        h.fault("lost", "inject", at_s=10.0, targets=ends, links=links)
        h.fault("lost", "observed", at_s=10.2)
        h.route("p1", "broker-b", at_s=13.0)
        h.fault("lost", "heal", at_s=40.0)
        h.send("p1", "b", at_s=45.0).ok(at_s=45.1)
        assert measure(h.history(), "rerouted_s", LOST) == pytest.approx(3.0)

    def test_of_two_brokers_there_is_no_telling(self):
        h = failover()
        h.fault("lost", at_s=51.0, targets=("broker-a-0", "broker-b-0"))
        h.send("p1", "z", at_s=60.0).ok(broker="broker-b", at_s=60.1)
        with pytest.raises(MetricUnavailable, match="hit 2 brokers"):
            measure(h.history(), "rerouted_s", LOST)

    @pytest.mark.parametrize("metric", ["rerouted_s", "first_ok_s", "full_service_s"])
    def test_each_can_be_made_to_break(self, metric):
        demand = Require(metric=metric, op="<", bound=6, params=LOST)
        rules = Rules(gates=GATES, expectations=(demand,))
        history = failover().history()
        assert judge(history, rules).verdict is Verdict.HELD, judge(history, rules).reason
        bad = plant(history, demand)
        assert bad is not None
        assert judge(bad, rules).verdict is Verdict.BROKEN
        slow = failover(left_s=17.0, used_s=47.0)
        if metric == "first_ok_s":
            slow.send("p2", "late", at_s=10.25).ok(broker="broker-b", at_s=17.0)
            assert judge(slow.history(), rules).verdict is Verdict.HELD, "another send was acknowledged before"
        else:
            assert judge(slow.history(), rules).verdict is Verdict.BROKEN

    @pytest.mark.parametrize("metric", ["rerouted_s", "first_ok_s", "full_service_s"])
    def test_an_empty_history_shows_nothing(self, metric):
        demand = Require(metric=metric, op="<", bound=6, params=LOST)
        assert judge(History.empty(), Rules(gates=GATES, expectations=(demand,))).verdict is Verdict.INCONCLUSIVE

    def test_a_scenario_of_several_faults_or_without_a_watch_has_no_stages(self):
        h = failover()
        h.fault("other", at_s=60.0)
        seen = figures(h.history(), "final")
        assert "first_ok_s" not in seen
        bare = HistoryBuilder()
        bare.send("p1", "a").ok()
        bare.fault("lost")
        assert "first_ok_s" not in figures(bare.history(), "final")

    def test_a_client_that_stood_still_excuses_its_lateness(self):
        h = failover(left_s=17.0)
        demand = Require(metric="rerouted_s", op="<", bound=6, params=LOST)
        h.add(
            "p2",
            {
                "f": "event",
                "y": "info",
                "t": int(17e9),
                "s": "stall",
                "x": '{"from_ns": 13000000000, "to_ns": 17000000000}',
            },
        )
        judged = judge(h.history(), Rules(gates=GATES, expectations=(demand,)))
        assert judged.verdict is Verdict.INCONCLUSIVE, judged.reason
