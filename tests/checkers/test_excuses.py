"""What excuses a violated demand, what does not, and that no excuse makes anything held."""

import json

import pytest

from harness.checkers.judge import judge
from harness.core.expectation import Expectation, Forbid, Gates, Require, Rules
from harness.core.history import History
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Judgement, Verdict
from tests.builder import HistoryBuilder, healthy_run

UNDELIVERED = Forbid(anomaly="undelivered")


def judged(h: HistoryBuilder, gates: Gates, *demands: Expectation) -> Judgement:
    return judge(h.history(), Rules(gates=gates, expectations=demands))


class TestBacklog:
    def backlogged(self, *, progressing: bool, group: str = "g") -> HistoryBuilder:
        h = healthy_run()
        h.observe(f"drain.{group}", {"all": False, "missing": 1, "progressing": progressing, "quiet_s": 1.0})
        h.rows.remove(next(r for r in reversed(h.rows) if r["f"] == "deliver"))
        return h

    def test_a_message_that_never_came_is_undelivered(self, thin):
        assert judged(self.backlogged(progressing=False), thin, UNDELIVERED).verdict is Verdict.BROKEN

    def test_a_wait_that_was_not_recorded_excuses_nothing(self, thin):
        h = healthy_run()
        h.rows.remove(next(r for r in reversed(h.rows) if r["f"] == "deliver"))
        assert judged(h, thin, UNDELIVERED).verdict is Verdict.BROKEN

    @pytest.mark.parametrize(
        "demand",
        [
            UNDELIVERED,
            Forbid(anomaly="undelivered", params={"group": "g"}),
            Forbid(anomaly="unread-or-undelivered"),
            Require(metric="found", op="==", bound=0, params={"anomaly": "undelivered"}),
        ],
    )
    def test_a_backlog_that_still_got_less_is_inconclusive(self, thin, demand):
        judgement = judged(self.backlogged(progressing=True), thin, demand)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert "backlog" in judgement.reason

    def test_of_another_group_it_excuses_nothing(self, thin):
        demand = Forbid(anomaly="undelivered", params={"group": "g"})
        assert judged(self.backlogged(progressing=True, group="other"), thin, demand).verdict is Verdict.BROKEN

    def test_it_excuses_no_loss(self, thin):
        h = self.backlogged(progressing=True)
        h.send("p1", "gone").ok()
        for anomaly in ("lost", "unread-or-undelivered"):
            assert judged(h, thin, Forbid(anomaly=anomaly)).verdict is Verdict.BROKEN
        assert judged(h, thin, UNDELIVERED, Forbid(anomaly="lost")).verdict is Verdict.BROKEN

    def test_it_takes_nothing_from_a_demand_that_is_met(self, thin):
        h = healthy_run()
        h.observe("drain.g", {"all": False, "missing": 1, "progressing": True, "quiet_s": 1.0})
        assert judged(h, thin, UNDELIVERED).verdict is Verdict.HELD

    def test_of_nothing_it_is_inconclusive(self):
        assert judge(History.empty(), Rules(expectations=(UNDELIVERED,))).verdict is Verdict.INCONCLUSIVE


class TestForced:
    """A stop that ended in SIGKILL is none: a metric that it moves is no word on graceful stops."""

    def stopped(self, ended: str) -> HistoryBuilder:
        h = healthy_run()
        x = json.dumps({"fault": "stop", "targets": ["broker-a-0"], "detail": {"broker-a-0": ended}})
        h.add("nemesis", line(OpName.FAULT, OpType.INFO, h.now(), id="end", s="inject", x=x))
        for action in ("observed", "heal", "recovered"):
            h.fault("end", action)
        return h

    @pytest.mark.parametrize(
        ("ended", "verdict"),
        [
            ("broker-a-0 exited with 143 after 2.10 s", Verdict.BROKEN),
            ("broker-a-0 had to be killed after 60.02 s", Verdict.INCONCLUSIVE),
        ],
    )
    def test_what_it_cost_is_excused(self, thin, ended, verdict):
        judgement = judged(self.stopped(ended), thin, Require(metric="acked", op="==", bound=0))
        assert judgement.verdict is verdict
        assert ("no graceful stop" in judgement.reason) is (verdict is Verdict.INCONCLUSIVE)

    def test_it_excuses_no_loss(self, thin):
        h = self.stopped("broker-a-0 had to be killed after 60.02 s")
        h.send("p1", "gone").ok()
        assert judged(h, thin, Forbid(anomaly="lost")).verdict is Verdict.BROKEN
