"""What a harness leaves that is killed at any moment: nothing within 5 s, and no directory after `clean`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.errors import SetupError, UsageError
from harness.runtime import owner as owners
from harness.runtime.base import Disk, Process
from harness.runtime.local import LocalRuntime
from harness.runtime.owner import Owner, ProcessMark, boot_id, loop_mark
from harness.runtime.reaper import clean, live_runs, loops_of
from harness.waiting import pause_s, wait_for

pytestmark = pytest.mark.real

GONE_S = 5.0
# A harness that says how far it is, and can be told to stay there; 16 MiB disks are loop devices as root.
HARNESS = """
import os, sys, time
from pathlib import Path
from harness.runtime.base import Disk, Process
from harness.runtime.local import LocalRuntime
base, run_id, stay_at = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def reached(stage, runtime=None):
    pid = runtime.holder_host_pid if runtime else 0
    print(stage, pid, flush=True)
    if stage == stay_at:
        time.sleep(600)
runtime = LocalRuntime.open(run_id=run_id, evidence=base / "evidence", work_dir=base / "work", state_dir=base / "state")
reached("opened", runtime)
for node in "abc":
    runtime.add_node(node, Disk("sized", 16 << 20))
reached("nodes", runtime)
for node in "abc":
    runtime.start(node, Process(["sh", "-c", "setsid sleep " + sys.argv[4] + " & sleep " + sys.argv[4]]))
runtime.cut(("a", "b"))
reached("running", runtime)
if stay_at == "closing":
    reached("close")
    runtime.close()
    sys.exit()
if os.fork() == 0:
    time.sleep(600)
reached("forked", runtime)
runtime.detach()
reached("detached")
"""


@dataclass(frozen=True)
class Harness:
    process: subprocess.Popen[str]
    base: Path
    run_id: str
    token: str

    @property
    def state_dir(self) -> Path:
        return self.base / "state"

    def wait_stage(self, wanted: str) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            stage, pid = line.split()
            if stage == wanted:
                return int(pid)
        raise AssertionError(f"the harness ended before {wanted!r}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def processes(self) -> list[int]:
        """Everything whose command line names the run's directory or the sleepers' own duration, but the harness."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in (self.process.pid, os.getpid()):
                continue
            try:
                line = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            ours = self.token.encode() in line or str(self.base / "work").encode() in line
            if ours and b"import os, sys, time" not in line and parent != os.getpid():
                found.append(int(entry.name))
        return found

    def mounts(self) -> list[str]:
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.base) in line]

    def loops(self) -> list[Path]:
        return loops_of(loop_mark(str(self.base / "work" / self.run_id)))


def namespaces_of(pid: int) -> set[str]:
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in ("net", "mnt", "pid")}


def all_namespaces() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            for kind in ("net", "mnt", "pid"):
                try:
                    found.add(str((entry / "ns" / kind).readlink()))
                except OSError:
                    continue
    return found


@pytest.fixture
def launch(tmp_path: Path, run_id: str):
    launched: list[Harness] = []

    def start(stay_at: str) -> Harness:
        token = f"{600 + len(launched)}.{os.getpid()}{int(run_id[-6:], 16)}"
        process = subprocess.Popen(
            [sys.executable, "-c", HARNESS, str(tmp_path), run_id, stay_at, token],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
        )
        launched.append(Harness(process, tmp_path, run_id, token))
        return launched[-1]

    yield start
    for harness in launched:
        # The session has the harness and its forked child, never the holder.
        with suppress(ProcessLookupError):
            os.killpg(harness.process.pid, signal.SIGKILL)
        harness.process.wait(5)
        clean(harness.state_dir, include_live=True)


def assert_nothing_left(harness: Harness) -> list[str]:
    wait_for(
        lambda: not harness.processes(), what="no process", timeout_s=GONE_S, last_seen=lambda: str(harness.processes())
    )
    removed = clean(harness.state_dir)
    assert harness.loops() == []
    assert harness.mounts() == []
    assert not (harness.base / "work" / harness.run_id).exists()
    assert list((harness.state_dir / "runs").glob("*")) == []
    assert clean(harness.state_dir) == []
    return removed


@pytest.mark.parametrize("stage", ["opened", "nodes", "running"])
def test_a_killed_harness_leaves_nothing(launch, stage: str):
    harness = launch(stage)
    holder = harness.wait_stage(stage)
    # The detectors must see what is there before their silence means anything.
    before = namespaces_of(holder)
    assert len(harness.processes()) >= (2 if stage != "running" else 8)
    assert before <= all_namespaces()
    if stage != "opened" and os.geteuid() == 0 and Path("/dev/loop-control").exists():
        assert len(harness.loops()) == 3
    harness.kill()
    removed = assert_nothing_left(harness)
    assert not before & all_namespaces()
    assert any(line.startswith("directory") for line in removed)


@pytest.mark.parametrize("after_s", [0.02, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5])
def test_a_harness_killed_at_any_instant_of_its_start_leaves_nothing(launch, after_s: float):
    harness = launch("running")
    pause_s(after_s)
    harness.kill()
    assert_nothing_left(harness)


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.01, 0.02])
def test_a_harness_killed_while_it_closes_leaves_nothing(launch, after_s: float):
    harness = launch("closing")
    harness.wait_stage("close")
    pause_s(after_s)
    harness.kill()
    assert_nothing_left(harness)


