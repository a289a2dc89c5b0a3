from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from harness.core.verdict import Verdict
from harness.report.junit import junit_xml
from harness.report.rows import Control

KNOWN = {"known": "why", "expected": Verdict.BROKEN}


def outcome(sample, *rows, strict=False):
    root = ET.fromstring(junit_xml(sample.run(), rows, strict=strict))
    return [
        next((child.tag for child in case if child.tag != "properties"), "passed") for case in root.iter("testcase")
    ]


@pytest.mark.parametrize(
    ("verdict", "given", "tag", "strict_tag"),
    [
        (Verdict.HELD, {}, "passed", "passed"),
        (Verdict.BROKEN, {}, "failure", "failure"),
        (Verdict.BROKEN, KNOWN, "skipped", "failure"),
        (Verdict.HELD, KNOWN, "failure", "failure"),
        (Verdict.INCONCLUSIVE, {}, "error", "error"),
        (Verdict.NOT_TESTED, {}, "skipped", "failure"),
        (Verdict.NOT_TESTED, {"missing": "loop-device"}, "skipped", "failure"),
        (Verdict.NOT_TESTED, {"infrastructure": True}, "error", "error"),
        (Verdict.HELD, {"scenarios": ()}, "error", "error"),
    ],
)
def test_what_each_verdict_becomes(sample, verdict, given, tag, strict_tag):
    row = sample.row("a", verdict, **given)
    assert outcome(sample, row) == [tag]
    assert outcome(sample, row, strict=True) == [strict_tag]


def test_one_case_per_row_and_scenario(sample):
    both = (sample.scenario("s1"), sample.scenario("s2", Verdict.BROKEN))
    assert outcome(sample, sample.row("a", Verdict.BROKEN, scenarios=both)) == ["passed", "failure"]
    assert outcome(sample, sample.row("a", Verdict.BROKEN, scenarios=both, **KNOWN)) == ["passed", "skipped"]


def test_no_green_case_hides_a_row_that_is_not(sample):
    held = (sample.scenario("s1"), sample.scenario("s2"))
    control = Control(kind="planted", expected="broken", observed="held", ok=False)
    assert outcome(sample, sample.row("a", Verdict.INCONCLUSIVE, scenarios=held)) == ["error", "error"]
    assert outcome(sample, sample.row("a", scenarios=held, control=control)) == ["error", "error"]
    assert outcome(sample, sample.row("a", Verdict.BROKEN, scenarios=held)) == ["failure", "failure"]


def test_counts_properties_and_messages(sample):
    root = ET.fromstring(junit_xml(sample.run(), sample.rows()))
    (suite,) = root
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "14",
        "failures": "1",
        "errors": "1",
        "skipped": "3",
    }
    properties = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert properties["seed"] == "20260314"
    assert properties["version.rocketmq"] == "5.3.4 (candidate)"
    assert suite.find(".//failure").text.startswith("37 SEND_OK")
    assert "[expected broken: a slave under another brokerName" in suite.find(".//skipped").get("message")
    first = suite.find("testcase")
    assert first.get("name") == "master-outage-leaves-sends-working[master-outage-leaves-sends-working]"
    assert {p.get("name") for p in first.find("properties")} >= {"rocketmq", "verdict", "figure.acked", "seed"}


def test_topologies_are_suites(sample):
    root = ET.fromstring(junit_xml(sample.run(), [sample.row("a"), sample.row("a", topology="1m"), sample.row("b")]))
    assert [(s.get("name"), s.get("tests")) for s in root] == [("1m", "1"), ("2m-2s-sync", "2")]


def test_any_text_stays_wellformed(sample):
    nasty = "\x00\x1b[31m <&>\"' ]]> \ud800 \ufffe é 🙂\n" + "x" * 100_000
    row = sample.row("a", Verdict.BROKEN, reason=nasty, figures={"odd\x01": nasty}, topology="t\x02")
    root = ET.fromstring(junit_xml(sample.run(), [row]))
    failure = root.find(".//failure")
    assert "<&>\"' ]]>" in failure.text
    assert "🙂" in failure.text
    assert len(failure.get("message")) <= 1000


def test_an_empty_run_is_a_document(sample):
    assert len(ET.fromstring(junit_xml(sample.run(), []))) == 0
