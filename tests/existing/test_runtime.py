"""The runtime of a cluster of others: nodes seen at their ports, clients as real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.errors import CapabilityMissing, UsageError
from harness.runtime import owner as owners
from harness.runtime.base import HUB, NODE_KILL, Disk, Process
from harness.runtime.existing import ExistingRuntime
from harness.runtime.hooks import Target
from harness.waiting import wait_for
from tests.existing.conftest import Theirs
from tests.existing.test_hooks import _lives

ROOT = Path(__file__).parents[2]


def opened(tmp_path: Path, targets: dict[str, Target], hooks: dict[str, str] | None = None) -> ExistingRuntime:
    return ExistingRuntime.open(
        targets, hooks or {}, run_id="r", evidence=tmp_path / "e", work_dir=tmp_path / "w", state_dir=tmp_path / "s"
    )


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ExistingRuntime]:
    made = opened(tmp_path, {})
    yield made
    made.close()


def test_a_node_is_what_its_port_shows(theirs: Theirs, tmp_path: Path) -> None:
    broker = theirs().brokers["broker-a-0"]
    with_hooks = {"pause": "true", "resume": "true"}
    runtime = opened(tmp_path, {"b": Target("b", broker.address, "broker-a", "0")}, with_hooks)
    assert runtime.add_node("b").address == "127.0.0.1"
    assert runtime.state("b").kind == "running"
    runtime.signal("b", signal.SIGSTOP)
    assert runtime.state("b").kind == "running", "a hook that ends well has not stopped anything yet"
    broker.misbehaviour.hang = True
    assert runtime.state("b").kind == "stopped"
    broker.misbehaviour.hang = False
    runtime.signal("b", signal.SIGCONT)
    assert runtime.state("b").kind == "running"
    runtime.dial(HUB, "b", broker.port, 1.0).close()
    broker.stop()
    assert runtime.state("b").kind == "exited"
    assert str(runtime.wait_exit("b", 1.0)) == "exited"
    with pytest.raises(CapabilityMissing, match="--hook kill=CMD"):
        runtime.signal("b", signal.SIGKILL)
    assert "--hook kill=CMD" in str(runtime.capabilities()[NODE_KILL])
    runtime.close()


def test_what_only_nodes_of_our_own_have_is_missing(runtime: ExistingRuntime) -> None:
    for act in (
        lambda: runtime.read_file("b", "conf"),
        lambda: runtime.list_files("b"),
        lambda: runtime.empty_store("b"),
        lambda: runtime.cut_power("b"),
        lambda: runtime.cut(("a", "b")),
        lambda: runtime.passes("a", "b"),
        lambda: runtime.add_node("c", Disk("sized", 1 << 20)),
    ):
        with pytest.raises(CapabilityMissing, match="--runtime local"):
            act()
    assert runtime.cuts() == frozenset()
    runtime.heal()


def test_a_client_is_a_child_in_a_directory_of_its_own(runtime: ExistingRuntime, tmp_path: Path) -> None:
    runtime.add_node("c-1")
    library = runtime.provide(tmp_path, "library")
    pid = runtime.start("c-1", Process(["sh", "-c", f"pwd; ls -d {library}; sleep 60"]))
    wait_for(lambda: runtime.tail("c-1").count("\n") == 1, what="its words", timeout_s=5)
    assert str(tmp_path / "w" / "r" / "c-1") in runtime.tail("c-1")
    assert library == "../.lib/library"
    runtime.signal("c-1", signal.SIGSTOP)
    wait_for(lambda: runtime.state("c-1").kind == "stopped", what="it to stand still", timeout_s=5)
    runtime.signal("c-1", signal.SIGKILL)
    assert str(runtime.wait_exit("c-1", 5)) == "killed by SIGKILL"
    assert not _lives(pid)
    with pytest.raises(UsageError):
        runtime.signal("c-1", signal.SIGKILL)
    runtime.remove_node("c-1")
    assert not (tmp_path / "w" / "r" / "c-1").exists()


def test_closing_ends_every_client_and_leaves_the_evidence(tmp_path: Path) -> None:
    runtime = opened(tmp_path, {})
    runtime.add_node("c-1")
    pid = runtime.start("c-1", Process(["sh", "-c", "echo here; exec sleep 60"]))
    wait_for(lambda: "here" in runtime.tail("c-1"), what="its words", timeout_s=5)
    runtime.close()
    runtime.close()
    assert not _lives(pid)
    assert not (tmp_path / "w" / "r").exists()
    assert list(owners.records(tmp_path / "s")) == []
    assert (tmp_path / "e/nodes/c-1/logs/stdout.log").read_text() == "here\n"


HARNESS = """
import os, signal, sys, time
from pathlib import Path
from harness.clients.handle import Worker
from harness.clients.spawn import RuntimeSpawner
from harness.runtime.existing import ExistingRuntime
from harness.waiting import wait_for
base = Path(sys.argv[1])
runtime = ExistingRuntime.open({}, {}, run_id="r", evidence=base / "e", work_dir=base / "w", state_dir=base / "s")
workers = []
for name in ("c-1", "c-2"):
    runtime.add_node(name)
    workers.append(Worker(RuntimeSpawner(runtime), name, base / "h" / name))
runtime.signal("c-2", signal.SIGSTOP)
# The kernel continues, and hangs up on, what has stopped by then, and not what is about to.
wait_for(lambda: runtime.state("c-2").kind == "stopped", what="c-2 to stop", timeout_s=10)
print(*(w.pid for w in workers), flush=True)
time.sleep(60)
"""


@pytest.mark.real  # what watches over the clients takes as long to start as any Python does on a busy machine
def test_kill_9_of_the_harness_leaves_no_client(tmp_path: Path) -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    assert harness.stdout is not None
    pids = [int(word) for word in harness.stdout.readline().split()]
    assert [_lives(pid) for pid in pids] == [True, True]
    harness.kill()
    harness.wait()
    wait_for(lambda: not any(map(_lives, pids)), what="every client, the stopped one too, to be gone", timeout_s=10)
    harness.stdout.close()


def test_a_run_id_that_is_in_use(runtime: ExistingRuntime, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is in use"):
        opened(tmp_path, {})
