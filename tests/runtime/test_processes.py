from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from harness.core.errors import SetupError, UsageError, WaitTimeout
from harness.runtime.base import Process
from harness.runtime.local import LocalRuntime
from harness.waiting import wait_for

pytestmark = pytest.mark.real

SLEEP = Process(["sleep", "600"])
# Three threads and a child: a pause that froze only the main thread would show.
TREE = Process(
    [
        "python3",
        "-c",
        "import threading, time, subprocess\n"
        "[threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(3)]\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)",
    ]
)


def test_a_process_is_seen_from_absent_to_killed(runtime: LocalRuntime):
    runtime.add_node("a")
    assert runtime.state("a").kind == "absent"
    pid = runtime.start("a", SLEEP)
    assert runtime.state("a").kind == "running"
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == b"sleep"
    assert runtime.host_pid("a") == pid
    runtime.signal("a", signal.SIGKILL)
    state = runtime.wait_exit("a", 5)
    assert (state.kind, state.signal, state.exit_code) == ("exited", signal.SIGKILL, None)
    assert str(state) == "killed by SIGKILL"
    assert not Path(f"/proc/{pid}").exists()


def test_an_exit_code_is_reported_and_the_node_starts_again(runtime: LocalRuntime):
    runtime.add_node("a")
    runtime.start("a", Process(["sh", "-c", "echo last words; exit 3"]))
    before_ns = time.monotonic_ns()
    state = runtime.wait_exit("a", 5)
    assert state.exit_code == 3
    assert abs(state.exited_ns - before_ns) < 5e9
    assert runtime.tail("a") == "last words"
    runtime.start("a", SLEEP)
    assert runtime.state("a").alive


def test_a_pause_freezes_every_thread_and_child_and_ends(runtime: LocalRuntime):
    runtime.add_node("a")
    runtime.start("a", TREE)
    wait_for(lambda: runtime.tail("a") == "up", what="the tree", timeout_s=10)
    runtime.signal("a", signal.SIGSTOP)
    wait_for(lambda: runtime.state("a").kind == "stopped", what="the freeze", timeout_s=2, poll_s=0.001)
    runtime.signal("a", signal.SIGCONT)
    wait_for(lambda: runtime.state("a").kind == "running", what="the thaw", timeout_s=2, poll_s=0.001)


def test_a_child_that_runs_on_is_no_pause(runtime: LocalRuntime):
    runtime.add_node("a")
    pid = runtime.start("a", TREE)
    wait_for(lambda: runtime.tail("a") == "up", what="the tree", timeout_s=10)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: " T " in Path(f"/proc/{pid}/stat").read_text(), what="the parent's freeze", timeout_s=2)
    assert runtime.state("a").kind == "running"


def test_a_kill_takes_children_in_other_sessions_along(runtime: LocalRuntime):
    runtime.add_node("a")
    runtime.start("a", TREE)
    wait_for(lambda: runtime.tail("a") == "up", what="the tree", timeout_s=10)
    assert b"sleep" in runtime.run("a", ["ps", "ax"], 5)[1]
    runtime.signal("a", signal.SIGKILL)
    runtime.wait_exit("a", 5)
    wait_for(lambda: b"sleep 600" not in runtime.run("a", ["ps", "ax"], 5)[1], what="no child", timeout_s=2)


def test_one_node_s_kill_spares_the_others(runtime: LocalRuntime):
    for node in ("a", "b"):
        runtime.add_node(node)
        runtime.start(node, SLEEP)
    runtime.signal("a", signal.SIGKILL)
    runtime.wait_exit("a", 5)
    assert runtime.state("b").kind == "running"


