import math

import pytest

from harness.checkers import judge as judge_module
from harness.checkers.gates import assumptions
from harness.checkers.judge import judge
from harness.core.expectation import Forbid, Gates, Require, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, SLAVE, HistoryBuilder, healthy_run

LOST = Forbid(anomaly="lost")


def unmet(history: History, gates: Gates) -> set[str]:
    return {a.name for a in assumptions(history, gates) if not a.met}


def test_a_good_run_meets_every_gate(thin):
    assert unmet(healthy_run().history(), thin.model_copy(update={"deliveries": True})) == set()


def test_one_fault_is_one_fault(thin):
    h = healthy_run()
    said = {a.name: a.message for a in assumptions(h.history(), thin)}
    assert said["faults-bite"] == "1 fault was seen to bite"
    assert said["load-before-fault"] == "the load was steady before 1 fault"
    assert said["in-flight"] == "sends were under way at 1 fault"
    h.send("p1", "open")
    h.fault("again")
    assert {a.name: a.message for a in assumptions(h.history(), thin)}["faults-bite"] == "2 faults were seen to bite"


def test_nothing_meets_no_gate_but_form():
    gates = Gates(deliveries=True)
    assert unmet(History.empty(), gates) == {
        "load",
        "faults-bite",
        "drained[final]",
        "healthy",
        "deliveries",
    } | ({"load-before-fault", "in-flight"} & unmet(History.empty(), gates))


class TestEachGate:
    def test_load(self, thin):
        assert unmet(healthy_run().history(), thin.model_copy(update={"min_acked": 13})) == {"load"}

    def test_load_before_the_fault(self, thin):
        gates = thin.model_copy(update={"min_acked_before_fault": 7})
        assert unmet(healthy_run().history(), gates) == {"load-before-fault"}

    def test_a_second_fault_under_the_first_needs_no_load_of_its_own(self, thin):
        h = HistoryBuilder()
        for n in range(6):
            h.send("p1", f"m{n}").ok()
        h.send("p1", "open")
        h.fault("cut", "inject", "observed", lasting=True)
        h.fault("kill", "inject", "observed", lasting=True, at_s=30.0)
        gates = thin.model_copy(update={"drained": False, "healthy": False})
        assert unmet(h.history(), gates) == set()

    def test_in_flight(self, h, thin):
        for n in range(6):
            h.send("p1", f"m{n}").ok()
        h.fault("kill")
        gates = thin.model_copy(update={"drained": False, "healthy": False})
        assert unmet(h.history(), gates) == {"in-flight"}

    def test_a_send_of_a_producer_that_was_killed_long_before_is_not_under_way_any_more(self, h, thin):
        h.send("p2", "gone")
        h.fault("kill", "inject", "observed", targets=("p2",), lasting=True)
        for n in range(6):
            h.send("p1", f"m{n}").ok()
        h.fault("cut-power")
        gates = thin.model_copy(update={"drained": False, "healthy": False})
        assert "in-flight" in unmet(h.history(), gates)

    def test_a_send_that_never_came_back_was_in_flight(self, h, thin):
        for n in range(6):
            h.send("p1", f"m{n}").ok()
        h.send("p1", "gone")
        h.fault("kill")
        gates = thin.model_copy(update={"drained": False, "healthy": False})
        assert unmet(h.history(), gates) == set()

    def test_not_seen_to_bite(self, h, thin):
        h.send("p1", "gone")
        h.fault("kill", "inject", "heal", "recovered")
        assert "faults-bite" in unmet(h.history(), thin)

    def test_no_fault_at_all_did_not_bite(self, h, thin):
        h.send("p1", "m1").ok()
        assert "faults-bite" in unmet(h.history(), thin)

    def test_not_seen_to_recover(self, h, thin):
        h.fault("kill", "inject", "observed", "heal")
        assert "faults-heal" in unmet(h.history(), thin)

    def test_meant_to_last(self, h, thin):
        h.fault("kill", "inject", "observed", lasting=True)
        assert "faults-heal" not in unmet(h.history(), thin)

    @pytest.mark.parametrize("value", [False, None, "yes"])
    def test_unhealthy(self, thin, value):
        h = healthy_run()
        h.observe("healthy.after", value)
        assert unmet(h.history(), thin) == {"healthy"}


