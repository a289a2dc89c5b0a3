"""Altered content: found in reads and deliveries, forbidden without being named, not claimed where nobody looked."""

import pytest

from harness.checkers.finders import find
from harness.checkers.judge import ALWAYS, judge
from harness.checkers.planting import plant
from harness.core.expectation import Forbid, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from harness.judging import judge_planted
from tests.builder import SLAVE, HistoryBuilder, healthy_run

LOST = Forbid(anomaly="lost")
ALTERED = Forbid(anomaly="altered")


def judged(h, thin, *demands):
    return judge(h.history(), Rules(gates=thin, expectations=demands or (LOST,)))


class TestFinder:
    def test_reads_of_every_phase_and_replica_and_deliveries_count_each(self, h):
        h.consumer("c1")
        for n in range(3):
            h.send("p1", f"m{n}").ok()
        h.read("m0", "m1", "m2", altered={"m1": "body"})
        h.read("m0", "m1", "m2", replica=SLAVE, altered={"m1": "body"})
        h.read("m0", "m1", "m2", phase="early", altered={"m2": "checksum"})
        h.deliver("c1", "m0")
        h.deliver("c1", "m1", altered="body+key")
        finding = find(h.history(), "altered", {})
        assert (finding.count, finding.of) == (4, 11)
        assert finding.figures == {"reads": 3, "deliveries": 1}
        assert "id=m1 altered=body phase=final replica=broker-a-0" in finding.examples[0]
        assert "group=g process=c1" in finding.examples[-1]

    def test_a_destroyed_message_is_neither_lost_nor_a_phantom_nor_a_duplicate(self, h):
        for n in range(3):
            h.send("p1", f"m{n}").ok()
        h.read("m0", "m1", "m2", altered={"m1": "body"})
        history = h.history()
        assert {kind: find(history, kind, {}).count for kind in ("lost", "phantom", "duplicate", "altered")} == {
            "lost": 0,
            "phantom": 0,
            "duplicate": 0,
            "altered": 1,
        }

    def test_a_message_nobody_was_told_of_may_not_be_altered_either(self, h):
        h.send("p1", "m0").info()
        h.read("m0", altered={"m0": "body"})
        assert find(h.history(), "altered", {}).count == 1

    def test_one_of_which_nothing_is_left_is_both_altered_and_a_phantom(self, h):
        h.read("unidentified@42", altered={"unidentified@42": "body+key"})
        assert find(h.history(), "altered", {}).count == 1
        assert find(h.history(), "phantom", {}).count == 1

    def test_of_a_topic(self, h):
        h.read("m0", "m1", altered={"m1": "body"})
        h.read("m2", topic="other")
        assert (find(h.history(), "altered", {"topic": "other"}).count) == 0
        assert find(h.history(), "altered", {"topic": "orders"}).of == 2

    def test_what_nobody_compared_is_not_counted(self):
        old = HistoryBuilder(compared=False)
        old.consumer("c1")
        old.read("m0", "m1")
        old.deliver("c1", "m0")
        assert find(old.history(), "altered", {}).of == 0
        old.compared = True
        old.read("m2", queue=1)
        old.consumer("c2")
        old.deliver("c2", "m2")
        assert find(old.history(), "altered", {}).of == 2

    def test_what_was_found_altered_counts_whoever_did_not_say_that_he_looked(self):
        old = HistoryBuilder(compared=False)
        old.read("m0", "m1", altered={"m1": "body"})
        old.deliver("c1", "m0", altered="body")
        assert (find(old.history(), "altered", {}).count, find(old.history(), "altered", {}).of) == (2, 2)


class TestAlwaysForbidden:
    def test_it_is_said_of_a_history_that_held(self, thin):
        found = judged(healthy_run(), thin)
        assert found.verdict is Verdict.HELD
        assert found.reason.endswith("; 0 altered of 36")
        assert [check.demand for check in found.checks] == ["0 lost", "0 altered"]

    @pytest.mark.parametrize("where", ["read", "delivery"])
    def test_one_altered_message_breaks_what_never_named_it(self, thin, where):
        h = healthy_run()
        if where == "read":
            h.send("p1", "m-bad").ok(queue=5)
            h.read("m-bad", queue=5, altered={"m-bad": "body"})
        else:
            h.deliver("c1", "p0-0", altered="body")
        found = judged(h, thin)
        assert found.verdict is Verdict.BROKEN
        assert "1 altered of" in found.reason
        assert found.checks[0].met, "nothing was lost"

    def test_a_suite_that_names_it_is_told_once(self, thin):
        found = judged(healthy_run(), thin, ALTERED)
        assert [check.demand for check in found.checks] == ["0 altered"]

    def test_an_older_history_is_judged_as_it_was_and_nothing_is_claimed(self, thin):
        found = judged(healthy_run(compared=False), thin)
        assert found.verdict is Verdict.HELD
        assert "altered" not in found.reason

    def test_but_not_where_it_is_asked_for(self, thin):
        assert judged(healthy_run(compared=False), thin, ALTERED).verdict is Verdict.INCONCLUSIVE

    def test_it_makes_no_scenario_by_itself(self, thin):
        assert judge(healthy_run().history(), Rules(gates=thin)).verdict is Verdict.INCONCLUSIVE
        bad = plant(healthy_run().history(), ALTERED)
        assert bad is not None
        assert judge(bad, Rules(gates=thin)).verdict is Verdict.BROKEN

    def test_the_empty_history_is_inconclusive(self):
        found = judge(History.empty(), Rules(expectations=(LOST,)))
        assert found.verdict is Verdict.INCONCLUSIVE


class TestPlanted:
    def test_it_is_planted_beside_the_scenarios_own(self, thin):
        rules = Rules(gates=thin, expectations=(LOST,))
        outcomes = judge_planted(healthy_run().history(), rules)
        assert [(p.demand, p.observed) for p in outcomes] == [
            ("0 lost", Verdict.BROKEN),
            (ALWAYS[0].text(), Verdict.BROKEN),
        ]
        assert len(judge_planted(healthy_run(compared=False).history(), rules)) == 1

    def test_alone_it_is_no_control_of_a_scenario(self, thin):
        assert judge_planted(healthy_run().history(), Rules(gates=thin)) == ()

    def test_in_deliveries_where_nothing_was_read(self, h):
        h.consumer("c1")
        h.send("p1", "m1").ok()
        h.deliver("c1", "m1")
        bad = plant(h.history(), ALTERED)
        assert bad is not None
        assert find(bad, "altered", {}).figures == {"reads": 0, "deliveries": 1}
