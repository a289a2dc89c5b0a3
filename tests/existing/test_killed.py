"""A whole run, as a user starts it, on fake servers: ended by Ctrl-C and by kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cluster import notes
from harness.waiting import wait_for
from tests.existing.conftest import Theirs
from tests.real.conftest import born, command, parents

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SUITE = '''
from harness.suite import *

@guarantee("at-least-once")
def test_long(scenario):
    """It sends for a minute."""
    scenario(
        load=[produce(2, rate=100)],
        steps=plan(then(AwaitCount(who="p", what="ok", at_least=50, from_start=True), name="loaded")),
        duration_s=60,
        demand=[forbid("lost")],
    )
'''
Run = subprocess.Popen[str]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def go(*namesrv: str) -> Run:
        (tmp_path / "test_long.py").write_text(SUITE)
        words = [sys.executable, "-m", "pytest", str(tmp_path / "test_long.py"), "-p", "no:cacheprovider"]
        words += ["--runtime=existing", f"--namesrv={','.join(namesrv)}", "--client=remoting"]
        words += [f"--reports={tmp_path / 'reports'}"]
        runs.append(
            subprocess.Popen(
                words,
                cwd=ROOT,
                env=environment(tmp_path),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return runs[-1]

    yield go
    for run in runs:
        run.kill()
        run.wait()
        assert run.stdout is not None
        run.stdout.close()


def environment(base: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RMQ_HARNESS_", "PYTEST_"))}
    return kept | {"RMQ_HARNESS_STATE": str(base / "state")}


def clean(base: Path) -> tuple[int, str]:
    """`rmq-harness clean` of that state: its code and what it said."""
    words = [sys.executable, "-m", "harness", "clean"]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(base), capture_output=True, text=True, timeout=150, check=False
    )
    return done.returncode, done.stdout + done.stderr


def loaded(run: Run) -> list[int]:
    """Waits until it is under way; the pids of its clients."""
    assert run.stdout is not None
    text = ""
    for line in run.stdout:
        text += line
        if "loaded: " in line:
            children = [pid for pid, parent in parents().items() if parent == run.pid]
            return [pid for pid in children if "harness.clients.worker" in command(pid)]
    raise AssertionError(f"it ended with {run.wait()}:\n{text}")


def test_kill_9_leaves_no_client_and_clean_removes_the_topics(
    theirs: Theirs, begin: Callable[..., Run], tmp_path: Path
) -> None:
    cluster = theirs(slaves=1, nameservers=2)
    run = begin(*cluster.namesrv)
    workers = loaded(run)
    assert len(workers) == 2
    run.kill()
    run.wait()
    wait_for(lambda: not any(map(born, workers)), what="every client to be gone", timeout_s=10)
    assert any(name.startswith("rmqh-") for name in cluster.names())
    code, said = clean(tmp_path)
    assert code == 0
    assert "topics and groups rmqh-" in said
    assert cluster.names() == set()
    assert list((tmp_path / "state" / "work").iterdir()) == []
    assert list((tmp_path / "state" / "foreign").iterdir()) == []


def test_clean_removes_what_a_dead_run_noted(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs()
    note = notes.noted("r", "rmqh-0a1b2c-1-", cluster.namesrv, [cluster.brokers["broker-a-0"].address], [])
    notes.write(tmp_path / "state" / "foreign", replace(note, boot="another"))
    cluster.brokers["broker-a-0"].known_groups.add("rmqh-0a1b2c-1-g")
    code, said = clean(tmp_path)
    assert (code, cluster.names()) == (0, set())
    assert "topics and groups rmqh-0a1b2c-1-*" in said
    assert clean(tmp_path) == (0, "nothing was left behind\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_it_by_hand_leaves_nothing(
    theirs: Theirs, begin: Callable[..., Run], tmp_path: Path, number: int
) -> None:
    cluster = theirs()
    run = begin(*cluster.namesrv)
    workers = loaded(run)
    run.send_signal(number)
    assert run.stdout is not None
    text = run.stdout.read()
    assert run.wait() == 2, text
    assert not any(map(born, workers))
    assert cluster.names() == set()
    assert list((tmp_path / "state" / "foreign").iterdir()) == []
