from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from harness.core.errors import EvidenceError
from harness.core.verdict import Verdict
from harness.report.explain import row_text
from harness.report.html import html_report
from harness.report.material import Promise, ScenarioReport, judgement_from
from harness.report.rows import Control

VOID = {"meta", "br", "line", "rect", "path", "polyline"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=y>"


class Balance(HTMLParser):
    """Open and closing tags must match, ids must be unique, inner links must have their target."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def parsed(page: str) -> Balance:
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert len(balance.ids) == len(set(balance.ids))
    for link in balance.links:
        assert not link.startswith("/")
        assert not link.startswith("#") or link[1:] in balance.ids
    return balance


@pytest.fixture(scope="module")
def page(sample):
    return html_report(sample.run(), sample.rows(), sample.scenarios(), sample.promises())


def test_the_page_is_wellformed_and_needs_nothing_else(page):
    balance = parsed(page)
    assert not balance.tags & {"script", "link", "iframe", "img", "object", "embed"}
    assert not re.search(r"https?://|url\(|@import|src=", page)
    assert "svg" in balance.tags


def test_the_page_says_what_the_run_was(sample, page):
    run = sample.run()
    for part in (run.id, str(run.seed), run.git_commit, *run.versions.values(), *run.checksums.values()):
        assert part in page
    for part in (*run.checksums, *run.deviations, "6.8.0", "Exit code 1."):
        assert part in page


def test_every_row_is_in_the_page(sample, page):
    for row in sample.rows():
        assert page.count(f"<h3>{row.id}</h3>") == 1
    assert "needs --upgrade-from and --upgrade-to" in page
    assert "With several masters, the outage of one" in page
    assert "37 of 1,204" in page
    assert "producer-0.jsonl" in page
    assert "logs/broker.log" in page
    for css in ("held", "broken", "known", "inconclusive", "untested"):
        assert f'class="chip {css}"' in page


def test_no_path_of_the_machine_is_in_the_page(sample):
    paths = "/root/x/y and /home/alice/z, file:///tmp/q/r and path:/work/candidate"
    run = sample.run().model_copy(update={"options": {"rocketmq": paths, "list": ["/opt/secret/dir"]}, "replay": paths})
    row = sample.row("a", Verdict.BROKEN, reason=paths, deviations=(paths,), figures={"where": paths})
    page = html_report(run, [row], [], {"a": Promise(paths, paths)})
    assert not re.search(r"/(root|home|tmp|work|opt|Users|var|srv|mnt)/", page)
    assert "alice" not in page
    assert "path:…/candidate" in page


@pytest.mark.parametrize("verdict", list(Verdict))
def test_nothing_in_a_run_can_become_markup(sample, verdict):
    scenario = sample.scenario(EVIL, Verdict.BROKEN)
    control = Control(kind="product", expected=EVIL, observed=EVIL, ok=False, scenarios=(EVIL,), why=EVIL, reason=EVIL)
    row = sample.row(
        EVIL,
        verdict,
        reason=EVIL,
        figures={EVIL: EVIL},
        scenarios=(scenario,),
        deviations=(EVIL,),
        topology=EVIL,
        control=control,
    )
    judged = dataclasses.replace(sample.judgement(Verdict.BROKEN), reason=EVIL)
    judged = dataclasses.replace(judged, checks=(dataclasses.replace(judged.checks[1], demand=EVIL, message=EVIL),))
    report = ScenarioReport(EVIL, EVIL, judged, histories=(EVIL, "javascript:alert(1)"), node_logs=(EVIL,))
    run = sample.run().model_copy(update={"options": {EVIL: EVIL}, "machine": {EVIL: [EVIL]}, "deviations": (EVIL,)})
    page = html_report(run, [row, sample.row("b", topology="t")], [report], {EVIL: Promise(EVIL, EVIL)})
    balance = parsed(page)
    assert not balance.tags & {"script", "img"}
    assert not any(link.startswith("javascript:") for link in balance.links)


def test_what_was_not_asked_for_is_not_among_the_options(sample):
    nothing = {"jvm_opts": {"broker": [], "namesrv": []}, "broker_conf": {}, "guarantees": [], "strict": False}
    page = html_report(sample.run().model_copy(update={"options": nothing}), [])
    assert "<dt>jvm_opts</dt>" not in page
    assert "<dt>broker_conf</dt>" not in page
    assert "<dt>strict</dt>" in page
    page = html_report(sample.run().model_copy(update={"options": {"jvm_opts": {"broker": ["-X"], "namesrv": []}}}), [])
    assert "<dt>jvm_opts</dt><dd>broker -X</dd>" in page


def test_an_extremely_long_reason_is_whole_but_short_in_the_overview(sample):
    reason = "x" * 200_000
    page = html_report(sample.run(), [sample.row("a", Verdict.BROKEN, reason=reason)])
    parsed(page)
    assert page.count(reason) == 1


def test_an_empty_run_is_a_page(sample):
    page = html_report(sample.run(), [])
    parsed(page)
    assert "no scenario was executed" in page
    assert "Exit code 6." in page


def test_two_clusters_are_columns_and_timers_are_not(sample):
    rows = [
        sample.row("a"),
        sample.row("a", topology="3m-noslave"),
        sample.row("b", timers="documented"),
        sample.row("b", timers="fast"),
    ]
    page = html_report(sample.run(), rows)
    parsed(page)
    head = re.search(r"<thead><tr><th>Guarantee</th>(.*?)</tr>", page)
    assert head is not None
    assert head.group(1) == "<th>2m-2s-sync</th><th>3m-noslave</th>"
    assert page.count("not promised") == 1


def test_an_unproved_held_is_said(sample):
    page = html_report(sample.run(), [sample.row("a", scenarios=())])
    assert "Not counted as held: no scenario judged it." in page
    assert 'class="chip held"' not in page


def test_what_became_of_the_sends_is_in_the_overview_and_beside_the_scenario(sample):
    counted = {"invoked": 23_233, "failed": 0, "unknown": 11_904, "unknown_stored": 212}
    scenario = sample.scenario("s").model_copy(update={"failed": 0, "unknown": 11_904, "figures": counted})
    row = sample.row("a", figures={"acked": 23_811, "lost": 0} | counted, scenarios=(scenario,))
    page = html_report(sample.run(), [row])
    assert page.count("11,904\u00a0unknown (212\u00a0stored), 0\u00a0failed of\u00a023,233\u00a0sends") == 2
    assert "<span>unknown stored</span>" in page
    both = html_report(sample.run(), [row, sample.row("a", topology="3m-noslave")])
    assert "11,904\u00a0unknown (212\u00a0stored)" in both.split("<tbody>")[1]


def test_the_evidence_of_the_control_stands_beside_the_row(sample):
    reported = dataclasses.replace(sample.scenarios()[0], name="1m/kill--worse", title="")
    control = Control(
        kind="product",
        expected="broken",
        observed="broken",
        ok=True,
        scenarios=("1m/kill--worse", "1m/kill--gone"),
        why="it must lose",
        reason="48 lost of 5,077",
    )
    rows = [sample.row("a", control=control), sample.row("b", control=control)]
    page = html_report(sample.run(), rows, [reported])
    assert {"#g0-c1", "#g0-c2", "#g1-c1", "#g1-c2"} <= set(parsed(page).links)
    assert page.count("had to show broken; showed broken: 48 lost of 5,077") == 2
    assert page.count("it must lose") == 2
    section = page.split('<div class="scenario" id="g0-c1">')[1].split('<div class="scenario" id="g0-c2">')[0]
    for part in ("Control: 1m/kill--worse", "<svg", "0 of 23,811", "scenarios/1m/kill--worse/history"):
        assert part in section
    assert "Control: 1m/kill--gone" in page, "a control whose evidence is not at hand is named all the same"


def test_a_fault_never_seen_is_said(sample):
    report = sample.scenarios()[0]
    windows = [report.series["windows"][0] | {"observed_s": None}]
    report = dataclasses.replace(report, series={**report.series, "windows": windows})
    page = html_report(sample.run(), sample.rows()[:1], [report])
    assert '<strong class="bad">never</strong>' in page


def test_judgements_are_read_back(sample):
    judged = sample.judgement(Verdict.BROKEN)
    data = json.loads(json.dumps(dataclasses.asdict(judged)))
    assert judgement_from(data) == judged
    for damage in ({"verdict": "fine"}, {"more": 1}, {"checks": [{}]}):
        with pytest.raises(EvidenceError):
            judgement_from(data | damage)


def test_who_had_the_cluster_before_is_said(sample):
    shared = sample.scenario("second").model_copy(update={"before": ("first", "middle")})
    row = sample.row("a", scenarios=(shared,))
    assert "on the cluster that first, middle left clean" in html_report(sample.run(), [row])
    assert "on the cluster that first, middle left clean" in row_text(row)
    assert "left clean" not in html_report(sample.run(), [sample.row("a", scenarios=(sample.scenario("own"),))])
