"""A message that a power cut tore is told from one that is altered anywhere else."""

import pytest

from harness.checkers.finders import find
from harness.checkers.judge import judge
from harness.checkers.planting import plant
from harness.core.expectation import Forbid, Gates, Rules
from harness.core.history import History
from harness.core.verdict import Verdict
from tests.builder import MASTER, SLAVE, HistoryBuilder

RULES = Rules(gates=Gates(min_acked=3, min_acked_before_fault=1, healthy=False), expectations=(Forbid(anomaly="lost"),))


def cut(
    *, torn: str = "m3", how: str = "key", kept: tuple[str, ...] = ("m0", "m1", "m2", "m3"), fault: str = "cut-power"
) -> HistoryBuilder:
    """m0 to m3 are acknowledged, the power goes, m4 and m5 come after it; `torn` is read back altered."""
    h = HistoryBuilder()
    for n in range(4):
        h.send("p1", f"m{n}").ok()
    h.send("p1", "open")
    h.fault(fault)
    for n in (4, 5):
        h.send("p1", f"m{n}").ok()
    h.read(*kept, "m4", "m5", altered={torn: how})
    return h


def counts(h: HistoryBuilder) -> tuple[int, int]:
    history = h.history()
    return find(history, "torn", {}).count, find(history, "altered", {}).count


class TestTorn:
    def test_the_newest_that_was_kept_may_be_torn(self):
        assert counts(cut()) == (1, 0)
        finding = find(cut().history(), "torn", {})
        assert finding.of == 1
        assert "id=m3 altered=key phase=final replica=broker-a-0" in finding.examples[0]

    def test_also_where_newer_ones_are_lost(self):
        assert counts(cut(torn="m1", kept=("m0", "m1"))) == (1, 0)

    def test_any_other_is_altered(self):
        assert counts(cut(torn="m2")) == (0, 1)
        assert counts(cut(torn="m4")) == (0, 1)

    def test_one_whose_body_is_not_what_was_sent_is_altered(self):
        """Of that recovery has the checksum."""
        for how in ("body", "body+key", "checksum"):
            assert counts(cut(how=how)) == (0, 1)

    @pytest.mark.parametrize("fault", ["kill", "stop"])
    def test_without_a_power_cut_nothing_is_torn(self, fault):
        """What a process had written the machine still has."""
        assert counts(cut(fault=fault)) == (0, 1)

    def test_a_broker_that_kept_its_power_tears_nothing(self):
        h = cut(torn="none")
        h.read("m0", "m1", "m2", "m3", "m4", "m5", replica=SLAVE, altered={"m3": "key"})
        assert counts(h) == (0, 1)

    def test_of_two_neither_is(self):
        h = HistoryBuilder()
        for n in range(4):
            h.send("p1", f"m{n}").ok(queue=n % 2)
        h.fault("cut-power")
        h.read("m0", "m2", altered={"m2": "key"})
        h.read("m1", "m3", queue=1, altered={"m3": "key"})
        assert counts(h) == (0, 2)

    def test_each_cut_may_tear_one(self):
        h = HistoryBuilder()
        for n in range(3):
            h.send("p1", f"m{n}").ok()
            h.fault("cut-power")
        h.read("m0", "m1", "m2", altered={"m0": "key", "m2": "key"})
        assert counts(h) == (2, 0)
        assert find(h.history(), "torn", {}).of == 3

    def test_one_that_was_never_answered_may_be_torn(self):
        h = HistoryBuilder()
        h.send("p1", "m0").ok()
        h.send("p1", "m1")
        h.fault("cut-power")
        h.read("m0", "m1", altered={"m1": "key"})
        assert counts(h) == (1, 0)

    def test_what_a_consumer_was_given_is_not_excused(self):
        h = cut(torn="none")
        h.consumer("c1")
        h.deliver("c1", "m3", altered="key")
        assert counts(h) == (0, 1)


def test_it_is_demanded_of_every_history_and_can_be_planted():
    whole = cut(torn="none").history()
    judged = judge(whole, RULES)
    assert judged.verdict is Verdict.HELD, judged.reason
    assert "0 torn of 1" in judged.reason
    bad = plant(whole, Forbid(anomaly="torn"))
    assert bad is not None
    assert judge(bad, RULES).reason.startswith("1 torn of 1")
    assert judge(bad, RULES).verdict is Verdict.BROKEN


def test_without_a_cut_nothing_is_said_of_it():
    h = cut(torn="none", fault="kill")
    assert "torn" not in judge(h.history(), RULES).reason
    assert plant(h.history(), Forbid(anomaly="torn")) is None


def test_an_empty_history_shows_nothing():
    assert find(History.empty(), "torn", {}).of == 0
    assert judge(History.empty(), RULES).verdict is Verdict.INCONCLUSIVE


def test_the_broker_of_the_builder_is_the_one_that_is_cut():
    assert cut().history().windows[0].targets == (MASTER,)
