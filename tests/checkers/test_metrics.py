import math

import pytest

from harness.checkers.judge import judge
from harness.checkers.metrics import METRICS, measure, validate
from harness.checkers.planting import plant
from harness.checkers.timing import rto_per_producer
from harness.core.errors import MetricUnavailable, UsageError
from harness.core.expectation import Forbid, Require, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, HistoryBuilder, healthy_run

S = 1.0


def under_fault() -> HistoryBuilder:
    """p1 is without an acknowledgement from 9 to 13 s, p2 from 9.5 to 10.5 s; the fault is in force from 10 to 12 s."""
    h = HistoryBuilder()
    h.send("p1", "a1", at_s=8.9).ok(at_s=9.0)
    h.send("p2", "b1", at_s=9.4).ok(at_s=9.5)
    h.send("p1", "a2", at_s=9.9).info(at_s=12.5)
    h.fault("kill", "inject", at_s=10.0)
    h.fault("kill", "observed", at_s=10.1)
    h.send("p2", "b2", at_s=10.2).ok(at_s=10.5)
    h.send("p2", "b3", at_s=11.0).fail(at_s=11.5)
    h.send("p2", "b4", at_s=11.6).ok(at_s=11.7)
    h.fault("kill", "heal", at_s=12.0)
    h.fault("kill", "recovered", at_s=12.1)
    h.send("p1", "a3", at_s=12.6).ok(at_s=13.0)
    h.send("p2", "b5", at_s=13.0).ok(at_s=13.1)
    return h


@pytest.mark.parametrize(
    ("metric", "params", "value"),
    [
        ("invoked", {}, 8),
        ("acked", {}, 6),
        ("acked", {"process": "p1"}, 2),
        ("failed", {}, 1),
        ("unknown", {}, 1),
        ("unacknowledged", {}, 2),
        ("unacknowledged", {"process": "p1"}, 1),
        ("unacknowledged", {"but": ["timeout"]}, 1),
        ("unacknowledged", {"but": ["FLUSH_SLAVE_TIMEOUT"]}, 2),
        ("unacknowledged_in", {"window": "kill"}, 2),
        ("unacknowledged_in", {"window": "kill", "since": "heal"}, 1),
        ("ok_in", {"window": "kill"}, 2),
        ("ok_in", {"window": "kill", "process": "p1"}, 0),
        ("invoked_in", {"window": "kill"}, 3),
        ("answered", {"status": "timeout"}, 1),
        ("success_ratio", {}, 0.75),
        ("outage_s", {"window": "kill"}, 1.0),
        ("rto_max_s", {"window": "kill"}, 4.0),
        ("rto_max_s", {}, 4.0),
        ("latency_max_ms", {}, 400.0),
        ("latency_p50_ms", {"window": "kill"}, 300.0),
        ("latency_min_ms", {"window": "kill"}, 100.0),
        ("broker_share", {"broker": "broker-a"}, 1.0),
        ("broker_share", {"broker": "broker-b"}, 0.0),
    ],
)
def test_values(metric, params, value):
    assert measure(under_fault().history(), metric, params) == pytest.approx(value)


def test_each_producer_has_its_own_recovery_time():
    assert rto_per_producer(under_fault().history(), window="kill") == pytest.approx({"p1": 4.0, "p2": 1.4})


