"""The whole product through pytest on real clusters: it passes, it tells what went wrong, and it leaves nothing."""

from __future__ import annotations

import json
import os
import signal

import polars as pl
import pytest

from harness.checkers.narrow import sends_of
from harness.core.names import REFUSED
from harness.evidence import load_history
from harness.recheck import recheck
from harness.waiting import pause_s
from tests.real.conftest import Start

pytestmark = pytest.mark.real

GUARANTEE = "process-kill-loses-nothing"
KILL_AFTER_S = (0.7, 1.5, 2.5, 3.5, 4.5, 6, 7.5, 9, 11, 13)


@pytest.mark.parametrize("version", ["4.9.7", "5.3.3"])
@pytest.mark.parametrize("topology", ["1m", "2m-2s-sync"])
def test_a_kill_is_survived_and_options_reach_the_processes(start: Start, topology: str, version: str) -> None:
    run = start(
        f"--topology={topology}", f"--rocketmq={version}", f"--guarantee={GUARANTEE}",
        "--jvm-opt=broker:-Drmq.test.role=b", "--jvm-opt=namesrv:-Drmq.test.role=n",
        "--broker-conf=sendMessageThreadPoolNums=3",
    )  # fmt: skip
    run.find("NamesrvStartup", run.token, "-Drmq.test.role=n")
    run.find("BrokerStartup", run.token, "-Drmq.test.role=b")
    assert run.wait() == 0, run.text
    (row,) = json.loads((run.run_dir / "verdicts.json").read_text())["guarantees"]
    assert row["verdict"] == "held"
    assert row["control"]["ok"] is True
    scenario = run.run_dir / "scenarios" / topology / "smoke"
    logs = "".join(path.read_text(errors="replace") for path in (scenario / "nodes" / "broker-a-0").rglob("*.log"))
    assert "sendMessageThreadPoolNums=3" in logs, "the broker itself says what it runs with"
    run.assert_nothing_runs()


def test_a_broker_that_dies_at_start_is_told_with_its_last_words(start: Start) -> None:
    run = start("--topology=1m", "--broker-conf=messageStorePlugIn=no.such.Plugin")
    assert run.wait() == 6, run.text
    assert "broker-a-0 exited with code" in run.text
    assert "no.such.Plugin" in run.text
    assert "Traceback" not in run.text
    run.assert_nothing_runs()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--jvm-opt=broker:-XX:+NoSuchOption", "Unrecognized VM option 'NoSuchOption'"),
        ("--broker-conf=flushDiskTyp=SYNC_FLUSH", "did you mean flushDiskType?"),
    ],
)
def test_what_no_node_would_heed_is_told_before_a_cluster_is_started(start: Start, option: str, words: str) -> None:
    run = start("--topology=1m", option)
    assert run.wait() == 4, run.text
    assert words in run.text
    assert "listening" not in run.text
    assert "Traceback" not in run.text
    run.assert_nothing_runs()


def test_a_value_that_the_broker_does_not_take_is_no_run_with_it(start: Start) -> None:
    run = start("--topology=1m", "--rocketmq=4.9.7", "--broker-conf=fileReservedTime=often")
    assert run.wait() == 6, run.text
    assert "broker-a-0" in run.text
    assert "Traceback" not in run.text
    run.assert_nothing_runs()


def test_a_worker_that_dies_makes_it_inconclusive(start: Start) -> None:
    run = start("--topology=1m", "--client=remoting")
    run.wait_text("kill: inject")
    os.kill(run.find("harness.clients.worker"), signal.SIGKILL)
    assert run.wait() == 6, run.text
    assert "killed by SIGKILL" in run.text
    assert "Traceback" not in run.text
    run.assert_nothing_runs()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_the_evidence(start: Start, sent: signal.Signals) -> None:
    run = start("--topology=1m", "--client=remoting")
    run.wait_text("kill: inject")
    run.process.send_signal(sent)
    assert run.wait() == 2, run.text
    run.assert_nothing_runs()
    history = load_history(run.run_dir / "scenarios" / "1m" / "smoke")
    assert history.sends.height > 100
    assert history.windows[0].name == "kill"
    verdicts = json.loads((run.run_dir / "verdicts.json").read_text())
    begun = [row for row in verdicts["guarantees"] if row["verdict"] != "not-tested"]
    assert [(row["verdict"], row["reason"]) for row in begun] == [("inconclusive", "smoke was broken off")]
    assert "this run was cut short" in run.text
    text, code = recheck(run.run_dir)
    assert code == 6
    assert "scenarios/1m/smoke: not at its end, not judged" in text
    run.clean()
    run.assert_nothing_is_left()


@pytest.mark.parametrize("after_s", KILL_AFTER_S)
def test_a_killed_harness_leaves_nothing(start: Start, after_s: float) -> None:
    run = start("--topology=1m", "--client=remoting")
    left_s = after_s
    while left_s > 0:
        pause_s(min(0.1, left_s))
        left_s -= 0.1
        run.descendants()
    run.end()
    run.assert_nothing_runs(within_s=5.0)
    run.clean()
    run.assert_nothing_is_left()


@pytest.mark.parametrize("version", ["4.9.7", "5.3.3"])
def test_every_way_to_send_and_to_consume_leaves_a_complete_record(start: Start, version: str) -> None:
    """Also through a kill: a client whose tally and lines differ makes a run inconclusive, and hence every verdict."""
    run = start("--topology=1m", f"--rocketmq={version}", suite="tests/real/suite_modes.py")
    assert run.wait() == 0, run.text
    history = load_history(run.run_dir / "scenarios" / "1m" / "modes")
    outcomes = {mode: set(sends_of(history, f"p{mode}").get_column("outcome")) for mode in ("sync", "oneway")}
    assert "ok" in outcomes["sync"]
    assert "info" in outcomes["oneway"]
    assert "ok" not in outcomes["oneway"], "nobody answers"
    refused = history.deliveries.filter(pl.col("status").cast(pl.String) == REFUSED)
    assert set(refused.get_column("group").cast(pl.String)) == {"gs", "gr", "go"}, "who refuses says so"
    assert history.deliveries.get_column("reconsume").max() > 0, "what was refused came again"
    run.assert_nothing_runs()
