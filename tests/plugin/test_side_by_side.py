"""Suites shared out to several workers: the run is one run, whatever becomes of a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.equip import MIN_MEMORY_BYTES
from harness.plugin import sidebyside
from harness.request import settings_from
from harness.settings import Settings
from harness.waiting import wait_for
from tests.plugin.conftest import PLUGINS

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SUITES = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_kill(scenario):
    """A killed process loses nothing."""
    scenario(load=[produce()], demand=[forbid("lost")])

@guarantee("at-least-once")
def test_delivery(scenario):
    """Everything is delivered."""
    scenario(
        load=[produce()],
        demand=[forbid("lost")],
        control=scenario.control("worse", load=[produce()], demand=[forbid("lost")], why="it must lose"),
    )

@guarantee("disk-warning-refuses-writes")
def test_disk(scenario):
    """A full disk refuses."""
    scenario(load=[produce()], demand=[forbid("lost")])

@guarantee("slave-is-readable")
def test_slave(scenario):
    """Not of 1m."""
'''
STUBBED = """
import os, signal, time
import harness.equip, harness.prover
from harness.core.verdict import Verdict
from harness.waiting import pause_s
from tests.plugin.conftest import Stub

def die(*_words):
    os.kill(os.getpid(), signal.SIGKILL)

def hang(_scenario, _settings, _equipment, directory, _say):
    (directory.parents[4] / "pid").write_text(str(os.getpid()))
    while True:
        pause_s(1)

stub = Stub(outcomes={outcomes})
ways = {ways}

def run(scenario, settings, equipment, directory, say):
    say(f"runs {{scenario.name}}")
    way = ways.get(scenario.name, stub.run)
    return way(scenario, settings, equipment, directory, say)