def test_the_environment_is_from_scratch(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RMQ_LEAK", "secret")
    runtime.add_node("a")
    runtime.start("a", Process(["env"], env={"JAVA_HOME": "/java"}))
    assert runtime.wait_exit("a", 5).exit_code == 0
    names = {line.partition("=")[0] for line in runtime.tail("a", 100).splitlines()}
    assert names == {"JAVA_HOME", "PATH", "LANG", "HOME", "HOSTNAME"}


def test_only_the_descriptors_that_were_passed_are_open(runtime: LocalRuntime):
    runtime.add_node("a")
    ours, theirs = os.pipe()
    runtime.start("a", Process(["sh", "-c", "ls /proc/$$/fd; echo private >&3"], fds={3: theirs}))
    os.close(theirs)
    assert runtime.wait_exit("a", 5).exit_code == 0
    with os.fdopen(ours) as private:
        assert private.read() == "private\n"
    assert runtime.tail("a").split() == ["0", "1", "2", "3"]


def test_nodes_write_to_their_home_alone(runtime: LocalRuntime, tmp_path: Path):
    runtime.add_node("a")
    home_of_user, marker = Path.home(), f"rmq-left-behind-{os.getpid()}"
    for directory in (home_of_user, tmp_path, Path("/var/tmp")):
        code, _out, err = runtime.run("a", ["touch", str(directory / marker)], 5)
        assert (code, b"Read-only" in err) == (1, True), directory
    assert runtime.run("a", ["touch", "/tmp/x", "/dev/shm/x", "conf/x", "logs/x", "store/x"], 5)[0] == 0
    assert not Path("/tmp/x").exists()
    assert {entry.path for entry in runtime.list_files("a")} == {"conf/x", "logs/x", "store/x"}
    assert (tmp_path / "evidence/nodes/a/conf/x").exists()


def test_a_run_gives_code_and_output_and_is_killed_when_late(runtime: LocalRuntime):
    runtime.add_node("a")
    assert runtime.run("a", ["sh", "-c", "echo out; echo err >&2; exit 4"], 5) == (4, b"out\n", b"err\n")
    assert len(runtime.run("a", ["head", "-c", "3000000", "/dev/zero"], 5)[1]) == 3_000_000
    with pytest.raises(WaitTimeout, match=r"'sleep' did not end in 0\.1 s"):
        runtime.run("a", ["sleep", "600"], 0.1)
    wait_for(lambda: b"sleep" not in runtime.run("a", ["ps", "ax"], 5)[1], what="no sleeper", timeout_s=2)


def test_bad_calls_name_the_thing_and_the_remedy(runtime: LocalRuntime):
    runtime.add_node("a")
    with pytest.raises(UsageError, match="node 'b' does not exist: add it first; there are hub, a"):
        runtime.start("b", SLEEP)
    with pytest.raises(UsageError, match="'a' exists already"):
        runtime.add_node("a")
    with pytest.raises(UsageError, match="is no name"):
        runtime.add_node("../a")
    with pytest.raises(UsageError, match="taken"):
        runtime.add_node("hub")
    with pytest.raises(SetupError, match="could not start 'no-such-program'"):
        runtime.start("a", Process(["no-such-program"]))
    with pytest.raises(UsageError, match="runs nothing that could get SIGTERM"):
        runtime.signal("a", signal.SIGTERM)
    runtime.start("a", SLEEP)
    with pytest.raises(UsageError, match=r"already runs a process \(running\)"):
        runtime.start("a", SLEEP)
    with pytest.raises(WaitTimeout, match="last seen: running"):
        runtime.wait_exit("a", 0.05)


def test_a_kill_is_quick(runtime: LocalRuntime):
    runtime.add_node("a")
    figures = []
    for _round in range(5):
        runtime.start("a", SLEEP)
        began = time.monotonic()
        runtime.signal("a", signal.SIGKILL)
        sent = time.monotonic()
        runtime.wait_exit("a", 5)
        figures.append((sent - began, time.monotonic() - began))
    assert min(sent for sent, _ in figures) < 0.005
    assert min(reaped for _, reaped in figures) < 0.1


def test_directories_of_one_name_are_not_taken_for_each_other(runtime: LocalRuntime, tmp_path: Path):
    """Two builds of one release are unpacked into directories that are called the same."""
    runtime.add_node("a")
    shown = []
    for build in ("build-122", "build-123"):
        (tmp_path / build / "lib").mkdir(parents=True)
        (tmp_path / build / "lib" / "what").write_text(build)
        shown.append(runtime.provide(tmp_path / build / "lib", "rocketmq-5.4.0"))
    assert shown == ["/rmq/.lib/rocketmq-5.4.0", "/rmq/.lib/rocketmq-5.4.0-2"]
    assert runtime.provide(tmp_path / "build-123" / "lib", "rocketmq-5.4.0") == shown[1]
    assert runtime.provide(tmp_path / "build-122" / "lib", "rocketmq-5.4.0") == shown[0]
    for build, path in zip(("build-122", "build-123"), shown, strict=True):
        runtime.start("a", Process(["cat", f"{path}/what"]))
        runtime.wait_exit("a", 5)
        assert runtime.tail("a").endswith(build)