class TestRto:
    def test_never_again_is_infinite(self):
        h = under_fault()
        h.send("p3", "c0", at_s=9.0).ok(at_s=9.1)
        for n in range(5):
            h.send("p3", f"c{n + 1}", at_s=10.0 + n).fail(at_s=10.5 + n)
        assert measure(h.history(), "rto_max_s", {}) == math.inf

    def test_a_send_that_hangs_for_good_is_infinite(self):
        h = under_fault()
        h.send("p3", "c0", at_s=9.0).ok(at_s=9.1)
        h.send("p3", "c1", at_s=9.2)
        assert measure(h.history(), "rto_max_s", {}) == math.inf

    def test_a_producer_that_never_worked_counts_from_its_first_send(self):
        h = under_fault()
        for n in range(5):
            h.send("p3", f"c{n}", at_s=9.0 + n).fail(at_s=9.5 + n)
        assert measure(h.history(), "rto_max_s", {}) == math.inf

    def test_the_end_of_the_load_is_no_outage(self):
        h = under_fault()
        h.send("p1", "a9", at_s=13.1).info(at_s=13.2)
        assert measure(h.history(), "rto_max_s", {}) == pytest.approx(4.0)

    def test_one_that_stopped_before_the_fault_is_not_counted(self):
        h = under_fault()
        h.send("p0", "z", at_s=1.0).ok(at_s=1.1)
        assert "p0" not in rto_per_producer(h.history())

    def test_without_a_fault_there_is_none(self, h):
        h.send("p1", "m1").ok()
        with pytest.raises(MetricUnavailable, match="no fault"):
            measure(h.history(), "rto_max_s", {})


class TestRpo:
    def lag(self) -> HistoryBuilder:
        h = HistoryBuilder()
        for n in range(10):
            h.send("p1", f"m{n}", at_s=10 + n / 10).ok(at_s=10.01 + n / 10)
        h.read(*(f"m{n}" for n in range(7)), replica="broker-a-1")
        return h

    def test_reaches_from_the_oldest_lost_to_the_last_acknowledged(self):
        assert measure(self.lag().history(), "rpo_ms", {}) == pytest.approx(200.0)
        assert measure(self.lag().history(), "rpo_count", {}) == 3

    def test_nothing_lost_is_zero(self):
        assert measure(healthy_run().history(), "rpo_ms", {}) == 0


class TestLostTimeAroundAFault:
    """One message, 0.1 s old when the power was cut for nine seconds, is lost."""

    def cut(self, *, lost_since_s: float = 20.0, fault: str = "cut", targets: tuple[str, ...] = (MASTER,)) -> History:
        h = HistoryBuilder()
        kept = []
        for n in range(20):
            at_s = 10.1 + n / 2
            h.send("p1", f"m{n}", at_s=at_s - 0.01).ok(at_s=at_s)
            if at_s < lost_since_s:
                kept.append(f"m{n}")
        h.send("p1", "lost", at_s=19.99).ok(at_s=20.0)
        h.fault(fault, "inject", targets=targets, at_s=20.1)
        h.fault(fault, "observed", at_s=20.2)
        waits = h.send("p1", "waits", at_s=29.0)
        h.fault(fault, "heal", at_s=29.1)
        waits.ok(at_s=31.2)
        h.fault(fault, "recovered", at_s=33.0)
        h.read(*kept, "waits")
        return h.history()

    def test_a_send_that_waits_for_the_broker_to_come_back_is_of_the_next_stretch(self):
        assert measure(self.cut(), "rpo_ms", {}) == 0

    def test_what_is_older_is_still_found(self):
        """The oldest that is lost was acknowledged at 14.1 s, the newest before the cut at 20 s."""
        assert measure(self.cut(lost_since_s=14.0), "rpo_ms", {}) == pytest.approx(5900)

    @pytest.mark.parametrize(("fault", "targets"), [("partition", (MASTER,)), ("cut", ("broker-b-0",))])
    def test_a_fault_that_did_not_end_the_broker_excuses_nothing(self, fault, targets):
        """It was not restarted: what it acknowledged later is newer in the same log."""
        assert measure(self.cut(fault=fault, targets=targets), "rpo_ms", {}) == pytest.approx(11_200)

    def test_a_broker_that_is_stopped_acknowledges_until_it_is_gone(self):
        h = HistoryBuilder()
        h.send("p1", "m0", at_s=9.9).ok(at_s=10.0)
        h.fault("stop", "inject", at_s=10.1)
        h.send("p1", "m1", at_s=17.9).ok(at_s=18.0)
        h.fault("stop", "observed", at_s=18.1)
        h.fault("stop", "heal", "recovered", at_s=20.0)
        h.read()
        assert measure(h.history(), "rpo_ms", {}) == pytest.approx(8000)


