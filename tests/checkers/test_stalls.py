"""A client that stood still: which violations it excuses, which it does not, and that it takes nothing from a held."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.checkers.excuses import _OF_SENDS
from harness.checkers.finders import FINDERS
from harness.checkers.judge import judge
from harness.checkers.metrics import METRICS
from harness.checkers.planting import plant
from harness.checkers.stalls import _METRICS, clients_ran
from harness.checkers.standstills import stalls
from harness.core.expectation import Expectation, Forbid, Gates, Require, Rules
from harness.core.history import History
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Verdict
from harness.judging import judge_planted
from tests.builder import HistoryBuilder, healthy_run

OFF = Gates(min_acked=0, min_acked_before_fault=0, in_flight_at_fault=False, faults_bite=False, faults_heal=False,
            drained=False, healthy=False)  # fmt: skip


def require(metric: str, op: Any, bound: float, **params: Any) -> Require:
    return Require(metric=metric, op=op, bound=bound, params=params)


def stall(h: HistoryBuilder, process: str, from_s: float, to_s: float) -> None:
    detail = {"from_ns": int(from_s * 1e9), "to_ns": int(to_s * 1e9)}
    h.add(process, line(OpName.EVENT, OpType.INFO, int(to_s * 1e9), s="stall", x=json.dumps(detail)))


def disk_stall(h: HistoryBuilder, from_s: float, to_s: float) -> None:
    detail = {"from_ns": int(from_s * 1e9), "to_ns": int(to_s * 1e9)}
    h.add("scenario", line(OpName.EVENT, OpType.INFO, int(to_s * 1e9), s="disk-stall", x=json.dumps(detail)))


def starved(h: HistoryBuilder, node: str, broker: str, from_s: float, to_s: float) -> None:
    """In beats of two seconds at most, as they are recorded."""
    while from_s < to_s:
        until_s = min(from_s + 2, to_s)
        spent = {"from_ns": int(from_s * 1e9), "to_ns": int(until_s * 1e9), "waited_s": 1.9, "each_s": 0.3}
        detail = json.dumps({"node": node, "broker": broker, **spent})
        h.add("scenario", line(OpName.EVENT, OpType.INFO, int(until_s * 1e9), s="starved", x=detail))
        from_s = until_s


def outage() -> HistoryBuilder:
    """p-1 is acknowledged at 49 s and at 56 s, a kill is from 50 s to 52 s, the run from 10 s to 120 s."""
    h = HistoryBuilder()
    h.hello("p-1", role="producer")
    h.hello("p-2", role="producer")
    h.consumer("c-1")
    h.send("p-1", "p-1-0", at_s=10).ok(at_s=10.01)
    h.send("p-1", "p-1-1", at_s=49).ok(at_s=49.01)
    lost = h.send("p-1", "p-1-2", at_s=49.9)
    h.fault("kill", "inject", at_s=50)
    h.fault("kill", "observed", at_s=50.1)
    late = h.send("p-1", "p-1-3", at_s=50.5)
    h.step("back", 1.0)
    h.observe("back", {"reached": False, "seconds": 9.0, "all": False, "missing": 3, "stored": 1})
    h.fault("kill", "heal", at_s=52)
    h.fault("kill", "recovered", at_s=53)
    lost.info(at_s=54)
    late.info(at_s=54.1)
    h.send("p-1", "p-1-4", at_s=55).ok(at_s=56)
    h.send("p-1", "p-1-5", at_s=119).ok(at_s=120)
    for id in ("p-1-0", "p-1-1", "p-1-4", "p-1-5"):
        h.deliver("c-1", id)
    return h


TOUCHED = [
    require("rto_max_s", "<", 5, window="kill"),
    require("rto_max_s", "<=", 5),
    require("unacknowledged_begun_in", "==", 0, window="kill", until="end"),
    require("unacknowledged_in", "<=", 1, window="kill"),
    require("unacknowledged", "==", 0),
    require("unacknowledged", "==", 0, process="p-"),
    require("unknown", "==", 0),
    require("outage_s", "<", 0.05, window="kill"),
    require("success_ratio", ">", 0.9),
    require("ok_in", ">", 5, window="kill", since="recovered", until="end"),
    require("latency_max_ms", "<", 500),
    require("step_s", "<", 0.5, name="back"),
    require("observed", "==", 1, name="back.reached"),
    require("observed", "<=", 5, name="back.seconds"),
    require("observed", "==", 1, name="back.all"),
    require("observed", "==", 0, name="back.missing"),
]
UNTOUCHED = [
    require("ok_in", "==", 1, window="kill", since="recovered", until="end"),
    require("unacknowledged", ">", 5),
    require("observed", "==", 0, name="back.stored"),
    require("observed", ">", 9, name="back.missing"),
    require("broker_share", "<", 0.5, broker="broker-a"),
    Forbid(anomaly="lost"),
    Forbid(anomaly="phantom"),
]


def verdict(h: HistoryBuilder, demand: Expectation) -> Verdict:
    return judge(h.history(), Rules(gates=OFF, expectations=(demand,))).verdict


@pytest.mark.parametrize("demand", TOUCHED, ids=lambda d: d.text())
class TestScheduled:
    def test_without_a_stall_it_is_broken(self, demand):
        assert verdict(outage(), demand) is Verdict.BROKEN

    @pytest.mark.parametrize("who", ["p-1", "scenario"])
    def test_with_one_it_is_inconclusive(self, demand, who):
        h = outage()
        stall(h, who, 50.5, 55.5)
        judged = judge(h.history(), Rules(gates=OFF, expectations=(demand,)))
        if who == "scenario" and demand.metric in _OF_SENDS:
            assert judged.verdict is Verdict.BROKEN, "the harness sends nothing, and makes no send late"
            return
        assert judged.verdict is Verdict.INCONCLUSIVE, judged.reason
        assert "stood still for 5.0 s" in judged.reason

    def test_with_one_of_the_disk_it_is_inconclusive(self, demand):
        h = outage()
        disk_stall(h, 50.5, 55.5)
        judged = judge(h.history(), Rules(gates=OFF, expectations=(demand,)))
        assert judged.verdict is Verdict.INCONCLUSIVE, judged.reason
        assert "the machine's disk stood still for 5.0 s" in judged.reason

    @pytest.mark.parametrize(("node", "broker"), [("broker-a-0", "broker-a"), ("namesrv-1", "")])
    def test_with_a_node_that_was_starved_it_is_inconclusive(self, demand, node, broker):
        h = outage()
        starved(h, node, broker, 50.5, 55.5)
        judged = judge(h.history(), Rules(gates=OFF, expectations=(demand,)))
        assert judged.verdict is Verdict.INCONCLUSIVE, judged.reason
        assert f"{node} was starved of processors for 5.0 s" in judged.reason

    def test_one_of_a_paused_client_is_none(self, demand):
        h = outage()
        h.add("nemesis", line(OpName.FAULT, OpType.INFO, int(50.4e9), id="asleep", s="inject",
                              x=json.dumps({"fault": "pause", "targets": ["p-1"], "lasting": False})))  # fmt: skip
        h.add("nemesis", line(OpName.FAULT, OpType.INFO, int(55.5e9), id="asleep", s="heal"))
        stall(h, "p-1", 50.4, 55.5)
        assert stalls(h.history()) == ()


def test_a_stall_far_from_the_window_excuses_nothing():
    h = outage()
    disk_stall(h, 20, 25)
    disk_stall(h, 100, 105)
    stall(h, "p-1", 20, 25)
    stall(h, "p-1", 100, 105)
    assert verdict(h, require("rto_max_s", "<", 5, window="kill")) is Verdict.BROKEN
    assert verdict(h, require("unacknowledged", "==", 0)) is Verdict.BROKEN


def test_a_broker_that_was_starved_has_touched_the_sends_to_it():
    def with_one_to(broker: str) -> Verdict:
        h = outage()
        # Acknowledged by another one, twice as late as it may.
        h.send("p-2", "p-2-0", at_s=51).ok(broker=broker, at_s=55.2)
        starved(h, "broker-b-1", "broker-b", 50.5, 55.5)
        return verdict(h, require("unacknowledged_in", "<=", 1, window="kill"))

    # What came of two sends is not known, nor who was asked.
    assert with_one_to("broker-b") is Verdict.INCONCLUSIVE
    h = outage()
    h.send("p-2", "p-2-0", at_s=80).info(at_s=83)
    starved(h, "broker-a-0", "broker-a", 50.5, 55.5)
    assert verdict(h, require("unacknowledged", "==", 0)) is Verdict.BROKEN, "one was begun long after"


def test_a_node_that_was_starved_far_from_the_window_excuses_nothing():
    h = outage()
    starved(h, "broker-a-0", "broker-a", 20, 25)
    starved(h, "broker-a-0", "broker-a", 100, 105)
    assert verdict(h, require("rto_max_s", "<", 5, window="kill")) is Verdict.BROKEN
    assert verdict(h, require("unacknowledged", "==", 0)) is Verdict.BROKEN


def test_sends_that_no_stall_touched_are_witnesses_enough():
    h = outage()
    h.send("p-2", "p-2-0", at_s=80).info(at_s=81)
    stall(h, "p-1", 50.5, 55.5)
    stall(h, "p-2", 20, 25)
    assert verdict(h, require("unacknowledged", "==", 0)) is Verdict.BROKEN
    assert verdict(h, require("unacknowledged", "<=", 1)) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("at_s", "seen"), [(60, Verdict.BROKEN), (95, Verdict.INCONCLUSIVE)])
def test_what_was_never_given_is_excused_by_a_stall_in_the_last_wait_alone(at_s, seen):
    """Whoever stood still before had the time to catch up: the last delivery is at 120 s."""
    h = outage()
    h.send("p-1", "p-1-6", at_s=58).ok(at_s=58.1)
    h.deliver("c-1", "p-1-5", at_s=120.5)
    stall(h, "c-1", at_s, at_s + 2)
    assert verdict(h, Forbid(anomaly="undelivered")) is seen


@pytest.mark.parametrize("told_s", [125, 200])
@pytest.mark.parametrize(("at_s", "seen"), [(60, Verdict.BROKEN), (110, Verdict.INCONCLUSIVE)])
def test_the_last_wait_is_when_it_was_recorded_and_not_when_everything_was_put_away(at_s, seen, told_s):
    """A consumer that was killed for good tells its counts at the very end, however long the oracle took."""
    h = outage()
    h.send("p-1", "p-1-6", at_s=58).ok(at_s=58.1)
    h.deliver("c-1", "p-1-5", at_s=120.5)
    h.time_ns = int(124e9)
    h.observe("drain.g", {"all": False, "missing": 1, "progressing": False, "quiet_s": None})
    told = json.dumps({"process": "c-0", "final": False})
    h.add("scenario", line(OpName.EVENT, OpType.INFO, int(told_s * 1e9), s="counts", x=told))
    stall(h, "c-1", at_s, at_s + 2)
    assert verdict(h, Forbid(anomaly="undelivered")) is seen


def test_a_demand_on_deliveries_names_whose_messages_they_are():
    h = outage()
    h.send("p-1", "p-1-6", at_s=58).ok(at_s=58.1)
    h.deliver("c-1", "p-1-5", at_s=120.5)
    stall(h, "c-1", 110, 112)
    assert verdict(h, Forbid(anomaly="undelivered", params={"process": "p"})) is Verdict.INCONCLUSIVE


def test_an_acknowledgement_written_down_late_is_no_acknowledgement_in_spite_of_a_fault():
    def late(stalled: bool, disk: bool = False, node: bool = False) -> Verdict:
        h = outage()
        h.fault("gone", "inject", at_s=130)
        h.fault("gone", "observed", at_s=130.1)
        h.send("p-1", "p-1-7", at_s=129.8).ok(at_s=132.4)
        h.send("p-2", "p-2-1", at_s=131).info(at_s=134)
        h.fault("gone", "heal", at_s=140)
        h.fault("gone", "recovered", at_s=141)
        if stalled:
            stall(h, "p-1", 129.7, 132.4)
        if disk:
            disk_stall(h, 129.7, 132.4)
        if node:
            starved(h, "broker-a-0", "broker-a", 129.7, 132.4)
        return verdict(h, require("ok_despite", "==", 0, window="gone"))

    assert late(stalled=False) is Verdict.BROKEN
    assert late(stalled=True) is Verdict.INCONCLUSIVE
    assert late(stalled=False, disk=True) is Verdict.BROKEN, "a disk stamps nothing"
    assert late(stalled=False, node=True) is Verdict.BROKEN, "nor does a broker"


@pytest.mark.parametrize("who", ["p-2", "c-1"])
def test_a_stall_of_another_client_excuses_nothing(who):
    h = outage()
    stall(h, who, 50.5, 55.5)
    assert verdict(h, require("unacknowledged", "==", 0, process="p-1")) is Verdict.BROKEN


def test_the_oracle_reads_after_the_load():
    """The harness stood still long after the workers were stopped."""
    h = outage()
    stall(h, "scenario", 200, 205)
    assert verdict(h, require("unacknowledged", "==", 0)) is Verdict.BROKEN


@pytest.mark.parametrize("demand", UNTOUCHED, ids=lambda d: d.text())
def test_what_does_not_depend_on_scheduling_is_not_excused(demand):
    h = outage()
    h.read("p-1-0", "p-1-1", "p-1-4", "p-9-9")
    stall(h, "p-1", 50.5, 55.5)
    disk_stall(h, 50.5, 55.5)
    starved(h, "broker-a-0", "broker-a", 50.5, 55.5)
    assert verdict(h, demand) is Verdict.BROKEN


@pytest.mark.parametrize("kind", sorted(FINDERS))
def test_of_anomalies_only_deliveries_are_excused(thin, kind):
    h = healthy_run(power=kind == "torn")
    if kind == "reordered-key":
        h.hello("p1", role="producer", mode="orderly", keys=1)
    for process in ("p1", "c1", "scenario"):
        stall(h, process, 1.01, 1.03)
    bad = plant(h.history(), Forbid(anomaly=kind))
    assert bad is not None
    excused = kind in ("undelivered", "redelivered", "unread-or-undelivered")
    seen = judge(bad, Rules(gates=thin, expectations=(Forbid(anomaly=kind),)))
    unread = seen.checks[0].finding is not None and seen.checks[0].finding.figures.get("unread", 0) > 0
    assert seen.verdict is (Verdict.INCONCLUSIVE if excused and not unread else Verdict.BROKEN)


def test_a_held_stays_held_and_its_planted_controls_broken(thin):
    h = healthy_run()
    for process in ("p1", "c1", "scenario"):
        stall(h, process, 1.01, 1.03)
    demands = (Forbid(anomaly="undelivered"), require("rto_max_s", "<", 5), require("unacknowledged", "<", 5))
    rules = Rules(gates=thin, expectations=demands)
    assert judge(h.history(), rules).verdict is Verdict.HELD
    assert {p.observed for p in judge_planted(h.history(), rules)} == {Verdict.BROKEN}


def test_a_recovery_point_is_moved_by_no_more_than_the_stall():
    def lossy(to_s: float) -> HistoryBuilder:
        h = HistoryBuilder()
        h.send("p-1", "m0", at_s=10).ok(at_s=10.1)
        h.send("p-1", "m1", at_s=11).ok(at_s=to_s)
        h.read("m1")
        stall(h, "p-1", 11.0, to_s)
        return h

    bound = require("rpo_ms", "<=", 2000)
    assert verdict(lossy(14), bound) is Verdict.INCONCLUSIVE
    h = lossy(14)
    h.send("p-1", "m2", at_s=18).ok(at_s=18.1)
    assert verdict(h, bound) is Verdict.BROKEN


def test_what_is_said_of_it():
    assert clients_ran(History.empty()).message == "not known: it was not watched"
    h = outage()
    stall(h, "p-1", 50.5, 55.5)
    assert clients_ran(h.history()).message == "not all the time: p-1 stood still for 5.0 s"
    assert clients_ran(h.history()).met
    h = outage()
    starved(h, "namesrv-1", "", 50, 56)
    starved(h, "broker-a-0", "broker-a", 20, 21)
    starved(h, "broker-a-0", "broker-a", 90, 92)
    assert clients_ran(h.history()).message == (
        "not all the time: namesrv-1 was starved of processors for 6.0 s; broker-a-0 was starved of processors for "
        "2.0 s; broker-a-0 was starved of processors for 1.0 s"
    )


@pytest.mark.parametrize("watched", [True, False])
def test_that_nobody_was_seen_to_stand_still_says_who_was_looked_at(watched):
    h = outage()
    h.add("scenario", line(OpName.EVENT, OpType.INFO, int(130e9), s="counts", x='{"process": "p-1", "final": true}'))
    if watched:
        h.add("scenario", line(OpName.EVENT, OpType.INFO, int(1e9), s="processors-watched", x="{}"))
    nodes = "nodes, " if watched else ""
    assert clients_ran(h.history()).message == f"neither clients, {nodes}harness nor disk were seen to stand still"


def test_nothing_is_inconclusive():
    for demand in (*TOUCHED, *UNTOUCHED):
        assert judge(History.empty(), Rules(expectations=(demand,))).verdict is Verdict.INCONCLUSIVE


def test_the_table_names_metrics():
    assert set(_METRICS) <= set(METRICS)


class TestAnIndexThatStoodStill:
    """It is a broker's last word, unless what lies below every broker stood still as well."""

    LOST = Forbid(anomaly="lost", params={"replicas": "master"})

    def read(self, remark: str = "the index has stood still 4,096 bytes behind the log for 58 s") -> HistoryBuilder:
        h = HistoryBuilder()
        for n in range(6):
            h.send("p-1", f"p-1-{n}", at_s=1 + n).ok(at_s=1.1 + n, offset=n)
        h.read(*(f"p-1-{n}" for n in range(5)))
        for row in h.rows:
            if row["f"] == "drain":
                row["t"] = int(100e9)
                row["e"] = remark
        return h

    def judged(self, h: HistoryBuilder) -> Any:
        return judge(h.history(), Rules(gates=OFF, expectations=(self.LOST,)))

    def test_alone_it_is_the_broker_s_own(self):
        assert self.judged(self.read()).verdict is Verdict.BROKEN

    @pytest.mark.parametrize("who", ["disk", "scenario"])
    def test_with_a_stall_of_disk_or_harness_nothing_is_said(self, who):
        h = self.read()
        if who == "disk":
            disk_stall(h, 40, 99)
        else:
            stall(h, who, 40, 99)
        judged = self.judged(h)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "what it has not indexed is not lost" in judged.reason

    def test_a_stall_long_before_the_look_changes_nothing(self):
        h = self.read()
        disk_stall(h, 5, 12)
        assert self.judged(h).verdict is Verdict.BROKEN

    def test_the_first_of_several_replicas_was_waited_for_before_the_others(self):
        """Waited for from 20 to 80 s, then the slave from 80 to 140 s; written down at 145 s. The disk stood."""
        h = self.read()
        h.read(*(f"p-1-{n}" for n in range(5)), replica="broker-a-1")
        for row in h.rows:
            if row["f"] == "drain":
                row["t"] = int(145e9)
        disk_stall(h, 20, 40)
        assert self.judged(h).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("remark", ["read again after: topic[t] not exist", "offsets 3 to 4 were skipped"])
    def test_a_queue_that_was_read_to_its_end_for_other_reasons_is_not_doubted(self, remark):
        h = self.read(remark)
        disk_stall(h, 40, 99)
        stall(h, "scenario", 40, 99)
        assert self.judged(h).verdict is Verdict.BROKEN

    @pytest.mark.parametrize(("node", "seen"), [("broker-a-0", Verdict.INCONCLUSIVE), ("broker-b-0", Verdict.BROKEN)])
    def test_a_broker_that_was_starved_is_doubted_itself(self, node, seen):
        h = self.read()
        starved(h, node, node[:-2], 40, 99)
        assert self.judged(h).verdict is seen

    def test_nor_does_one_of_a_client(self):
        h = self.read()
        stall(h, "p-1", 40, 99)
        assert self.judged(h).verdict is Verdict.BROKEN