harness.equip.equip = stub.equip
harness.prover.run_scenario = run
"""
BROKEN = "{'delivery--worse': Verdict.BROKEN}"
Ran = tuple[int, str, dict[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture
def command(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lays the suites and what they come to, and says how to run them."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("TOPOLOGY", "ROCKETMQ", "REPORTS", "GUARANTEE", "STRICT"):
        monkeypatch.delenv(f"RMQ_HARNESS_{name}", raising=False)

    def lay(*options: str, outcomes: str = BROKEN, ways: str = "{}") -> list[str]:
        pytester.makepyfile(test_suite=SUITES)
        pytester.makeconftest(STUBBED.format(outcomes=outcomes, ways=ways))
        return [sys.executable, "-m", "pytest", *PLUGINS, "--topology=1m", "--seed=7", *options]

    return lay


@pytest.fixture
def run(pytester: pytest.Pytester, command: Callable[..., list[str]]) -> Callable[..., Ran]:
    """Exit code, everything printed, the rows by id, and what `run.json` holds."""

    def run(*options: str, **laid: str) -> Ran:
        ended = subprocess.run(
            command(*options, **laid), cwd=pytester.path, capture_output=True, text=True, timeout=120, check=False
        )
        text = ended.stdout + ended.stderr
        latest = (pytester.path / "reports" / "latest").resolve()
        if not (latest / "verdicts.json").exists():
            return ended.returncode, text, {}, {}
        rows = {row["id"]: row for row in json.loads((latest / "verdicts.json").read_text())["guarantees"]}
        return ended.returncode, text, rows, json.loads((latest / "run.json").read_text())

    return run


def judged(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: row for name, row in rows.items() if row["verdict"] != "not-tested"}


@pytest.mark.real
def test_the_rows_are_those_of_a_run_one_after_the_other(run: Callable[..., Ran]) -> None:
    alone_code, alone_text, alone, alone_run = run()
    code, text, rows, stored = run("-n", "2")
    assert (alone_code, code) == (0, 0), text
    assert rows == alone
    assert len(judged(rows)) == 3
    assert [row["control"]["kind"] for row in judged(rows).values()].count("product") == 1
    assert stored["seed"] == 7 == alone_run["seed"]
    assert stored["ended_utc"] > ""
    by_name = sorted(stored["session"]["outcomes"], key=lambda o: o["scenario"])
    assert by_name == sorted(alone_run["session"]["outcomes"], key=lambda o: o["scenario"])
    for said in ("3 held, 0 known broken", "1m: 1 suite function deselected (1: 1m does not promise what they judge)"):
        assert alone_text.count(said) == text.count(said) == 1
    for name in ("kill", "delivery", "disk"):
        assert [line for line in text.splitlines() if line.endswith(f"runs {name}") and "[gw" in line]
    assert "control: delivery--worse" in text


@pytest.mark.real
@pytest.mark.parametrize(
    ("without", "suites", "told"),
    [
        ("--topology", SUITES, "suites need --topology NAME"),
        ("", SUITES.replace("process-kill-", "proces-kill-"), "did you mean process-kill-loses-nothing?"),
    ],
)
def test_what_every_worker_refuses_is_told_once_and_leaves_nothing(
    command: Callable[..., list[str]], pytester: pytest.Pytester, without: str, suites: str, told: str
) -> None:
    words = [word for word in command("-n", "2") if not (without and word.startswith(without))]
    pytester.makepyfile(test_suite=suites)
    ended = subprocess.run(words, cwd=pytester.path, capture_output=True, text=True, timeout=120, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 4, said
    assert said.count(told) == 1
    assert "INTERNALERROR" not in said
    assert "runs " not in said
    assert not list(pytester.path.glob("reports/*"))


@pytest.mark.real
def test_the_exit_code_is_that_of_the_rows(run: Callable[..., Ran]) -> None:
    outcomes = "{'kill': Verdict.BROKEN, 'delivery--worse': Verdict.BROKEN, 'disk': 'infrastructure: no broker'}"
    code, text, rows, _run = run("-n", "1", outcomes=outcomes)
    assert code == 1, text
    seen = {row["verdict"] for row in judged(rows).values()}
    assert seen == {"broken", "held", "inconclusive"}


@pytest.mark.real
def test_what_is_run_once_more_takes_no_witness_back(run: Callable[..., Ran]) -> None:
    """The first time it is broken, the second time its directory is there and it ends without a verdict."""
    twice = "{'kill': Verdict.BROKEN, 'delivery--worse': Verdict.BROKEN}"
    options = ("--keep-duplicates", "test_suite.py", "test_suite.py")
    alone, _text, rows, _run = run(*options, outcomes=twice)
    code, text, beside, _run = run("-n", "1", *options, outcomes=twice)
    assert (alone, code) == (1, 1), text
    assert rows["process-kill-loses-nothing"]["verdict"] == "broken"
    assert beside["process-kill-loses-nothing"]["verdict"] == "broken"


@pytest.mark.real
@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
@pytest.mark.parametrize(("came_to", "code"), [("Verdict.BROKEN", 1), ("Verdict.INCONCLUSIVE", 6)])
def test_the_exit_code_is_that_of_the_rows_where_the_first_failure_ends_it(
    run: Callable[..., Ran], option: str, came_to: str, code: int
) -> None:
    for workers in ((), ("-n", "1")):
        ended, text, rows, stored = run(option, *workers, outcomes=f"{{'kill': {came_to}}}")
        assert ended == code, text
        assert rows["process-kill-loses-nothing"]["verdict"] == came_to.rpartition(".")[2].lower()
        assert stored["ended_utc"] > ""


@pytest.mark.real
def test_a_worker_that_dies_leaves_its_row_inconclusive_and_the_others_judged(run: Callable[..., Ran]) -> None:
    code, text, rows, _run = run("-n", "1", ways="{'kill': die}")
    assert code == 6, text
    assert rows["process-kill-loses-nothing"]["verdict"] == "inconclusive"
    assert "ended before it ran a scenario" in rows["process-kill-loses-nothing"]["reason"]
    assert {rows[name]["verdict"] for name in ("at-least-once", "disk-warning-refuses-writes")} == {"held"}


def filed(at: Path) -> list[str]:
    """The scenarios that the run below `at` has filed so far."""
    stored = json.loads((at / "reports" / "latest" / "run.json").read_text())
    outcomes = stored.get("session", {}).get("outcomes", [])
    return [outcome["scenario"] for outcome in outcomes if outcome["scenario"]]


def killed_with(sent: signal.Signals, words: list[str], at: Path) -> tuple[int, int]:
    """Sends the signal to a controller whose worker hangs in a scenario; its exit code, and the worker's pid."""
    controller = subprocess.Popen(words, cwd=at, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    noted = at / "pid"
    try:
        wait_for(lambda: noted.exists() and noted.read_text(), what="the worker to run", timeout_s=60)
        # The worker may be in its second function before the controller has filed what the first one came to.
        wait_for(lambda: filed(at), what="what came before to be filed", timeout_s=30)
        controller.send_signal(sent)
        return controller.wait(30), int(noted.read_text())
    finally:
        controller.kill()
        controller.wait(10)


@pytest.mark.real
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_worker_ends_with_its_controller(
    pytester: pytest.Pytester, command: Callable[..., list[str]], sent: signal.Signals
) -> None:
    words = command("-n", "1", "-k", "kill or disk", ways="{'disk': hang}")
    code, worker = killed_with(sent, words, pytester.path)
    wait_for(lambda: not is_alive(worker), what="the worker to be gone", timeout_s=5)
    latest = (pytester.path / "reports" / "latest").resolve()
    stored = json.loads((latest / "run.json").read_text())
    assert stored["ended_utc"] == "", "it was cut short"
    assert filed(pytester.path) == ["scenarios/1m/kill"]
    assert (latest / "verdicts.json").exists() is (sent is signal.SIGINT)
    assert code == (2 if sent is signal.SIGINT else -sent)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.real
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-n", "2", "--keep"), "--keep leaves the last scenario's cluster up, and with -n there is no last"),
        (("-n", "2", "--dist=each"), "--dist each would run every suite in every worker"),
        (("-n", "-1"), "-n -1 is no number of workers: write -n 2, or leave it out"),
        (("--dist=load",), "--dist load shares suites out to workers, and there are none: add -n 2"),
        (("--dist=each",), "--dist each shares suites out to workers, and there are none: add -n 2"),
    ],
)
def test_what_cannot_be_side_by_side_is_refused(run: Callable[..., Ran], options: tuple[str, ...], said: str) -> None:
    code, text, rows, _run = run(*options)
    assert code == 4
    assert said in text
    assert rows == {}
    assert "Traceback" not in text