class TestDrained:
    def test_a_queue_cut_short(self, thin):
        h = healthy_run()
        h.read(replica=MASTER, queue=2, complete=False)
        judged = judge(h.history(), Rules(gates=thin, expectations=(LOST,)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "not read to their end" in judged.reason

    def test_it_voids_even_a_loss(self, thin):
        h = healthy_run()
        h.send("p1", "gone").ok()
        h.read(replica=MASTER, queue=2, complete=False)
        judged = judge(h.history(), Rules(gates=thin, expectations=(LOST,)))
        assert not judged.checks[0].met
        assert judged.verdict is Verdict.INCONCLUSIVE

    def test_a_queue_that_acknowledged_and_was_never_read(self, thin):
        h = healthy_run()
        h.send("p1", "elsewhere").ok(queue=7)
        assert unmet(h.history(), thin) == {"drained[final]"}

    @pytest.mark.parametrize("broker", ["broker-b", None])
    def test_a_client_that_tells_no_queue_does_not_hide_a_topic_that_nobody_read(self, thin, broker):
        h = healthy_run()
        h.send("p1", "somewhere", topic="unread").ok(broker=broker, queue=None)
        demand = Rules(gates=thin, expectations=(LOST,))
        assert judge(h.history(), demand).verdict is Verdict.INCONCLUSIVE, "lost, for nobody looked for it"
        assert "without being read" in judge(h.history(), demand).reason
        h.read("somewhere", replica="broker-b-0", queue=5, topic="unread")
        assert "drained[final]" not in unmet(h.history(), thin)

    def test_a_slave_does_not_stand_for_its_master(self, thin):
        h = healthy_run()
        h.send("p1", "elsewhere").ok(queue=7)
        h.read("elsewhere", replica=SLAVE, queue=7)
        assert unmet(h.history(), thin) == {"drained[final]"}

    def test_unless_the_master_is_gone_for_good(self, thin):
        h = healthy_run()
        h.fault("destroy", "inject", "observed", lasting=True)
        h.send("p1", "elsewhere").ok(queue=7)
        h.read("elsewhere", replica=SLAVE, queue=7)
        assert "drained[final]" not in unmet(h.history(), thin)

    def test_a_demand_on_another_phase_needs_that_phase(self, thin):
        demand = Forbid(anomaly="lost", params={"phase": "slave", "replicas": "slave"})
        judged = judge(healthy_run().history(), Rules(gates=thin, expectations=(demand,)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "'slave'" in judged.reason

    def test_replicas_that_were_not_read_are_not_judged(self, thin):
        demand = Forbid(anomaly="lost", params={"replicas": "slave"})
        judged = judge(healthy_run(slaves=0).history(), Rules(gates=thin, expectations=(demand,)))
        assert judged.verdict is Verdict.INCONCLUSIVE

    def test_reads_that_went_missing_from_the_record(self, thin):
        h = healthy_run()
        h.read("p0-0", queue=5, count=2)
        assert unmet(h.history(), thin) == {"well-formed"}

    def test_reads_without_their_drain(self, thin):
        h = healthy_run()
        h.read("p0-0", queue=5)
        h.rows.pop()
        assert unmet(h.history(), thin) == {"well-formed"}

    def test_the_same_phase_read_twice(self, thin):
        h = healthy_run()
        h.read(queue=5)
        h.read(queue=5)
        assert unmet(h.history(), thin) == {"well-formed"}


def test_time_running_backwards_is_not_well_formed(thin):
    h = healthy_run()
    h.send("p9", "odd", at_s=5.0).ok(queue=0, at_s=4.0)
    assert "well-formed" in unmet(h.history(), thin)


def test_a_witnessed_loss_is_broken_even_under_too_thin_a_load(thin):
    h = healthy_run()
    h.send("p1", "gone").ok()
    rules = Rules(gates=thin.model_copy(update={"min_acked": 5000}), expectations=(LOST,))
    judged = judge(h.history(), rules)
    assert judged.verdict is Verdict.BROKEN
    assert judged.figures["lost"] == 1


def test_too_thin_a_load_holds_nothing():
    judged = judge(healthy_run().history(), Rules(expectations=(LOST,)))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "5,000 are needed" in judged.reason


def test_no_demand_holds_nothing(thin):
    assert judge(healthy_run().history(), Rules(gates=thin)).verdict is Verdict.INCONCLUSIVE


def test_none_of_nothing_is_not_held(h):
    """`0 lost` of a history in which nothing was acknowledged, with every gate off."""
    h.send("p1", "m1").fail()
    h.read()
    off = Gates(
        min_acked=0,
        min_acked_before_fault=0,
        in_flight_at_fault=False,
        faults_bite=False,
        faults_heal=False,
        drained=False,
        healthy=False,
    )
    judged = judge(h.history(), Rules(gates=off, expectations=(LOST,)))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "nothing to look at" in judged.reason


class TestNothingFailed:
    """`stored-though-failed` in a run in which no send surely failed: what a client that retries leaves."""

    FAILED = Forbid(anomaly="stored-though-failed")

    def test_beside_another_demand_it_takes_nothing_from_the_verdict(self, thin):
        judged = judge(healthy_run().history(), Rules(gates=thin, expectations=(LOST, self.FAILED)))
        assert judged.verdict is Verdict.HELD
        assert "0 stored-though-failed of 0" in judged.reason

    def test_alone_it_shows_nothing(self, thin):
        judged = judge(healthy_run().history(), Rules(gates=thin, expectations=(self.FAILED,)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "nothing to look at" in judged.reason

    def test_with_nothing_read_or_delivered_it_shows_nothing(self, thin):
        h = healthy_run(group=None)
        h.rows = [row for row in h.rows if row["p"] != "oracle"]
        gates = thin.model_copy(update={"drained": False})
        acked = Require(metric="acked", op=">", bound=0)
        assert judge(h.history(), Rules(gates=gates, expectations=(acked,))).verdict is Verdict.HELD
        judged = judge(h.history(), Rules(gates=gates, expectations=(acked, self.FAILED)))
        assert judged.verdict is Verdict.INCONCLUSIVE

    def test_a_refused_send_that_is_stored_is_broken(self, thin):
        h = healthy_run()
        h.send("p1", "refused").fail(code=14)
        h.read("refused", queue=5)
        judged = judge(h.history(), Rules(gates=thin, expectations=(LOST, self.FAILED)))
        assert judged.verdict is Verdict.BROKEN
        assert "1 stored-though-failed of 1" in judged.reason


def test_a_finder_that_fails_is_never_a_pass(thin, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(judge_module, "find", fail)
    judged = judge(healthy_run().history(), Rules(gates=thin, expectations=(LOST,)))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "ZeroDivisionError" in judged.reason


def test_a_gate_that_fails_is_never_a_pass(thin, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(judge_module.gates, "assumptions", fail)
    demand = Require(metric="acked", op=">", bound=1)
    assert judge(healthy_run().history(), Rules(gates=thin, expectations=(demand,))).verdict is Verdict.INCONCLUSIVE


def test_figures_are_what_a_row_shows(thin):
    judged = judge(healthy_run(12).history(), Rules(gates=thin, expectations=(LOST,)))
    assert judged.figures["acked"] == 12
    assert judged.figures["unknown"] == 1
    assert judged.figures["lost"] == 0
    assert judged.figures["lost_upper_bound"] == pytest.approx(0.25)
    assert "upper bound" in judged.reason
    assert not any(isinstance(v, float) and not math.isfinite(v) for v in judged.figures.values())


def test_unknown_sends_that_are_stored_are_told_from_those_that_are_not(thin):
    h = healthy_run()
    for id in ("there", "nowhere", "elsewhere"):
        h.send("p1", id).info("RemotingTimeoutException")
    h.read("there", "there", queue=5)
    h.read("elsewhere", replica=SLAVE, queue=5)
    h.read("nowhere", queue=5, phase="before")
    seen = judge(h.history(), Rules(gates=thin, expectations=(LOST,))).figures
    assert (seen["unknown"], seen["unknown_stored"]) == (4, 2)


def test_what_was_not_read_is_no_figure(thin):
    h = healthy_run()
    h.rows = [row for row in h.rows if row["p"] != "oracle"]
    seen = judge(h.history(), Rules(gates=thin, expectations=(LOST,))).figures
    assert seen["unknown"] == 1
    assert "unknown_stored" not in seen


def test_judging_is_a_function(thin):
    rules = Rules(gates=thin, expectations=(LOST, Require(metric="rto_max_s", op="<", bound=5)))
    assert judge(healthy_run().history(), rules) == judge(healthy_run().history(), rules)


class TestAlsoWanted:
    def test_a_scenario_that_did_not_happen_is_inconclusive_and_not_broken(self, thin):
        gates = thin.model_copy(update={"also": (Require(metric="failed", op=">", bound=0),)})
        judgement = judge(healthy_run().history(), Rules(gates=gates, expectations=(LOST,)))
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "failed > 0 is not met" in judgement.reason

    def test_one_that_did_is_judged(self, thin):
        gates = thin.model_copy(update={"also": (Require(metric="acked", op=">", bound=0),)})
        assert judge(healthy_run().history(), Rules(gates=gates, expectations=(LOST,))).verdict is Verdict.HELD

    def test_what_cannot_be_told_was_not_met(self, thin):
        also = (Require(metric="observed", op=">", bound=0, params={"name": "never"}),)
        assert unmet(healthy_run().history(), thin.model_copy(update={"also": also})) == {also[0].text()}

    @pytest.mark.parametrize(("gate", "seen"), [("also", Verdict.BROKEN), ("preconditions", Verdict.INCONCLUSIVE)])
    @pytest.mark.parametrize("name", ["failed", "observed"])
    def test_a_violation_without_its_precondition_is_none(self, thin, gate, seen, name):
        params = {"name": "never"} if name == "observed" else {}
        gates = thin.model_copy(update={gate: (Require(metric=name, op=">", bound=0, params=params),)})
        h = healthy_run()
        h.send("p1", "gone").ok()
        assert judge(h.history(), Rules(gates=gates, expectations=(Forbid(anomaly="lost"),))).verdict is seen


def _never_left_the_route() -> History:
    h = healthy_run()
    h.observe("killed", {"nameserver-0": None, "all": False, "slowest_s": None})
    return h.history()


class TestUncomputable:
    """A metric that cannot be told hides no violation that was witnessed, and is never held."""

    GONE = Require(metric="observed", op="==", bound=1, params={"name": "killed.all"})
    AT_ONCE = Require(metric="observed", op="<", bound=5, params={"name": "killed.slowest_s"})

    def test_what_was_never_seen_does_not_void_another_violation(self, thin):
        rules = Rules(gates=thin, expectations=(self.GONE, self.AT_ONCE, LOST))
        judged = judge(_never_left_the_route(), rules)
        assert judged.verdict is Verdict.BROKEN
        assert "killed.all" in judged.reason
        assert [c.met for c in judged.checks if c.demand != "0 altered"] == [False, True]

    def test_alone_it_is_inconclusive(self, thin):
        judged = judge(_never_left_the_route(), Rules(gates=thin, expectations=(self.AT_ONCE, LOST)))
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "killed.slowest_s" in judged.reason

    def test_unsound_evidence_voids_it_still(self, thin):
        h = healthy_run()
        h.observe("killed", {"all": False, "slowest_s": None})
        h.read(replica=MASTER, queue=2, complete=False)
        rules = Rules(gates=thin, expectations=(self.GONE, self.AT_ONCE, LOST))
        assert judge(h.history(), rules).verdict is Verdict.INCONCLUSIVE

    def test_a_phase_that_was_not_read_voids_it_still(self, thin):
        demand = Forbid(anomaly="lost", params={"phase": "never"})
        rules = Rules(gates=thin, expectations=(self.GONE, demand))
        assert judge(_never_left_the_route(), rules).verdict is Verdict.INCONCLUSIVE

    def test_what_fails_otherwise_voids_it_still(self, thin, monkeypatch):
        def fail(*_: object) -> None:
            raise ZeroDivisionError("oh")

        monkeypatch.setattr(judge_module, "find", fail)
        rules = Rules(gates=thin, expectations=(self.GONE, LOST))
        assert judge(_never_left_the_route(), rules).verdict is Verdict.INCONCLUSIVE

    def test_nothing_is_inconclusive(self):
        rules = Rules(expectations=(self.GONE, self.AT_ONCE, LOST))
        assert judge(History.empty(), rules).verdict is Verdict.INCONCLUSIVE


class TestCausality:
    """On one clock nothing is delivered or read before it was sent: such evidence is worth nothing."""

    @pytest.mark.parametrize("word", ["delivered", "read"])
    def test_before_its_send_is_unsound(self, h, word):
        h.send("p1", "m1", at_s=5.0).ok(at_s=5.1)
        if word == "delivered":
            h.deliver("c1", "m1", at_s=4.0)
        else:
            h.now(4.0)
            h.read("m1")
        found = {a.name: a for a in assumptions(h.history(), Gates())}["well-formed"]
        assert not found.met
        assert found.soundness
        assert f"1 messages were {word} before" in found.message

    def test_it_voids_even_a_loss(self, thin):
        h = healthy_run()
        h.send("p9", "gone").ok(queue=0)
        h.send("p9", "early", at_s=9.0).ok(queue=0)
        h.deliver("c1", "early", at_s=8.0)
        assert judge(h.history(), Rules(gates=thin, expectations=(LOST,))).verdict is Verdict.INCONCLUSIVE

    def test_before_its_acknowledgement_is_nothing(self, h):
        send = h.send("p1", "m1")
        h.deliver("c1", "m1", offset=0)
        h.read("m1")
        send.ok()
        assert "well-formed" not in unmet(h.history(), Gates())

    def test_the_first_send_of_an_id_counts(self, h):
        h.send("p1", "m1").info()
        h.deliver("c1", "m1", offset=0)
        h.send("p1", "m1").ok()
        assert "well-formed" not in unmet(h.history(), Gates())

    def test_what_nobody_sent_is_a_phantom_and_no_paradox(self, h):
        h.deliver("c1", "stray")
        assert "well-formed" not in unmet(h.history(), Gates())