class TestObserved:
    def test_numbers_truths_and_paths(self, h):
        h.observe("look", {"accepted": 0, "all": True, "deep": {"n": 2.5}, "codes": {}, "never": None})
        history = h.history()
        for name, value in [("accepted", 0), ("all", 1), ("deep.n", 2.5), ("codes", 0)]:
            assert measure(history, "observed", {"name": f"look.{name}"}) == value

    @pytest.mark.parametrize("name", ["nothing", "look.absent", "look.never", "look.accepted.deeper"])
    def test_what_was_not_seen_is_no_number(self, h, name):
        h.observe("look", {"accepted": 0, "never": None})
        with pytest.raises(MetricUnavailable):
            measure(h.history(), "observed", {"name": name})

    def test_the_last_one_counts(self, h):
        h.observe("x", 1)
        h.observe("x", 2)
        assert measure(h.history(), "observed", {"name": "x"}) == 2

    def test_two_of_them(self, h):
        h.observe("a", 6)
        h.observe("b", 4)
        h.observe("zero", 0)
        history = h.history()
        assert measure(history, "observed_ratio", {"first": "a", "second": "b"}) == 1.5
        assert measure(history, "observed_difference", {"first": "a", "second": "b"}) == 2
        with pytest.raises(MetricUnavailable):
            measure(history, "observed_ratio", {"first": "a", "second": "zero"})


class TestDeliveries:
    def test_first_after_a_fault(self):
        h = under_fault()
        h.deliver("c1", "b2", at_s=10.75)
        params = {"window": "kill", "group": "g"}
        assert measure(h.history(), "time_to_first_delivery_s", params) == pytest.approx(0.75)
        assert measure(h.history(), "time_to_first_delivery_s", params | {"broker": "broker-z"}) == math.inf

    def test_counts(self, h):
        h.send("p1", "m1").ok()
        for process in ("c1", "c2", "c2"):
            h.deliver(process, "m1")
        history = h.history()
        assert measure(history, "delivered", {}) == 1
        assert measure(history, "duplicates_delivered", {"group": "g"}) == 2
        assert measure(history, "duplicate_ratio", {}) == pytest.approx(2 / 3)
        assert measure(history, "members_served", {"group": "g"}) == 2


class TestShares:
    def test_even(self, h):
        for n in range(8):
            h.send("p1", f"m{n}").ok(queue=n % 4)
        assert measure(h.history(), "queue_share_deviation", {}) == 0

    def test_a_queue_that_got_nothing(self, h):
        for n in range(6):
            h.send("p1", f"m{n}").ok(queue=n % 3)
        assert measure(h.history(), "queue_share_deviation", {"queues": 4}) == 1
        h.read(queue=3)
        assert measure(h.history(), "queue_share_deviation", {}) == 1

    def test_skewed(self, h):
        for n in range(6):
            h.send("p1", f"m{n}").ok(queue=min(n, 1))
        assert measure(h.history(), "queue_share_deviation", {}) == pytest.approx(2 / 3)


def test_stored_and_drained():
    history = healthy_run(12).history()
    assert measure(history, "stored_count", {}) == 24
    assert measure(history, "stored_count", {"replicas": "slave"}) == 12
    assert measure(history, "drained_queues", {"replicas": "master"}) == 2
    assert measure(history, "found", {"anomaly": "duplicate"}) == 0
    with pytest.raises(MetricUnavailable, match="phase 'other'"):
        measure(history, "stored_count", {"phase": "other"})


def test_a_step_that_ended(h):
    h.step("restart", took_s=2.0)
    assert measure(h.history(), "step_s", {"name": "restart"}) == pytest.approx(2.0, abs=0.01)
    with pytest.raises(MetricUnavailable):
        measure(h.history(), "step_s", {"name": "upgrade"})


def watched() -> History:
    h = healthy_run(12)
    h.observe("look", {"accepted": 0, "sent": 4, "all": True, "slowest_s": 3.0, "lag_ms": 1.0})
    h.observe("base", 4)
    h.observe("replication-lag", {"p50_ms": 0.5, "p99_at_least_ms": 0.8, "p99_ms": 1.0, "max_ms": 1.2, "p99_bytes": 99})
    h.step("restart")
    return h.history()


