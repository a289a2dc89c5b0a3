"""Lost evidence: it voids whatever was said, held and broken alike, and is never taken for the product's doing."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from harness.checkers.books import complete_record, unbooked
from harness.checkers.judge import judge
from harness.core.expectation import Forbid, Rules
from harness.core.history import RAW_SCHEMA, History
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Verdict
from harness.judging import judge_planted
from tests.builder import HistoryBuilder, healthy_run

ROLES = {"p0": "producer", "p1": "producer", "p2": "producer", "c1": "consumer"}


def event(h: HistoryBuilder, name: str, **detail: Any) -> None:
    h.add("scenario", line(OpName.EVENT, OpType.INFO, h.now(), s=name, x=json.dumps(detail)))


def counts(h: HistoryBuilder, process: str) -> dict[str, int]:
    rows = [r for r in h.rows if r["p"] == process]
    sends = [r["y"] for r in rows if r["f"] == "send"]
    done = {what: sends.count(what) for what in ("ok", "fail", "info")}
    invoked = sends.count("invoke")
    return done | {
        "invoked": invoked,
        "in_flight": invoked - sum(done.values()),
        "delivered": sum(r["f"] == "deliver" for r in rows),
    }


def booked(h: HistoryBuilder, *, killed: str = "", **told: dict[str, int]) -> HistoryBuilder:
    """A roster and final counts as they are in the lines, but for what `told` says of a process."""
    for process, role in ROLES.items():
        if not any(r["f"] == "hello" and r["p"] == process for r in h.rows):
            h.hello(process, role=role)
        event(h, "roster", process=process, role=role)
    for process in ROLES:
        event(h, "counts", process=process, final=process != killed, **(counts(h, process) | told.get(process, {})))
    return h


def without(h: HistoryBuilder, gone: Any) -> History:
    return History.from_raw(pl.DataFrame([r for r in h.rows if not gone(r)], schema=RAW_SCHEMA))


def test_a_whole_record(thin):
    met = complete_record(booked(healthy_run()).history())
    assert met.met, met.message
    assert "4 workers" in met.message
    rules = Rules(gates=thin, expectations=tuple(Forbid(anomaly=a) for a in ("lost", "phantom", "undelivered")))
    assert judge(booked(healthy_run()).history(), rules).verdict is Verdict.HELD


@pytest.mark.parametrize("gone", ["p1", "p2", "c1"])
@pytest.mark.parametrize("anomaly", ["lost", "phantom", "diverged", "undelivered"])
def test_a_file_that_is_gone_voids_held_and_broken_alike(thin, gone, anomaly):
    history = without(booked(healthy_run()), lambda r: r["p"] == gone)
    judged = judge(history, Rules(gates=thin, expectations=(Forbid(anomaly=anomaly),)))
    assert judged.verdict is Verdict.INCONCLUSIVE, judged.reason
    assert f"nothing that {gone} did is recorded" in judged.reason


def test_a_tail_that_is_gone(thin):
    h = booked(healthy_run())
    last = [r for r in h.rows if r["p"] == "p1" and r["f"] == "send"][-1]
    history = without(h, lambda r: r is last)
    judged = judge(history, Rules(gates=thin, expectations=(Forbid(anomaly="lost"),)))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "p1 has 5 completions in its history and said 6" in judged.reason
    history = without(h, lambda r: r["p"] == "p1" and r.get("c") == last["c"])
    assert "p1 has 5 invoked" in complete_record(history).message
    history = without(h, lambda r: r["f"] == "deliver" and r["id"] == last["id"])
    assert "c1 has 11 delivered" in complete_record(history).message


class TestCounts:
    def test_more_than_was_told(self):
        assert not complete_record(booked(healthy_run(), p0={"invoked": 5, "ok": 5}).history()).met

    def test_another_outcome_than_was_told(self):
        assert not complete_record(booked(healthy_run(), p0={"ok": 5, "info": 1}).history()).met

    def test_what_was_in_flight_may_have_come_since(self):
        assert complete_record(booked(healthy_run(), p0={"ok": 4, "in_flight": 2}).history()).met

    def test_a_listener_may_run_on(self):
        assert complete_record(booked(healthy_run(), c1={"delivered": 11}).history()).met

    def test_a_send_that_completed_twice_is_a_matter_of_its_own_finder(self):
        h = healthy_run()
        h.add("p0", line(OpName.SEND, OpType.INFO, h.now(), c=1, id="p0-0", s="late"))
        assert complete_record(booked(h).history()).met

    def test_never_told(self):
        history = without(booked(healthy_run()), lambda r: r.get("s") == "counts" and '"p0"' in r["x"])
        assert "what p0 said it had done is not recorded" in complete_record(history).message

    def test_a_stranger(self):
        h = booked(healthy_run())
        h.send("p9", "p9-0").ok()
        assert "p9 are recorded and were never started" in complete_record(h.history()).message

    def test_a_probe_is_none(self):
        h = booked(healthy_run())
        h.send("probe", "probe-1").ok()
        assert complete_record(h.history()).met


class TestKilled:
    def test_by_a_fault_it_has_at_least_what_it_told(self):
        h = healthy_run()
        h.fault("kill-p0", "inject", "observed", targets=("p0",), lasting=True)
        rows = [r | {"x": r["x"].replace('"kill-p0"', '"kill"')} if r.get("id") == "kill-p0" and r.get("x") else r
                for r in h.rows]  # fmt: skip
        h.rows = rows
        assert complete_record(booked(h, killed="p0", p0={"invoked": 3}).history()).met
        h.rows = list(rows)
        assert not complete_record(booked(h, killed="p0", p0={"invoked": 7}).history()).met

    def test_by_nobody_it_is_not_whole(self):
        assert "p0 was never stopped" in complete_record(booked(healthy_run(), killed="p0").history()).message


class TestTorn:
    def torn(self, *, target: str, fault: str = "kill") -> History:
        h = healthy_run()
        h.fault(fault, "inject", "observed", targets=(target,), lasting=True)
        h = booked(h)
        h.add("p1", line(OpName.HELLO, OpType.INFO, h.now(), x=json.dumps({"torn_lines": 1})))
        return h.history()

    def test_unasked(self, thin):
        judged = judge(self.torn(target="p0"), Rules(gates=thin, expectations=(Forbid(anomaly="lost"),)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "p1 is torn" in judged.reason

    def test_by_the_fault_that_killed_it(self):
        assert complete_record(self.torn(target="p1")).met

    def test_a_cut_kills_nobody(self):
        assert not complete_record(self.torn(target="p1", fault="partition")).met


class TestWithoutRoster:
    def test_an_old_history_is_judged_as_it_was(self, thin):
        found = complete_record(healthy_run().history())
        assert found.met
        assert "not known" in found.message
        judged = judge(healthy_run().history(), Rules(gates=thin, expectations=(Forbid(anomaly="lost"),)))
        assert judged.verdict is Verdict.HELD

    def test_a_new_one_whose_roster_is_gone_is_not(self):
        h = healthy_run()
        h.add("p0", line(OpName.HELLO, OpType.INFO, h.now(), x=json.dumps({"counted": True})))
        assert not complete_record(h.history()).met

    def test_nothing_at_all(self):
        rules = Rules(expectations=(Forbid(anomaly="phantom"),))
        assert judge(History.empty(), rules).verdict is Verdict.INCONCLUSIVE


def test_planted_defects_are_seen_as_such_and_not_as_forgeries(thin):
    kinds = ("lost", "phantom", "undelivered", "redelivered", "stored-though-failed", "duplicate")
    rules = Rules(gates=thin, expectations=tuple(Forbid(anomaly=kind) for kind in kinds))
    h = booked(healthy_run())
    h.rows = [r | {"x": json.dumps({"counted": True} | json.loads(r["x"]))} if r["f"] == "hello" else r for r in h.rows]
    outcomes = judge_planted(h.history(), rules)
    assert {p.demand: p.observed for p in outcomes if not p.implied} == {f"0 {kind}": Verdict.BROKEN for kind in kinds}
    assert complete_record(unbooked(h.history())).met


def acted(h: HistoryBuilder, *, faults: tuple[str, ...] = (), looks: tuple[str, ...] = ()) -> HistoryBuilder:
    event(h, "acted", faults=list(faults), looks=list(looks))
    return h


def read_all(h: HistoryBuilder, phase: str = "final") -> HistoryBuilder:
    reads = [r for r in h.rows if r["f"] == "read" and r["s"] == phase]
    nodes = sorted({r["r"] for r in h.rows if r["f"] == "drain" and r["s"] == phase})
    event(h, "read-all", phase=phase, nodes=nodes, messages=len(reads))
    return h


def test_a_replica_of_whose_reading_every_line_is_gone_voids_the_verdict(thin):
    whole = read_all(booked(healthy_run()))
    assert complete_record(whole.history()).met
    gone = next(r["r"] for r in whole.rows if r["f"] == "drain")
    history = without(whole, lambda r: r["f"] in ("read", "drain") and r["r"] == gone)
    met = complete_record(history)
    assert not met.met
    assert f"the oracle read {gone} in phase 'final', and nothing of it is recorded" in met.message
    assert judge(history, Rules(gates=thin, expectations=(Forbid(anomaly="phantom"),))).verdict is Verdict.INCONCLUSIVE


def test_a_message_of_the_reading_that_is_gone_with_its_drain_s_count_is_missed():
    h = read_all(booked(healthy_run()))
    first = next(r for r in h.rows if r["f"] == "read")
    met = complete_record(without(h, lambda r: r is first))
    assert not met.met
    assert "are recorded" in met.message


def test_a_fault_or_a_look_of_which_nothing_is_recorded_is_named():
    h = booked(healthy_run())
    assert complete_record(acted(h).history()).met
    met = complete_record(acted(h, faults=("kill-all",), looks=("returned",)).history())
    assert not met.met
    assert "nothing is recorded of the fault kill-all" in met.message
    assert "nothing is recorded of the look returned" in met.message


def test_a_scenario_that_was_stopped_half_way_owes_no_step():
    assert complete_record(booked(healthy_run()).history()).met