GIB = 2**30


@pytest.mark.parametrize(
    ("processors", "memory_bytes", "topologies", "keep", "fit"),
    [
        (4, 20 * GIB, ("2m-2s-sync",), False, 2),
        (5, 20 * GIB, ("1m", "2m-2s-sync"), False, 2),
        (64, 500 * GIB, ("2m-2s-sync",), False, sidebyside.MOST),
        (12, 3 * MIN_MEMORY_BYTES + 1, ("2m-2s-sync",), False, 3),
        (8, 2 * MIN_MEMORY_BYTES - 1, ("2m-2s-sync",), False, 0),
        (1, 20 * GIB, ("2m-2s-sync",), False, 0),
        (2, 20 * GIB, ("2m-2s-sync",), False, 0),
        (3, 20 * GIB, ("2m-2s-sync",), False, 0),
        (8, 20 * GIB, ("1m", "2m-2s-sync-stock"), False, 0),
        (8, 20 * GIB, ("2m-2s-sync",), True, 0),
    ],
)
def test_auto_is_as_many_as_the_machine_carries_and_a_stock_cluster_is_alone(
    monkeypatch: pytest.MonkeyPatch,
    processors: int,
    memory_bytes: int,
    topologies: tuple[str, ...],
    keep: bool,
    fit: int,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(processors)))
    monkeypatch.setattr("harness.equip.available_memory_bytes", lambda: memory_bytes)
    assert sidebyside.fitting(settings_of(*topologies, keep=keep)) == fit


def settings_of(*topologies: str, keep: bool) -> list[Settings]:
    given = {"rmq_topology": list(topologies), "rmq_keep": keep}
    return settings_from(lambda name: given.get(name))


@pytest.mark.real
def test_auto_refuses_what_any_run_refuses(run: Callable[..., Ran]) -> None:
    code, text, rows, _run = run("-n", "auto", "--topology=nonesuch")
    assert code == 4
    assert text.count("--topology 'nonesuch' is not known") == 1
    assert rows == {}
    assert "Traceback" not in text


@pytest.mark.real
def test_with_auto_the_rows_are_the_same_whatever_fits(run: Callable[..., Ran]) -> None:
    code, text, rows, _run = run("-n", "auto", "-v")
    assert code == 0, text
    assert len(judged(rows)) == 3
    assert ("[gw1]" in text) is (len(os.sched_getaffinity(0)) >= 4)


@pytest.mark.real
def test_a_dist_that_n_0_turns_off_is_one_after_the_other(run: Callable[..., Ran]) -> None:
    code, text, rows, _run = run("-n", "0", "--dist=load")
    assert code == 0, text
    assert len(judged(rows)) == 3


@pytest.mark.real
def test_one_after_the_other_there_is_a_last_cluster_to_keep(run: Callable[..., Ran]) -> None:
    code, text, rows, _run = run("--keep")
    assert code == 0, text
    assert len(judged(rows)) == 3


@pytest.mark.real
def test_a_run_of_nothing_is_told(run: Callable[..., Ran]) -> None:
    code, text, _rows, _run = run("-n", "1", "--guarantee=wipe-is-temporary-and-local")
    assert code == 6, text