HELD = [
    ("invoked", ">=", 5, {}),
    ("acked", ">=", 5, {}),
    ("failed", "==", 0, {}),
    ("unknown", "<=", 1, {}),
    ("unacknowledged", "<", 3, {}),
    ("unacknowledged_in", "<=", 1, {"window": "kill"}),
    ("unacknowledged_begun_in", "==", 0, {"window": "kill"}),
    ("ok_in", ">", 0, {"window": "kill"}),
    ("ok_in", "==", 0, {"window": "kill", "broker": "broker-z"}),
    ("ok_despite", "==", 0, {"window": "kill", "broker": "broker-z"}),
    ("answered_in", ">", 1, {"window": "kill"}),
    ("invoked_in", ">", 1, {"window": "kill"}),
    ("answered", "==", 0, {"code": [10, 11, 12]}),
    ("answered", "==", 0, {"status": "FLUSH_DISK_TIMEOUT"}),
    ("success_ratio", ">=", 0.5, {}),
    ("broker_share", ">=", 0.5, {"broker": "broker-a"}),
    ("queue_share_deviation", "<=", 0.05, {}),
    ("lost_count", "==", 0, {}),
    ("unstored", "==", 0, {"statuses": ["FLUSH_SLAVE_TIMEOUT"], "replicas": "master"}),
    ("rpo_count", "<=", 2, {}),
    ("rpo_ms", "<=", 1, {}),
    ("rpo_excess_ms", "<=", 0, {"floor_ms": 2.0}),
    ("delivered", ">=", 5, {"group": "g"}),
    ("duplicates_delivered", "<=", 3, {"group": "g"}),
    ("duplicate_ratio", "<=", 0.1, {"group": "g"}),
    ("duplicates_stored", "==", 0, {}),
    ("members_served", "==", 1, {"group": "g"}),
    ("stored_count", ">=", 10, {}),
    ("found", "<=", 0, {"anomaly": "diverged"}),
    ("rto_max_s", "<", 5, {}),
    ("rto_max_s", "<", 5, {"window": "kill"}),
    ("outage_s", "<", 5, {"window": "kill"}),
    ("latency_min_ms", ">=", 1, {"window": "kill"}),
    ("latency_p50_ms", "<=", 100, {}),
    ("latency_p99_ms", "<=", 100, {}),
    ("latency_max_ms", "<=", 100, {"window": "kill"}),
    ("time_to_first_delivery_s", "<", 5, {"window": "kill", "group": "g"}),
    ("observed", "==", 0, {"name": "look.accepted"}),
    ("observed", "==", 1, {"name": "look.all"}),
    ("observed", "<=", 10, {"name": "look.slowest_s"}),
    ("observed_ratio", ">=", 1, {"first": "look.sent", "second": "base"}),
    ("observed_difference", "<=", 0, {"first": "look.accepted", "second": "base"}),
    ("step_s", "<", 5, {"name": "restart"}),
]


@pytest.mark.parametrize(("metric", "op", "bound", "params"), HELD)
def test_a_metric_that_holds_can_be_made_to_break(metric, op, bound, params, thin):
    demand = Require(metric=metric, op=op, bound=bound, params=params)
    rules = Rules(gates=thin, expectations=(demand,))
    held = judge(watched(), rules)
    assert held.verdict is Verdict.HELD, held.reason
    bad = plant(watched(), demand)
    assert bad is not None, "nothing could be planted"
    judged = judge(bad, rules)
    assert judged.verdict is Verdict.BROKEN, judged.reason


