"""From verdict to pytest's outcome, the exit code, and what the run leaves."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import EvidenceError, FaultError
from harness.core.verdict import Verdict
from harness.equip import missing
from harness.topology import load_topology
from tests.plugin.conftest import ANY_BREAK, CONTROLLED, MISSING, NO_DISK, SUITE, Inner, Stub

pytest_plugins = ["pytester"]

LOSES_UNEXPECTEDLY = SUITE.replace("process-kill-loses-nothing", ANY_BREAK)
KNOWN_BROKEN = LOSES_UNEXPECTEDLY.replace('forbid("lost")', 'forbid("offset-gap")')
STOCK_LOSES = SUITE.replace("process-kill-loses-nothing", "sync-master-survives-disk-loss").replace(
    'forbid("lost")', 'forbid("lost", broker="broker-a")'
)


def junit(path: Path) -> ET.Element:
    return ET.parse(path).getroot()


class TestOutcome:
    def test_held_passes(self, inner: Inner, stub: Stub) -> None:
        ended = inner()
        assert (ended.code, ended.outcomes) == (0, {"passed": 1})
        assert ended.row()["verdict"] == "held"
        assert ended.row()["control"] == {
            "kind": "planted",
            "expected": "broken",
            "observed": "broken",
            "ok": True,
            "scenarios": [],
            "why": "copies of the recorded history, each with a defect planted against one of: 0 lost",
            "reason": "planted",
            "on_looks_alone": [],
        }
        assert "1 held" in ended

    def test_broken_fails(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        ended = inner("--junitxml=j.xml")
        assert (ended.code, ended.outcomes) == (1, {"failed": 1})
        assert "broken: the reason of kill" in ended
        assert "Traceback" not in ended
        assert len(junit(ended.directory / "j.xml").findall(".//failure")) == 1

    def test_inconclusive_is_an_error_and_no_failure(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.INCONCLUSIVE
        ended = inner("--junitxml=j.xml")
        assert (ended.code, ended.outcomes) == (6, {"errors": 1})
        root = junit(ended.directory / "j.xml")
        assert len(root.findall(".//error")) == 1
        assert not root.findall(".//failure")
        own = junit(ended.run / "junit.xml")
        assert len(own.findall(".//error")) == 1
        assert not own.findall(".//failure")

    def test_infrastructure_trouble_is_an_error(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = "infrastructure: broker-a-0 exited with code 1"
        ended = inner()
        assert (ended.code, ended.outcomes) == (6, {"errors": 1})
        assert ended.row()["infrastructure"] is True
        assert "broker-a-0 exited with code 1" in ended

    def test_a_harness_error_in_a_suite_is_an_error(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = FaultError("fault 'x' did not bite")
        ended = inner()
        assert (ended.code, ended.outcomes) == (6, {"errors": 1})
        assert "Traceback" not in ended
        assert ended.row()["reason"] == "kill was broken off: fault 'x' did not bite"

    def test_known_broken_is_expected(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        ended = inner(suite=KNOWN_BROKEN)
        assert (ended.code, ended.outcomes) == (0, {"xfailed": 1})
        assert "1 known broken" in ended
        assert ended.row(ANY_BREAK)["known"]

    def test_what_is_lost_is_expected_only_where_that_is_said(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        ended = inner(suite=LOSES_UNEXPECTEDLY)
        assert (ended.code, ended.outcomes) == (1, {"failed": 1})
        assert ended.row(ANY_BREAK)["scenarios"][0]["unexpected"] == ["0 lost"]

    def test_known_broken_by_what_is_expected(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        ended = inner("--rocketmq=5.3.3", suite=STOCK_LOSES, topology="2m-2s-sync-stock")
        assert (ended.code, ended.outcomes) == (0, {"xfailed": 1})
        assert ended.row("sync-master-survives-disk-loss")["scenarios"][0]["unexpected"] == []

    def test_known_broken_by_another_demand_fails(self, inner: Inner, stub: Stub) -> None:
        """A candidate that loses messages is no expected failure of the row that says it acknowledges too early."""
        stub.outcomes["kill"] = Verdict.BROKEN
        row = "sync-master-ack-means-two-copies"
        suite = STOCK_LOSES.replace("sync-master-survives-disk-loss", row)
        ended = inner("--rocketmq=5.3.3", "--junitxml=j.xml", suite=suite, topology="2m-2s-sync-stock")
        assert (ended.code, ended.outcomes) == (1, {"failed": 1})
        assert "not by 0 lost(broker=broker-a)" in ended
        assert ended.row(row)["scenarios"][0]["unexpected"] == ["0 lost(broker=broker-a)"]
        assert len(junit(ended.run / "junit.xml").findall(f".//testcase[@name='{row}[2m-2s-sync-stock/kill]']/failure"))

    def test_what_is_expected_of_the_stock_row_covers_no_part_that_should_hold(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        ended = inner("--rocketmq=5.3.3", topology="2m-2s-sync-stock")
        assert ended.code == 1
        assert "1 known broken" not in ended
        row = ended.row("stock-config-keeps-the-promise")
        assert [s["unexpected"] for s in row["scenarios"]] == [["any of process-kill-loses-nothing"]]

    def test_what_was_not_asked_for_is_promised_all_the_same(self, inner: Inner, stub: Stub) -> None:
        ended = inner("--guarantee=process-kill-loses-nothing")
        total = len(load_catalogue().promised(load_topology("1m")))
        assert f"of 1 asked for; {total} are promised" in ended
        assert json.loads((ended.run / "verdicts.json").read_text())["run"]["promised"] == total

    def test_asked_for_and_judged_by_no_suite_nothing_is_known(self, inner: Inner, stub: Stub) -> None:
        ended = inner("--guarantee=graceful-stop-is-clean")
        assert ended.code == 6
        assert "nothing was run, so nothing is known: of" in ended
        assert "(graceful-stop-is-clean); suites-nightly/test_maintenance.py would; exit code 6" in ended
        assert not stub.equipped

    def test_what_no_guarantee_allows_is_no_known_break(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        stub.altered.add("kill")
        ended = inner(suite=KNOWN_BROKEN)
        assert (ended.code, ended.outcomes) == (1, {"failed": 1})
        assert "0 known broken" in ended
        assert ended.row(ANY_BREAK)["known"] is False

    def test_known_broken_fails_a_strict_run(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        assert inner("--strict", suite=KNOWN_BROKEN).code == 1

    def test_held_unexpectedly_fails(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite=KNOWN_BROKEN)
        assert (ended.code, ended.outcomes) == (1, {"failed": 1})
        assert "deviation: the catalogue expects it broken" in ended

    def test_known_broken_and_inconclusive_is_an_error(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.INCONCLUSIVE
        assert inner(suite=KNOWN_BROKEN).code == 6

    def test_a_planted_defect_that_was_not_seen_proves_nothing(self, inner: Inner, stub: Stub) -> None:
        stub.planted = Verdict.HELD
        ended = inner()
        assert (ended.code, ended.outcomes) == (6, {"errors": 1})
        assert "planted control" in ended


class TestControl:
    def test_a_control_that_comes_out_as_it_must(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill--worse"] = Verdict.BROKEN
        ended = inner(suite=CONTROLLED)
        assert (ended.code, stub.ran) == (0, ["kill", "kill--worse"])
        assert ended.row()["control"] == {
            "kind": "product",
            "expected": "broken",
            "observed": "broken",
            "ok": True,
            "scenarios": ["1m/kill--worse"],
            "why": "it must lose",
            "reason": "the reason of kill--worse",
            "on_looks_alone": [],
        }

    @pytest.mark.parametrize(("suite", "told"), [(SUITE, True), (CONTROLLED, False)], ids=["planted", "product"])
    def test_a_row_says_that_the_control_of_the_catalogue_was_not_run(
        self, inner: Inner, stub: Stub, suite: str, told: bool
    ) -> None:
        stub.outcomes["kill--worse"] = Verdict.BROKEN
        ended = inner(suite=suite)
        assert ended.row()["verdict"] == "held"
        assert ("the control that the catalogue names was not run: " in ended.row()["reason"]) is told

    def test_its_evidence_is_in_the_report_beside_the_row(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill--worse"] = Verdict.BROKEN
        page = (inner(suite=CONTROLLED).run / "report.html").read_text()
        (anchor,) = set(re.findall(r'<a href="#(g\d+-c1)">', page))
        section = page.split(f'<div class="scenario" id="{anchor}">')[1].split("</div>\n</article>")[0]
        for part in ("Control: 1m/kill--worse", "the reason of kill--worse", "scenarios/1m/kill--worse/history"):
            assert part in section

    def test_a_control_that_breaks_only_what_is_always_demanded_proves_nothing(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill--worse"] = Verdict.BROKEN
        stub.altered.add("kill--worse")
        ended = inner(suite=CONTROLLED)
        assert ended.code == 6
        assert ended.row()["verdict"] == "inconclusive"
        assert "by none of its own demands" in ended.row()["reason"]

    def test_a_control_that_cannot_be_run_leaves_nothing_tested(self, inner: Inner, stub: Stub) -> None:
        """Planted defects do not stand in for a control that was to be run, nor does leave to go without."""
        stub.outcomes["kill--worse"] = MISSING
        for options in ((), ("--allow-missing=power-cut",)):
            ended = inner(*options, suite=CONTROLLED)
            assert ended.code == 6
            assert (ended.row()["verdict"], ended.row()["missing"]) == ("not-tested", "power-cut")

    @pytest.mark.parametrize("seen", [Verdict.HELD, Verdict.INCONCLUSIVE])
    def test_a_control_that_does_not_proves_nothing(self, inner: Inner, stub: Stub, seen: Verdict) -> None:
        stub.outcomes["kill--worse"] = seen
        ended = inner(suite=CONTROLLED)
        assert (ended.code, ended.outcomes) == (6, {"errors": 1})
        assert ended.row()["verdict"] == "inconclusive"
        assert "kill--worse came out" in ended

    def test_a_broken_scenario_needs_no_control(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        assert inner(suite=CONTROLLED).code == 1
        assert stub.ran == ["kill"]


class TestMissing:
    def test_a_missing_capability_skips_and_ends_with_6(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = MISSING
        ended = inner("-rs")
        assert (ended.code, ended.outcomes) == (6, {"skipped": 1})
        assert "capability 'power-cut' is missing: no root" in ended
        assert ended.row()["missing"] == "power-cut"

    def test_unless_it_is_allowed_and_something_else_ran(self, inner: Inner, stub: Stub) -> None:
        two = SUITE + SUITE.replace("test_kill", "test_more").replace("process-kill-loses-nothing", "at-least-once")
        stub.outcomes["kill"] = MISSING
        assert inner(suite=two).code == 6
        assert inner("--allow-missing=power-cut", suite=two).code == 0
        assert inner("--allow-missing=network-cut", suite=two).code == 6

    def test_only_a_capability_that_something_to_be_judged_needs_is_said_to_be_missing(
        self, inner: Inner, stub: Stub
    ) -> None:
        power = "async-flush-loses-only-a-tail"
        two = SUITE + SUITE.replace("test_kill", "test_more").replace("process-kill-loses-nothing", power)
        found = {"namespaces": None, "power-cut": "no root", "network-cut": "no nftables"}
        for options, suite in [((), SUITE), (("--guarantee=process-kill-loses-nothing",), two), (("-k", "kill"), two)]:
            inner(*options, suite=suite)
            assert {g.id for g in stub.judged} == {"process-kill-loses-nothing"}
            assert missing(found, stub.judged) == [], "the row that needs it is promised, and is not to be judged"
        inner(suite=two)
        assert missing(found, stub.judged) == [f"capability power-cut is missing: no root; needed by {power}"]
        assert missing(found | {"power-cut": None}, stub.judged) == []

    def test_allowed_and_nothing_else_ran_is_still_an_error(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = MISSING
        assert inner("--allow-missing=power-cut").code == 6

    def test_what_cannot_be_had_ends_the_run_with_one_message(self, inner: Inner, stub: Stub) -> None:
        stub.equip_error = NO_DISK
        ended = inner()
        assert ended.code == 6
        assert "0.1 GiB are free" in ended
        assert "Traceback" not in ended
        assert not stub.ran

    def test_reports_that_cannot_be_written_end_the_run_before_it_begins(self, inner: Inner, stub: Stub) -> None:
        ended = inner("--reports=test_suite.py/reports")
        assert ended.code == 6
        assert "cannot be made" in ended
        assert "--reports" in ended
        assert "Traceback" not in ended
        assert not stub.ran

    @pytest.mark.parametrize(("verdict", "code"), [(Verdict.HELD, 6), (Verdict.BROKEN, 1), (Verdict.INCONCLUSIVE, 6)])
    def test_results_that_cannot_be_written_are_no_broken_guarantee(
        self, inner: Inner, stub: Stub, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, code: int
    ) -> None:
        def refuse(*_arguments: object, **_options: object) -> None:
            raise EvidenceError("report.html could not be written (No space left on device): free space and run again")

        monkeypatch.setattr("harness.plugin.publish", refuse)
        stub.outcomes["kill"] = verdict
        ended = inner()
        assert ended.code == code
        assert "rmq-harness: report.html could not be written" in ended
        assert "Traceback" not in ended
        assert "process-kill-loses-nothing" in ended, "the table is printed all the same"

    def test_a_directory_that_is_no_release_is_bad_usage(
        self, inner: Inner, stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from harness.distribution import obtain_release

        monkeypatch.setattr(
            "harness.equip.equip", lambda s, _say, _judged, **_more: obtain_release(s.rocketmq, s.cache)
        )
        ended = inner("--rocketmq=path:/nowhere")
        assert ended.code == 4
        assert "/nowhere is no unpacked RocketMQ" in ended
        assert "Traceback" not in ended


class TestNothing:
    def test_zero_scenarios_is_an_error(self, inner: Inner, stub: Stub) -> None:
        empty = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_kill(scenario):
    """Calls nothing."""
'''
        ended = inner(suite=empty)
        assert ended.code == 6
        assert ended.row()["verdict"] == "inconclusive"
        assert "ended before it ran a scenario" in ended.row()["reason"]
        assert "no scenario was executed" in ended

    def test_a_suite_function_that_skips_itself_is_not_tested(self, inner: Inner, stub: Stub) -> None:
        skips = SUITE.replace(
            "    scenario(load", "    import pytest; pytest.skip('not on Mondays')\n    scenario(load"
        )
        ended = inner(suite=skips)
        assert (ended.code, ended.outcomes) == (6, {"skipped": 1})
        assert (ended.row()["verdict"], ended.row()["reason"]) == ("not-tested", "not on Mondays")

    def test_everything_deselected_is_an_error(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite=SUITE.replace("process-kill-loses-nothing", "master-outage-leaves-sends-working"))
        assert ended.code not in (0, 1)
        assert "1m: 1 suite function deselected (1: 1m does not promise what they judge)" in ended
        assert not stub.ran

    @pytest.mark.parametrize("option", ["-k nothing_like_it", "--deselect=test_suite.py"])
    def test_deselected_by_hand(self, inner: Inner, stub: Stub, option: str) -> None:
        assert inner(*option.split()).code not in (0, 1)

    @pytest.mark.parametrize("outcome", ["True", "False"])
    @pytest.mark.parametrize("option", ["-k plain", "--deselect=test_suite.py::test_kill"])
    def test_other_tests_prove_nothing(self, inner: Inner, stub: Stub, option: str, outcome: str) -> None:
        ended = inner(*option.split(), suite=f"{SUITE}\ndef test_plain():\n    assert {outcome}\n")
        assert ended.code == 6
        assert ended.text.count("nothing was proved of 1m: what was run are other tests") == 1
        assert not stub.equipped

    def test_a_suite_without_a_mark_judges_nothing(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite=SUITE.replace('@guarantee("process-kill-loses-nothing")', ""))
        assert ended.code not in (0, 1)

    def test_only_collecting_starts_nothing(self, inner: Inner, stub: Stub) -> None:
        ended = inner("--collect-only")
        assert ended.code == 0
        assert not stub.equipped
        assert not (ended.directory / "reports").exists()


class TestCrash:
    def test_a_bug_in_a_suite_function_does_not_end_in_0(self, inner: Inner, stub: Stub) -> None:
        two = (
            SUITE
            + '''
@guarantee("at-least-once")
def test_bug(scenario):
    """Divides by zero before it runs anything."""
    1 / 0
'''
        )
        ended = inner(suite=two)
        assert ended.code == 6
        assert ended.row()["verdict"] == "held"
        assert ended.row("at-least-once")["verdict"] == "inconclusive"
        assert "ZeroDivisionError" in ended

    def test_a_bug_after_the_verdict_does_not_end_in_0(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite=SUITE + "    1 / 0\n")
        assert (ended.code, ended.outcomes) == (6, {"failed": 1})
        assert ended.row()["verdict"] == "inconclusive"
        assert "ended in ZeroDivisionError: division by zero" in ended.row()["reason"]
        own = junit(ended.run / "junit.xml")
        assert len(own.findall(".//error")) == 1
        assert json.loads((ended.run / "run.json").read_text())["session"]["exit_code"] == 6

    def test_a_bug_of_another_fixture_after_the_verdict_leaves_nothing_held(self, inner: Inner, stub: Stub) -> None:
        fixture = "import pytest\n\n@pytest.fixture(autouse=True)\ndef other(scenario):\n    yield\n    1 / 0\n"
        ended = inner(suite=fixture + SUITE)
        assert ended.code == 6
        assert ended.row()["verdict"] == "inconclusive"

    def test_a_bug_of_a_fixture_before_it_is_in_the_row(self, inner: Inner, stub: Stub) -> None:
        fixture = "import pytest\n\n@pytest.fixture(autouse=True)\ndef other():\n    1 / 0\n"
        ended = inner(suite=fixture + SUITE)
        assert ended.code == 6
        assert ended.row()["verdict"] == "inconclusive"
        assert "ended in ZeroDivisionError: division by zero" in ended.row()["reason"]

    def test_a_skip_of_a_fixture_before_it_is_in_the_row(self, inner: Inner, stub: Stub) -> None:
        fixture = "import pytest\n\n@pytest.fixture(autouse=True)\ndef other():\n    pytest.skip('not here')\n"
        ended = inner(suite=fixture + SUITE)
        assert ended.code == 6
        assert (ended.row()["verdict"], ended.row()["reason"]) == ("not-tested", "not here")

    def test_a_row_says_which_of_its_functions_was_not_run(self, inner: Inner, stub: Stub) -> None:
        other = SUITE.partition("\n\n\n")[2] or SUITE[SUITE.index("@guarantee") :]
        skips = other.replace("def test_kill", "def test_stop").replace(
            "    scenario(load", "    import pytest; pytest.skip('not on Mondays')\n    scenario(load"
        )
        ended = inner(suite=SUITE + "\n\n" + skips)
        assert ended.row()["verdict"] == "held"
        assert ended.row()["reason"].endswith("; in part only, for stop was not run: not on Mondays")

    @pytest.mark.parametrize("word", ["skip", "xfail"])
    def test_nor_does_a_skip_after_what_held(self, inner: Inner, stub: Stub, word: str) -> None:
        ended = inner(suite=SUITE + f"    __import__('pytest').{word}('enough')\n")
        assert ended.code == 6
        assert ended.row()["verdict"] == "inconclusive"
        assert "enough" in ended.row()["reason"]

    def test_a_second_scenario_of_one_function_is_refused(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite=SUITE + "    scenario(demand=[])\n")
        assert ended.code == 6
        assert ended.row()["verdict"] == "inconclusive"
        assert "runs a second scenario" in ended.row()["reason"]

    @pytest.mark.parametrize("slip", ['forbid("lst")', 'metric("ok_in", window="kll") > 0'])
    def test_a_slip_is_told_before_a_cluster_and_stands_in_the_row(self, inner: Inner, stub: Stub, slip: str) -> None:
        suite = SUITE.replace('demand=[forbid("lost")', f"demand=[{slip}", 1)
        assert suite != SUITE
        ended = inner(suite=suite)
        word = slip.split('"')[-2]
        assert word in ended.row()["reason"]
        assert ended.row()["verdict"] == "inconclusive"
        assert ended.code == 6

    def test_a_misspelled_field_stands_in_the_row(self, inner: Inner, stub: Stub) -> None:
        suite = SUITE.replace("    scenario(load", "    ClusterNeeds(links=('clinets',))\n    scenario(load", 1)
        assert suite != SUITE
        ended = inner(suite=suite)
        assert ended.code == 6
        said = "the suite function ended in ValidationError: links.0: Input should be 'clients', 'ha' or 'nameservers'"
        assert ended.row()["reason"] == said

    def test_what_is_broken_stays_broken_whatever_comes_after(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = Verdict.BROKEN
        ended = inner(
            suite=SUITE.replace("    scenario(", "    with __import__('contextlib').suppress(Exception): scenario(")
            + "    1 / 0\n"
        )
        assert (ended.code, ended.row()["verdict"]) == (1, "broken")

    def test_a_bug_of_a_plugin_leaves_a_run_that_was_cut_short(
        self, inner: Inner, stub: Stub, pytester: pytest.Pytester
    ) -> None:
        pytester.makeconftest(
            "def pytest_runtest_protocol(item):\n    if 'more' in item.name:\n        raise ValueError('a bug')\n"
        )
        two = SUITE + SUITE.replace("test_kill", "test_more").replace("process-kill-loses-nothing", "at-least-once")
        ended = inner(suite=two)
        assert ended.code == 3
        assert ended.row()["verdict"] == "held"
        stored = json.loads((ended.run / "run.json").read_text())
        assert (stored["ended_utc"], stored["session"]["exit_code"]) == ("", 3)

    def test_a_plain_test_that_failed_is_in_the_code_that_is_stored(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite=SUITE + "\ndef test_plain():\n    assert False\n")
        assert ended.code == 1
        assert ended.row()["verdict"] == "held"
        assert json.loads((ended.run / "run.json").read_text())["session"]["exit_code"] == 1

    def test_a_bug_in_the_runner_does_not_end_in_0(self, inner: Inner, stub: Stub) -> None:
        stub.outcomes["kill"] = ZeroDivisionError("a bug of ours")
        ended = inner()
        assert ended.code == 6
        assert (ended.run / "verdicts.json").exists()

    def test_an_interrupt_leaves_the_rows_so_far(self, inner: Inner, stub: Stub) -> None:
        two = SUITE + SUITE.replace("test_kill", "test_more").replace("process-kill-loses-nothing", "at-least-once")
        stub.outcomes["more"] = KeyboardInterrupt()
        ended = inner(suite=two)
        assert ended.code == 2
        assert ended.row()["verdict"] == "held"
        assert ended.row("at-least-once")["verdict"] == "inconclusive"

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), FaultError("it did not bite"), ZeroDivisionError("a bug")])
    def test_a_control_that_was_broken_off_proves_nothing(self, inner: Inner, stub: Stub, error: BaseException) -> None:
        """What held is worth its control: planted defects do not stand in for one that was to be run and was not."""
        stub.outcomes["kill--worse"] = error
        ended = inner(suite=CONTROLLED)
        assert ended.code in (2, 6)
        assert ended.row()["verdict"] == "inconclusive"
        assert "kill was broken off" in ended.row()["reason"]

    def test_a_suite_that_cannot_be_imported(self, inner: Inner, stub: Stub) -> None:
        ended = inner(suite="from harness.suite import NoSuchThing\n")
        assert ended.code not in (0, 1)
        assert not stub.ran


class TestEvidence:
    def test_what_a_run_leaves(self, inner: Inner, stub: Stub) -> None:
        ended = inner("--rocketmq=4.9.7")
        names = {path.name for path in ended.run.iterdir()}
        assert names >= {"run.json", "verdicts.json", "report.html", "junit.xml", "allure-results", "scenarios"}
        assert (ended.run / "scenarios" / "1m" / "kill" / "scenario.json").exists()
        rows = ended.verdicts()["guarantees"]
        assert len(rows) == len({row["id"] for row in rows}) > 20, "one row per promise, also for what was not reached"
        assert {row["rocketmq"] for row in rows} == {"4.9.7"}
        assert ended.verdicts()["run"]["checksums"] == {"broker.jar": "abc"}
        assert ended.verdicts()["run"]["versions"]["client"] == "java 4.9.7"
        assert f"evidence: reports/{ended.run.name}/report.html" in ended

    def test_no_path_of_the_machine_is_told(self, inner: Inner, stub: Stub) -> None:
        ended = inner(f"--reports={Path.cwd() / 'abs'}")
        run = (ended.directory / "abs" / "latest").resolve()
        for name in ("run.json", "verdicts.json", "report.html", "junit.xml"):
            assert str(ended.directory) not in (run / name).read_text(), name

    def test_two_topologies_are_two_rows_of_one_run(self, inner: Inner, stub: Stub) -> None:
        ended = inner("--topology=2m-noslave")
        assert ended.outcomes == {"passed": 2}
        rows = [r for r in ended.verdicts()["guarantees"] if r["id"] == "process-kill-loses-nothing"]
        assert [(r["topology"], r["verdict"]) for r in rows] == [("1m", "held"), ("2m-noslave", "held")]

    def test_one_topology_broken_is_enough(self, inner: Inner, stub: Stub) -> None:
        run = stub.run

        def only_1m(scenario, settings, *rest):
            stub.outcomes["kill"] = Verdict.BROKEN if settings.topology.name == "1m" else Verdict.HELD
            return run(scenario, settings, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harness.prover.run_scenario", only_1m)
            ended = inner("--topology=2m-noslave")
        assert (ended.code, ended.outcomes) == (1, {"passed": 1, "failed": 1})

    def test_strict_fails_on_what_was_not_tested(self, inner: Inner, stub: Stub) -> None:
        assert inner().code == 0
        assert inner("--strict").code == 1
        assert inner("--strict", "--guarantee=process-kill-loses-nothing").code == 0

    def test_guarantee_narrows_rows_and_suites(self, inner: Inner, stub: Stub) -> None:
        two = SUITE + SUITE.replace("test_kill", "test_more").replace("process-kill-loses-nothing", "at-least-once")
        ended = inner("--guarantee=at-least-once", suite=two)
        assert stub.ran == ["more"]
        assert [row["id"] for row in ended.verdicts()["guarantees"]] == ["at-least-once"]
        assert re.search(r"1 suite function", ended.text)


def test_the_entry_point_and_a_conftest_register_it_once(pytester: pytest.Pytester, inner: Inner, stub: Stub) -> None:
    """The installed package and the repository's conftest name the same plugin."""
    from importlib.metadata import entry_points

    (entry,) = (e for e in entry_points(group="pytest11") if e.value == "harness.plugin")
    assert entry.name == "harness.plugin"
    pytester.makeconftest('pytest_plugins = ["harness.plugin"]')
    ended = inner("--trace-config")
    assert ended.code == 0
    active = [line for line in ended.text.splitlines() if re.match(r"\s*harness\.plugin\s*:", line)]
    assert len(active) <= 1
