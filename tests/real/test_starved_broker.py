"""A broker that is given no processor is late: that is not RocketMQ's doing, and the verdict says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from harness.runtime.starving import threads_of
from harness.waiting import pause_s, wait_for
from tests.real.conftest import Start

pytestmark = pytest.mark.real

CPU = Path("/sys/fs/cgroup/cpu")
LATE_S = 14.0
"""Sends are given up after 3 s, and tried no second time."""
SPIN = "while True: pass"
GREEDY = 5
"""Processes for each processor that want it all the time. With three for two, every send came in time once."""


@contextmanager
def starved(pid: int, group: Path) -> Iterator[None]:
    """Puts a process into a control group that is given what nobody else wants, and lets the others want everything."""
    group.mkdir()
    with ExitStack() as stack:
        stack.callback(group.rmdir)
        stack.callback(_emptied, group)
        (group / "cpu.shares").write_text("2")
        (group / "cgroup.procs").write_text(str(pid))
        for _ in range(GREEDY * len(os.sched_getaffinity(0))):
            greedy = stack.enter_context(subprocess.Popen([sys.executable, "-c", SPIN]))
            stack.callback(greedy.kill)
        yield


def _emptied(group: Path) -> None:
    """Its members go back to where everybody is; one that is dying takes a moment."""

    def empty() -> bool:
        members = (group / "cgroup.procs").read_text().split()
        for pid in members:
            with suppress(ProcessLookupError):
                (group.parent / "cgroup.procs").write_text(pid)
        return not members

    wait_for(empty, what=f"{group} to be empty", timeout_s=10, poll_s=0.05)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("how", ["starved", "hangs"])
def test_a_broker_that_is_starved_is_told_from_one_that_hangs(start: Start, tmp_path: Path, how: str) -> None:
    if how == "starved" and (os.geteuid() != 0 or not (CPU / "cpu.shares").exists()):
        pytest.skip("a process that can be starved alone needs root and control groups of version 1")
    run = start("--topology=1m", "--rocketmq=4.9.7", suite="tests/real/suite_flush.py")
    run.wait_text("held-up ...")
    broker = run.find("BrokerStartup")
    assert threads_of(broker), "this kernel does not count what is waited for"
    with starved(broker, CPU / f"rmq-test-{os.getpid()}") if how == "starved" else stopped(broker):
        pause_s(LATE_S)
    assert run.wait() == (6 if how == "starved" else 1), run.text
    rows = json.loads((run.run_dir / "verdicts.json").read_text())["guarantees"]
    (row,) = (row for row in rows if row["scenarios"])
    assert row["verdict"] == ("inconclusive" if how == "starved" else "broken"), row["reason"]
    assert ("broker-a-0 was starved of processors" in row["reason"]) is (how == "starved")
    run.assert_nothing_runs()
    run.end()
    run.clean()