def test_a_forked_child_that_holds_the_channel_keeps_nothing_alive(launch):
    harness = launch("forked")
    harness.wait_stage("forked")
    harness.kill()
    assert_nothing_left(harness)


def test_without_its_outer_half_the_holder_ends(launch):
    harness = launch("running")
    holder = harness.wait_stage("running")
    outer = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(outer, signal.SIGKILL)
    wait_for(lambda: not harness.processes(), what="no process", timeout_s=GONE_S)


def test_clean_spares_live_runs(launch):
    harness = launch("running")
    harness.wait_stage("running")
    assert clean(harness.state_dir) == []
    assert [run.run_id for run in live_runs(harness.state_dir)] == [harness.run_id]
    assert len(harness.processes()) >= 8


def test_a_detached_cluster_lives_on_is_attached_to_and_goes_by_clean(launch):
    harness = launch("")
    harness.wait_stage("detached")
    harness.process.wait(10)
    os.killpg(harness.process.pid, signal.SIGKILL)
    assert clean(harness.state_dir) == []
    for _round in range(2):
        runtime = LocalRuntime.attach(
            run_id=harness.run_id, evidence=harness.base / "evidence", state_dir=harness.state_dir
        )
        assert set(runtime.nodes) == set("abc")
        assert runtime.cuts() == {("a", "b")}
        assert (runtime.passes("a", "b"), runtime.passes("b", "a")) == (False, True)
        assert runtime.state("a").kind == "running"
        runtime.detach()
    runtime = LocalRuntime.attach(
        run_id=harness.run_id, evidence=harness.base / "evidence", state_dir=harness.state_dir
    )
    runtime.signal("a", 9)
    assert runtime.wait_exit("a", 5).signal == 9
    runtime.detach()
    removed = clean(harness.state_dir, include_live=True)
    assert any(line.startswith("holder") for line in removed)
    assert_nothing_left(harness)
    with pytest.raises(SetupError, match="is up"):
        LocalRuntime.attach(run_id=harness.run_id, evidence=harness.base, state_dir=harness.state_dir)


def test_a_detached_cluster_goes_by_closing_it(launch):
    harness = launch("")
    harness.wait_stage("detached")
    harness.process.wait(10)
    os.killpg(harness.process.pid, signal.SIGKILL)
    LocalRuntime.attach(run_id=harness.run_id, evidence=harness.base, state_dir=harness.state_dir).close()
    assert_nothing_left(harness)


def test_close_is_idempotent_and_leaves_conf_and_logs_alone(runtime: LocalRuntime, tmp_path: Path):
    runtime.add_node("a", Disk("sized", 16 << 20))
    runtime.write_file("a", "conf/broker.conf", b"x=1")
    pid = runtime.start("a", Process(["sh", "-c", "echo hello; sleep 600"]))
    wait_for(lambda: runtime.tail("a") == "hello", what="output", timeout_s=5)
    runtime.close()
    runtime.close()
    assert not Path(f"/proc/{pid}").exists()
    assert list((tmp_path / "work").iterdir()) == []
    files = {
        str(path.relative_to(tmp_path / "evidence")) for path in (tmp_path / "evidence").rglob("*") if path.is_file()
    }
    assert files == {"nodes/a/conf/broker.conf", "nodes/a/logs/stdout.log"}
    with pytest.raises(UsageError, match="is closed"):
        runtime.state("a")


def test_a_killed_holder_is_reported_and_closes(runtime: LocalRuntime, tmp_path: Path):
    runtime.add_node("a")
    os.kill(runtime.holder_host_pid, signal.SIGKILL)
    with pytest.raises(SetupError, match="the cluster's holder did not answer"):
        runtime.state("a")
    runtime.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_a_run_id_is_used_once(runtime: LocalRuntime, tmp_path: Path, run_id: str):
    with pytest.raises(UsageError, match="is in use"):
        LocalRuntime.open(run_id=run_id, evidence=tmp_path, work_dir=tmp_path / "work", state_dir=tmp_path / "state")
    assert runtime.add_node("a").name == "a"


def test_clean_never_kills_another_process_with_the_same_pid(tmp_path: Path):
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        mark = ProcessMark.of(bystander.pid)
        assert mark is not None
        work = tmp_path / "work"
        work.mkdir()
        stranger = ProcessMark(mark.pid, mark.start_ticks + 1)
        owners.write(tmp_path, Owner("old", boot_id(), str(work), stranger, stranger))
        removed = clean(tmp_path, include_live=True)
        assert removed == [f"directory {work}", "record of run old"]
        assert bystander.poll() is None
        owners.write(tmp_path, Owner("other-boot", "another", str(work), mark, mark))
        assert clean(tmp_path) == ["record of run other-boot"]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait(5)


def test_clean_takes_unreadable_records_and_works_without_a_state_directory(tmp_path: Path):
    assert clean(tmp_path / "none") == []
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/x.json").write_text("{")
    assert clean(tmp_path) == ["unreadable record x.json"]
