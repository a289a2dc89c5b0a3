"""Load where and when faults strike: teeth of the gates `load-before-fault` and `in-flight`, fault by fault."""

from __future__ import annotations

import pytest

from harness.checkers.gates import assumptions
from harness.checkers.judge import judge
from harness.core.expectation import Forbid, Gates, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, HistoryBuilder

LOST = Forbid(anomaly="lost", params={"replicas": "master"})
OTHER = "broker-b"


def cuts(*acked_by: str, targets: tuple[str, ...] = (MASTER,), at_hit: str | None = None) -> HistoryBuilder:
    """One power cut every ten seconds, and before each ten sends that this broker acknowledged.

    At each cut one send is under way, which nobody answers, or `at_hit` does.
    """
    h = HistoryBuilder()
    h.observe("healthy.before", True)
    for k, broker in enumerate(acked_by):
        for n in range(10):
            h.send("p1", f"m{k}-{n}", at_s=10.0 * k + 9 + n / 100).ok(broker=broker)
        open_send = h.send("p1", f"x{k}")
        h.fault(f"cut-{k}", "inject", "observed", targets=targets)
        if at_hit is not None:
            open_send.ok(broker=at_hit)
        h.fault(f"cut-{k}", "heal", "recovered")
    h.observe("healthy.after", True)
    for broker in sorted({broker for broker, _, _ in h.stored.values()} | {"broker-a"}):
        kept = [id for id, (stored, _, _) in h.stored.items() if stored == broker]
        h.read(*kept, replica=f"{broker}-0")
    return h


def unmet(h: HistoryBuilder, gates: Gates) -> dict[str, str]:
    return {a.name: a.message for a in assumptions(h.history(), gates) if not a.met}


def test_three_cuts_of_a_broker_that_acknowledges_are_judged(thin):
    judged = judge(cuts("broker-a", "broker-a", "broker-a").history(), Rules(gates=thin, expectations=(LOST,)))
    assert judged.verdict is Verdict.HELD, judged.reason


def test_three_cuts_of_a_broker_that_acknowledged_nothing_are_not(thin):
    h = cuts(OTHER, OTHER, OTHER, at_hit=OTHER)
    judged = judge(h.history(), Rules(gates=thin, expectations=(LOST,)))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "0 by broker-a before cut-0, 0 by broker-a before cut-1, 0 by broker-a before cut-2" in judged.reason


@pytest.mark.parametrize("idle", [1, 2])
def test_each_cut_needs_its_own_load(thin, idle):
    """A broker that came back and was used by nobody proves nothing at its second cut."""
    h = cuts(*(OTHER if k == idle else "broker-a" for k in range(3)))
    assert f"0 by broker-a before cut-{idle};" in unmet(h, thin)["load-before-fault"]


@pytest.mark.parametrize(("wanted", "met"), [(8, True), (9, False)])
def test_a_quarter_of_the_load_is_enough_for_a_broker_that_is_hit(h, thin, wanted, met):
    for n in range(10):
        h.send("p1", f"m{n}", at_s=9 + n / 100).ok(broker="broker-a" if n < 2 else OTHER)
    h.send("p1", "open")
    h.fault("cut")
    gates = thin.model_copy(update={"min_acked_before_fault": wanted})
    assert ("load-before-fault" not in unmet(h, gates)) is met


def test_a_slave_stands_for_its_broker_name(thin):
    assert "load-before-fault" in unmet(cuts(OTHER, targets=("broker-a-1",)), thin)
    assert "load-before-fault" not in unmet(cuts("broker-a", targets=("broker-a-1",)), thin)


def test_all_masters_at_once_need_load_on_each(thin):
    message = unmet(cuts("broker-a", targets=(MASTER, "broker-b-0")), thin)["load-before-fault"]
    assert "0 by broker-b" in message
    assert "broker-a" not in message


@pytest.mark.parametrize("targets", [("namesrv-1",), ("nameserver-0", "p1"), ("c-1",)])
def test_a_fault_on_none_of_the_brokers_needs_load_on_any(thin, targets):
    h = HistoryBuilder()
    h.consumer("c-1")
    h.rows += cuts(OTHER, targets=targets, at_hit=OTHER).rows
    assert set(unmet(h, thin)) & {"load-before-fault", "in-flight"} == set()


def test_under_another_fault_on_the_same_broker_nothing_needs_to_be_acknowledged(thin):
    """A SYNC_MASTER whose slave was cut off before it was destroyed acknowledges nothing in between."""
    h = cuts("broker-a")
    h.fault("link", "inject", "observed", targets=(MASTER, "broker-a-1"), lasting=True, at_s=10.5)
    h.send("p1", "waits")
    h.fault("destroyed", "inject", "observed", lasting=True, at_s=40.0)
    assert "by broker-a before destroyed" not in str(unmet(h, thin))


class TestInFlight:
    def test_what_another_broker_answered_was_under_way_there(self, thin):
        h = HistoryBuilder()
        h.hello("p1", role="producer", retries=0)
        h.rows += cuts("broker-a", at_hit=OTHER).rows
        assert "in-flight" in unmet(h, thin)

    @pytest.mark.parametrize("at_hit", ["broker-a", None])
    def test_its_own_and_what_nobody_answered_may_have_been(self, thin, at_hit):
        h = HistoryBuilder()
        h.hello("p1", role="producer", retries=0)
        h.rows += cuts("broker-a", at_hit=at_hit).rows
        assert "in-flight" not in unmet(h, thin)

    def test_a_client_that_tries_again_may_have_tried_here(self, thin):
        h = HistoryBuilder()
        h.hello("p1", role="producer", retries=2)
        h.rows += cuts("broker-a", at_hit=OTHER).rows
        assert "in-flight" not in unmet(h, thin)

    @pytest.mark.parametrize(
        ("fault", "begun_s", "by", "met"),
        [
            ("pause", 5.0, "broker-a", True),
            ("partition", 5.0, None, True),
            ("fail-disk", 5.0, "broker-a", True),
            ("kill", 5.0, "broker-a", False),  # what comes later meets another process
            ("cut-power", 5.0, None, False),
            ("pause", 5.0, OTHER, False),  # not there
            ("pause", 35.0, "broker-a", False),  # healed by then
        ],
    )
    def test_a_fault_that_goes_on_meets_what_is_begun_until_its_heal(self, thin, fault, begun_s, by, met):
        h = HistoryBuilder()
        h.hello("p1", role="producer", retries=0)
        for n in range(10):
            h.send("p1", f"m{n}", at_s=9 + n / 100).ok(broker="broker-a")
        h.fault(fault, "inject", "observed", targets=("broker-a-1",), at_s=10.0)
        later = h.send("p1", "later", at_s=10.0 + begun_s) if begun_s < 30 else None
        if later is not None and by is not None:
            later.ok(broker=by)
        h.fault(fault, "heal", "recovered", at_s=40.0)
        if later is None:
            h.send("p1", "later", at_s=10.0 + begun_s).ok(broker=by)
        assert ("in-flight" not in unmet(h, thin)) is met


def test_the_empty_history_is_inconclusive():
    assert judge(History.empty(), Rules(expectations=(LOST,))).verdict is Verdict.INCONCLUSIVE