def test_every_metric_is_planted_here_or_elsewhere():
    """A count of drained queues cannot be falsified soundly; what needs a history of its own is in the file named."""
    of_groups = {"queues_per_member", "queues_in_use", "owners_per_queue", "least_delivered_ratio", "taken_over_s"}
    of_delays = {"delay_s", "retry_s", "attempts", "straddled", "ahead_of_answer_s"}
    elsewhere = {
        "test_usage": {"stops_using_s"},
        "test_stages": {"rerouted_s", "first_ok_s", "full_service_s"},
        "test_groups": of_groups,
        "test_delays": of_delays,
        "test_turns": {"turns_ratio"},
    }
    left = set(METRICS) - {case[0] for case in HELD}
    assert left == {"drained_queues", *(name for names in elsewhere.values() for name in names)}


def test_a_metric_that_cannot_be_had_is_inconclusive(thin):
    demand = Require(metric="observed", op="==", bound=0, params={"name": "never"})
    judged = judge(watched(), Rules(gates=thin, expectations=(demand,)))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "never" in judged.reason


@pytest.mark.parametrize(
    "demand",
    [
        Forbid(anomaly="lots"),
        Forbid(anomaly="lost", params={"fase": "final"}),
        Require(metric="ok_inn", op="==", bound=0),
        Require(metric="ok_in", op="==", bound=0),
        Require(metric="found", op="==", bound=0, params={"anomaly": "lots"}),
    ],
)
def test_a_demand_nobody_knows_is_refused_early_and_never_held(demand, thin):
    rules = Rules(gates=thin, expectations=(demand,))
    with pytest.raises(UsageError):
        validate(rules)
    assert judge(watched(), rules).verdict is Verdict.INCONCLUSIVE


def test_demands_that_are_known_pass():
    validate(Rules(expectations=tuple(Require(metric=m, op=o, bound=b, params=p) for m, o, b, p in HELD)))


@pytest.mark.parametrize(
    ("metric", "params"),
    [
        ("ok_in", {"window": "late"}),
        ("ok_despite", {"window": "late"}),
        ("ok_despite", {"window": "kill", "process": "nobody"}),
        ("unacknowledged_in", {"window": "late"}),
        ("ok_in", {"window": "kill", "process": "nobody"}),
        ("unacknowledged", {"process": "nobody"}),
        ("failed", {"topic": "nowhere"}),
    ],
)
def test_none_of_none_is_no_number(metric, params):
    h = under_fault()
    h.fault("late", at_s=60.0)
    with pytest.raises(MetricUnavailable):
        measure(h.history(), metric, params)


@pytest.mark.parametrize(
    ("metric", "params"),
    [
        ("lost_count", {}),
        ("rpo_ms", {}),
        ("duplicates_delivered", {"group": "g"}),
        ("found", {"anomaly": "lost"}),
        ("found", {"anomaly": "phantom", "topic": "nowhere"}),
        ("lost_count", {"topic": "nowhere"}),
        ("rpo_ms", {"topic": "nowhere"}),
    ],
)
def test_of_nothing_there_is_no_count(metric, params):
    h = HistoryBuilder()
    h.consumer("c1")
    h.send("p1", "m1").info()
    h.read()
    with pytest.raises(MetricUnavailable):
        measure((watched() if "topic" in params else h.history()), metric, params)


@pytest.mark.parametrize(("stored", "count"), [(True, 0), (False, 1)])
def test_what_was_answered_with_a_weaker_status_is_to_be_stored(stored, count):
    h = HistoryBuilder()
    h.send("p1", "m1").ok()
    h.send("p1", "m2").info("FLUSH_SLAVE_TIMEOUT")
    h.send("p1", "m3").info("timeout")
    h.read(*(["m1", "m2"] if stored else ["m1"]))
    params = {"statuses": ["FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE"]}
    assert measure(h.history(), "unstored", params) == count
    assert measure(h.history(), "unstored", {"statuses": ["SLAVE_NOT_AVAILABLE"]}) == 0


def test_of_a_store_that_was_read_empty_nobody_knows_what_is_stored():
    h = HistoryBuilder()
    h.send("p1", "m1").info("FLUSH_SLAVE_TIMEOUT")
    h.read()
    with pytest.raises(MetricUnavailable, match="nothing was read"):
        measure(h.history(), "unstored", {"statuses": ["FLUSH_SLAVE_TIMEOUT"]})
