"""What the rows about links demand, on histories written for it: a good one is held, each planted fault is broken."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from harness.checkers.judge import judge
from harness.core.expectation import Rules
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.prover import Prover, SuiteFunction
from harness.scenario import Control, Scenario
from harness.topology import load_topology
from tests.builder import MASTER, HistoryBuilder

ROOT = Path(__file__).parents[2] / "suites-nightly" / "links"
Plant = Callable[[HistoryBuilder], None]


class Listener(Prover):
    """Runs nothing and keeps what it was given."""

    def __init__(self) -> None:
        self._suite = SuiteFunction("suite-function", "", ())
        self.topology = load_topology("1m-1s-sync")
        self.version = Version.parse("5.3.3")
        self.timers = "fast"
        self.client = "java"
        self._random = Random(1)

    def prove(self, scenario: Scenario, control: Control | None = None) -> None:
        assert control is not None
        self.scenario, self.against = scenario, control


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def given(file: str, function: str) -> Listener:
    listener = Listener()
    getattr(module(file), function)(listener)
    return listener


def small(rules: Rules) -> Rules:
    """The same demands; the load that a real run needs is not written here."""
    smaller = {"min_acked": 5, "min_acked_before_fault": 2, "in_flight_at_fault": False}
    also = tuple(demand for demand in rules.gates.also if getattr(demand, "metric", "") != "ok_in")
    return rules.model_copy(update={"gates": rules.gates.model_copy(update={**smaller, "also": also})})


def verdict(
    rules: Rules, took_ms: int, plant: Plant | None = None, *, fault: str = "late", stored: bool = True
) -> Verdict:
    """Of a history in which each send takes so long while the fault is in force, and 1 ms before and after."""
    h = HistoryBuilder()
    h.observe("healthy.before", True)
    ids = [f"p-1-{n}" for n in range(18)]
    for id in ids[:6]:
        h.send("p-1", id).ok()
    if fault == "late":
        h.fault("narrow", "inject", "observed")
    h.fault(fault, "inject", "observed")
    for id in ids[6:12]:
        send = h.send("p-1", id)
        h.time_ns += (took_ms - 1) * 1_000_000
        send.ok()
    if plant is not None:
        plant(h)
    h.fault(fault, "heal", "recovered")
    if fault == "late":
        h.fault("narrow", "heal", "recovered")
    for id in ids[12:]:
        h.send("p-1", id).ok()
    h.observe("healthy.after", True)
    kept = ids if stored else [id for id in ids if id != "p-1-9"]
    h.read(*kept, replica=MASTER, offsets=tuple(ids.index(id) for id in kept))
    return judge(h.history(), small(rules)).verdict


def fails(h: HistoryBuilder) -> None:
    h.send("p-1", "p-1-late").info()


class TestSendsOverASlowLink:
    row = ("test_slow_links", "test_sends_go_on_over_a_slow_link")

    def test_sends_that_take_the_way_and_are_there_hold(self):
        assert verdict(given(*self.row).scenario.rules, 300) is Verdict.HELD

    def test_one_that_fails_is_broken(self):
        assert verdict(given(*self.row).scenario.rules, 300, fails) is Verdict.BROKEN

    def test_one_that_is_lost_is_broken(self):
        assert verdict(given(*self.row).scenario.rules, 300, stored=False) is Verdict.BROKEN

    def test_sends_that_took_no_time_met_no_slow_link_and_prove_nothing(self):
        assert verdict(given(*self.row).scenario.rules, 20) is Verdict.INCONCLUSIVE

    def test_the_control_is_red_where_a_send_fails_and_there_alone(self):
        against = given(*self.row).against.scenario
        assert verdict(against.rules, 300, fails) is Verdict.BROKEN
        assert verdict(against.rules, 300) is Verdict.HELD


class TestDualWriteOverALateLink:
    row = ("test_slow_links", "test_dual_write_takes_the_way_to_the_slave_and_back")

    def test_sends_that_wait_hold(self):
        assert verdict(given(*self.row).scenario.rules, 450) is Verdict.HELD

    def test_sends_that_do_not_are_broken_in_the_row_and_in_its_control(self):
        listener = given(*self.row)
        assert verdict(listener.scenario.rules, 30) is Verdict.BROKEN
        assert verdict(listener.against.scenario.rules, 30) is Verdict.BROKEN

    def test_a_single_one_that_did_not_wait_is_broken(self):
        def one(h: HistoryBuilder) -> None:
            h.send("p-2", "p-2-0").ok(offset=18)

        assert verdict(given(*self.row).scenario.rules, 450, one) is Verdict.BROKEN

    def test_one_that_is_lost_is_broken(self):
        assert verdict(given(*self.row).scenario.rules, 450, stored=False) is Verdict.BROKEN


SEEN = {
    "gone": {"all": True, "slowest_at_least_s": 40.0, "slowest_s": 41.0},
    "still": {"yes": 2, "no": 0},
    "elsewhere": {"yes": 2, "no": 0},
    "returned": {"all": True},
}


class TestAHalfOpenNameserverLink:
    row = ("test_half_open", "test_a_nameserver_that_hears_nobody_drops_them_in_time")

    def seen(self, rules: Rules, plant: Plant | None = None, **other: object) -> Verdict:
        def all_of_it(h: HistoryBuilder) -> None:
            for name, value in (SEEN | other).items():
                h.observe(name, value)
            if plant is not None:
                plant(h)

        return verdict(rules, 20, all_of_it, fault="mute")

    def test_one_that_drops_all_in_time_while_others_do_not_holds(self):
        assert self.seen(given(*self.row).scenario.rules) is Verdict.HELD

    @pytest.mark.parametrize(
        "other",
        [
            {"gone": {"all": False, "slowest_at_least_s": 150.0, "slowest_s": None}},
            {"gone": {"all": True, "slowest_at_least_s": 136.0, "slowest_s": 137.0}},
            {"still": {"yes": 1, "no": 1}},
            {"elsewhere": {"yes": 1, "no": 1}},
            {"returned": {"all": False}},
        ],
    )
    def test_what_goes_late_or_elsewhere_or_for_good_is_broken(self, other):
        assert self.seen(given(*self.row).scenario.rules, **other) is Verdict.BROKEN

    def test_a_send_that_fails_is_broken_and_told_apart_from_one_that_fails_on_the_return(self):
        rules = given(*self.row).scenario.rules
        assert self.seen(rules, fails) is Verdict.BROKEN
        assert {d.metric for d in rules.expectations if "unacknowledged" in getattr(d, "metric", "")} == {
            "unacknowledged",
            "unacknowledged_in",
        }

    def test_the_control_is_red_where_the_brokers_stay(self):
        rules = given(*self.row).against.scenario.rules
        stays = {"all": False, "slowest_at_least_s": 150.0, "slowest_s": None}
        assert self.seen(rules, gone=stays) is Verdict.BROKEN
        assert self.seen(rules) is Verdict.HELD
