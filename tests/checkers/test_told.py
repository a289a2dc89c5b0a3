"""Transactions whose end was confirmed to their producer: no client that is not asked excuses the loss of one."""

from __future__ import annotations

import json

import pytest

from harness.catalogue import load_catalogue
from harness.checkers import books
from harness.checkers.finders import find
from harness.checkers.judge import judge
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Forbid, Gates, Rules
from harness.core.history import History
from harness.core.names import TOLD
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.judging import ScenarioResult, judge_planted
from harness.outcome import Outcome, unexpected
from harness.scenario import Scenario
from harness.topology import load_topology
from tests.builder import HistoryBuilder

DEMANDS = (
    Forbid(anomaly="lost", params={"replicas": "master"}),
    Forbid(anomaly="lost", params={"replicas": "master", "told": True}),
    Forbid(anomaly="undelivered", params={"group": "g"}),
    Forbid(anomaly="undelivered", params={"group": "g", "told": True}),
)
RULES = Rules(gates=Gates(min_acked=5, min_acked_before_fault=1, healthy=False), expectations=DEMANDS)
PROXIED = "proxied-transactions-end-as-decided"
TO_BE_ASKED, CALM, JUST_BEFORE, MEANWHILE = "p1-2", "p1-0", "p1-8", "p1-12"


def transactions(*gone: str, told: bool = True) -> History:
    """A commit a second, of which every other one is confirmed at once; a proxy dies at 6 s and is back at 9 s."""
    h = HistoryBuilder()
    h.consumer("c1", listener="concurrent", model="clustering")
    ids = [f"p1-{2 * n}" for n in range(10)]
    for n, id in enumerate(ids):
        if n == 5:
            h.fault("kill", "inject", targets=("proxy-1",), at_s=6.0)
            h.fault("kill", "observed", at_s=8.0)
            h.fault("kill", "heal", "recovered", at_s=9.0)
        h.send("p1", id, at_s=1.0 + n).ok(at_s=1.5 + n)
        if told and n % 2 == 0:
            x = json.dumps({"id": id})
            h.add("p1", line(OpName.EVENT, OpType.INFO, h.now(1.6 + n), s=TOLD, x=x))
        if id not in gone:
            h.deliver("c1", id)
    h.read(*(id for id in ids if id not in gone))
    return h.history()


def count(history: History, anomaly: str, **more: object) -> tuple[int, int]:
    found = find(history, anomaly, {"told": True, **more})
    return found.count, found.of


def test_only_what_was_confirmed_and_not_near_a_fault_is_looked_at():
    assert count(transactions(), "lost") == (0, 3), "of the five one is just before the kill, one under it"
    assert count(transactions(TO_BE_ASKED, JUST_BEFORE, MEANWHILE), "lost") == (0, 3)
    assert count(transactions(CALM), "lost") == (1, 3)
    assert count(transactions(CALM), "undelivered", group="g") == (1, 3)


def test_where_nobody_was_told_nothing_is_known():
    with pytest.raises(MetricUnavailable, match="no producer was told"):
        find(transactions(told=False), "lost", {"told": True})


def test_each_of_the_demands_has_a_control_of_its_own():
    history = transactions()
    assert judge(history, RULES).verdict is Verdict.HELD, judge(history, RULES).reason
    planted = [p for p in judge_planted(history, RULES) if not p.implied]
    assert [(p.demand, p.observed) for p in planted] == [(demand.text(), Verdict.BROKEN) for demand in DEMANDS]


def test_what_a_planted_history_is_about_survives_the_loss_of_its_books():
    assert count(books.unbooked(transactions()), "lost") == (0, 3)


@pytest.mark.parametrize(("gone", "surprises"), [(TO_BE_ASKED, 0), (CALM, 2)])
def test_a_client_that_is_not_asked_excuses_what_had_to_be_asked_and_nothing_else(tmp_path, gone, surprises):
    judgement = judge(transactions(gone), RULES)
    assert judgement.verdict is Verdict.BROKEN
    outcome = Outcome((PROXIED,), ScenarioResult(Scenario(name="s", rules=RULES), tmp_path, judgement))
    row = load_catalogue().get(PROXIED)
    expected = row.expected(Version(5, 3, 3), load_topology("2m-2s-sync-proxy"), 25, "grpc")
    found = unexpected(outcome, expected)
    assert len(found) == surprises
    assert all("told=True" in demand for demand in found)
