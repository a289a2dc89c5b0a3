"""A cluster that stays: brought up, worked with from other processes, and gone without a trace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.keep import left_up
from harness.runtime.probe import probe_capabilities

ROOT = Path(__file__).parents[2]


def _sees_what_nodes_see(rmq, run, tmp_path):
    """This machine's files, which cannot be written, a directory that can, and the cluster's processes alone."""
    for name in (Path("/etc") / f"rmq-{run}", tmp_path / "written", ROOT / "written"):
        refused = rmq("exec", run, "--", "touch", str(name))
        assert refused.returncode == 1, name
        assert "Read-only file system" in refused.stderr
        assert not name.exists()
    for name in (Path("/") / f"rmq-{run}", Path("/tmp") / f"rmq-{run}"):
        # These directories are the cluster's own, in memory: nothing of them is the machine's.
        assert rmq("exec", run, "--", "touch", str(name)).returncode == 0, name
        assert not name.exists()
    assert rmq("exec", run, "--", "pwd").stdout.strip() == str(tmp_path)
    kept = rmq("exec", run, "--", "sh", "-c", 'echo mine > "$HOME/note"; mktemp')
    assert kept.returncode == 0, kept.stderr
    assert rmq("exec", run, "--", "sh", "-c", 'cat "$HOME/note"').stdout.strip() == "mine"
    assert rmq("exec", run, "--", "ls", "/rmq/broker-a-0").stdout.split() == ["conf", "logs", "store"]
    processes = rmq("exec", run, "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'").stdout
    assert "org.apache.rocketmq.broker.BrokerStartup" in processes
    assert f"\n{os.getpid()}\n" not in rmq("exec", run, "--", "ls", "/proc").stdout


@pytest.mark.real
def test_a_cluster_that_stays(tmp_path):
    if probe_capabilities()["namespaces"] is not None:
        pytest.skip("namespaces are missing")
    state = tmp_path / "state"
    environment = {**os.environ, "RMQ_HARNESS_STATE": str(state), "PYTHONPATH": str(ROOT)}

    def rmq(*words, timeout_s=120):
        command = [sys.executable, "-m", "harness", *words]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=timeout_s, check=False
        )

    up = rmq("up", "1m", "--rocketmq", "4.9.7", timeout_s=300)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        (run,) = left_up(state)
        assert f"rmq-harness exec {run} -- mqadmin clusterList" in up.stdout
        assert (tmp_path / "reports" / run / "nodes/broker-a-0/logs").is_dir()

        listed = rmq("exec", run, "--", "mqadmin", "clusterList")
        assert "V4_9_7" in listed.stdout, listed.stderr
        assert rmq("exec", run, "--", "getent", "hosts", "broker-a-0").stdout.startswith("198.18.")
        assert rmq("exec", run, "--", "sh", "-c", "exit 7").returncode == 7
        wrong = rmq("exec", run, "--", "no-such-command")
        assert wrong.returncode == 4
        assert "'no-such-command' cannot be run" in wrong.stderr
        assert "Traceback" not in wrong.stderr
        _sees_what_nodes_see(rmq, run, tmp_path)
        # A network of its own, in which the machine's is not to be seen.
        inside = rmq("exec", run, "--", "readlink", "/proc/self/ns/net").stdout.strip()
        assert inside.startswith("net:[")
        assert inside != str(Path("/proc/self/ns/net").readlink())
        assert rmq("clean").stdout.strip() == "nothing was left behind"
        command = [sys.executable, "-m", "harness", "exec", run, "--", "sh", "-c", "echo inside; exec sleep 600"]
        staying = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
        assert staying.stdout.readline() == "inside\n"
    finally:
        done = rmq("down")
    assert done.returncode == 0
    with staying:
        assert staying.wait(30) == 128 + 9, "what runs in a cluster ends with it"
    assert left_up(state) == []
    assert not any((state / "work").iterdir())
    assert not any((state / "runs").iterdir())
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
