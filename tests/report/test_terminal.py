from __future__ import annotations

import pytest

from harness.core.verdict import Verdict
from harness.report.explain import row_text
from harness.report.rows import Control, exit_code
from harness.report.terminal import summary, use_colour


def test_every_tested_row_is_a_line_and_the_last_is_the_count(sample):
    text = summary(sample.run(), sample.rows())
    lines = text.splitlines()
    for row in sample.rows():
        assert any(row.id in line for line in lines), row.id
    assert lines[-1] == exit_code(sample.rows())[1]
    assert "0 lost of 48,211, <= 6.2e-5 at 95 %" in text
    assert "20260314" in lines[0]
    assert "broken (known)" in text
    assert "FAILED: product" in text


def test_reasons_of_what_did_not_hold_follow_the_table(sample):
    text = " ".join(summary(sample.run(), sample.rows()).split())
    for row in sample.rows():
        if row.verdict is not Verdict.HELD:
            assert row.reason in text
    assert "0 failed sends" not in text.split("37 SEND_OK")[1]


def test_rows_not_tested_are_grouped_by_reason(sample):
    rows = [sample.row(name, Verdict.NOT_TESTED, reason="deselected by --guarantee") for name in ("x", "y", "z")]
    text = summary(sample.run(), rows)
    assert "not tested, deselected by --guarantee: 3 (x, y, z)" in text
    assert text.splitlines()[-1].startswith("no scenario was executed: 0 held")


def test_colour_is_for_people(sample):
    assert "\x1b" not in summary(sample.run(), sample.rows())
    assert "\x1b[" in summary(sample.run(), sample.rows(), colour=True)
    assert use_colour(is_a_tty=True, environment={})
    assert not use_colour(is_a_tty=False, environment={})
    for name, value in (("CI", "true"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        assert not use_colour(is_a_tty=True, environment={name: value})


def test_an_empty_run(sample):
    assert summary(sample.run(), []).splitlines()[-1] == (
        "no scenario was executed: 0 held, 0 known broken, 0 not tested of 0 promised"
    )


def test_a_very_long_reason_is_cut_and_markup_is_text(sample):
    rows = [sample.row("a", Verdict.BROKEN, reason="[red]x[/red] \x1b[31m" + "y" * 100_000)]
    text = summary(sample.run(), rows, width=80)
    assert len(text) < 3000
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "…" in text


def test_two_topologies_are_told_apart(sample):
    text = summary(sample.run(), [sample.row("a"), sample.row("a", topology="3m-noslave")])
    assert "3m-noslave 5.3.4 java" in text
    assert "cluster" not in summary(sample.run(), [sample.row("a"), sample.row("b", timers="documented")])


COUNTED = {"invoked": 23_233, "acked": 11_329, "failed": 0, "unknown": 11_904, "unknown_stored": 212, "lost": 0}


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_figure_and_its_number_are_in_one_line(sample, width):
    text = summary(sample.run(), [sample.row("process-kill-loses-nothing", figures=COUNTED)], width=width)
    for part in ("11,904 unknown", "(212 stored)", "0 failed", "0 lost"):
        assert part in text, text
    assert "of 23,233" in text


def test_row_text_says_what_became_of_the_sends_of_each_scenario(sample):
    figures = {"invoked": 23_233, "unknown_stored": 212}
    scenario = sample.scenario("s").model_copy(update={"failed": 0, "unknown": 11_904, "figures": figures})
    text = row_text(sample.row("a", scenarios=(scenario,)))
    assert "held; 0 lost of 23,811, <= 1.3e-4 at 95 %; 11,904 unknown (212 stored), 0 failed of 23,233 sends" in text


def test_held_without_proof_is_not_shown_as_held(sample):
    control = Control(kind="planted", expected="broken", observed="held", ok=False)
    text = summary(sample.run(), [sample.row("a", control=control), sample.row("b", scenarios=())])
    assert text.count("held (unproved)") == 4
    assert "its control was to show 'broken' and showed 'held'" in text
    assert "no scenario judged it" in text


@pytest.mark.parametrize("index", range(14))
def test_row_text_says_everything_of_a_row(sample, index):
    row = sample.rows()[index]
    text = row_text(row, sample.scenarios(), sample.promises().get(row.id))
    for part in (row.id, row.topology, row.reason, row.expected.value, row.missing or "", row.known or ""):
        assert part in text
    assert ("control: none was run" in text) == (row.control is None)


def test_row_text_shows_what_would_have_been_red(sample):
    (row,) = [r for r in sample.rows() if r.id == "sync-master-ack-means-two-copies"]
    text = row_text(row, sample.scenarios())
    assert "red unless 0 acked-while-cut: VIOLATED, 37 of 1,204" in text
    assert "producer-2-9911 at 10.412 s" in text
    assert "assuming drained: met" in text
    assert "not at hand" in row_text(row)


def test_row_text_shows_what_the_control_was_and_where_it_lies(sample):
    control = Control(
        kind="product",
        expected="broken",
        observed="broken",
        ok=True,
        scenarios=("1m/kill--worse",),
        why="it must lose",
        reason="48 lost of 5,077",
    )
    text = row_text(sample.row("a", control=control))
    assert "control (product): had to show broken; showed broken: 48 lost of 5,077" in text
    assert "what it is: it must lose" in text
    assert "evidence: scenarios/1m/kill--worse" in text


def test_row_text_of_a_failed_control_says_what_that_means(sample):
    (row,) = [r for r in sample.rows() if r.id == "sync-master-survives-disk-loss"]
    assert "a held verdict here would prove nothing" in row_text(row)


def test_what_the_user_set_is_told_with_the_subject(sample):
    options = {
        "broker_conf": {"sendMessageThreadPoolNums": "3"},
        "namesrv_conf": {},
        "jvm_opts": {"broker": ["-Xss1m"], "namesrv": []},
    }
    text = summary(sample.run().model_copy(update={"options": options}), sample.rows())
    assert "; with --broker-conf sendMessageThreadPoolNums=3 --jvm-opt broker:-Xss1m" in text
    assert "; with" not in summary(sample.run().model_copy(update={"options": {}}), sample.rows())


def test_a_figure_that_was_measured_is_no_held(sample):
    rows = [sample.row("costs", Verdict.HELD, figure=True)]
    text = summary(sample.run(), rows)
    assert "costs measured" in " ".join(text.split())
    assert text.splitlines()[-1].startswith("0 held, 1 measured, 0 known broken")


def test_an_upgrade_names_both_of_its_releases(sample):
    run = sample.run().model_copy(update={"versions": {"rocketmq": "5.2.0", "upgrade to": "5.3.3"}})
    assert "RocketMQ 5.2.0 to 5.3.3 on " in summary(run, sample.rows())
