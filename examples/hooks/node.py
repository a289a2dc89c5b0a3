"""Hooks for a cluster of `rmq-harness up`: kill, stop, pause, resume and start one of its nodes, from inside.

    --hook "kill=python3 examples/hooks/node.py kill {node}" --hook "start=python3 examples/hooks/node.py start {node}"

A node is known by its home in its command line. What ends a node first leaves a waiting process in the node's own
namespaces, which becomes the node again when it is told to start. On real machines `ssh` and `systemctl` do this.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

WAITS_S = 600
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "pause": signal.SIGSTOP, "resume": signal.SIGCONT}


def main(what: str, node: str) -> int:
    """Does it. 1 if there is no such node."""
    order = Path(os.environ["HOME"]) / f"start-{node}"
    if what == "start":
        order.touch()
        return 0
    pid = _pid(node)
    if pid is None:
        print(f"no node {node} runs here")
        return 1
    if what in ("kill", "stop"):
        order.unlink(missing_ok=True)
        _leave_a_starter(pid, order)
    os.kill(pid, SIGNALS[what])
    while what == "stop" and Path(f"/proc/{pid}/exe").exists():
        time.sleep(0.05)
    print(f"{what} of {node}: done to process {pid}")
    return 0


def _pid(node: str) -> int | None:
    """The java process whose configuration lies in the node's home."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(f"/rmq/{node}/conf/".encode()) for word in words):
            return int(entry.name)
    return None


def _leave_a_starter(pid: int, order: Path) -> None:
    """A process that waits for the order to start, and then runs the node's own command line where the node ran."""
    proc = Path(f"/proc/{pid}")
    words = [os.fsdecode(word) for word in (proc / "cmdline").read_bytes().split(b"\0")[:-1]]
    env = dict(os.fsdecode(w).partition("=")[::2] for w in (proc / "environ").read_bytes().split(b"\0") if w)
    cwd = str((proc / "cwd").readlink())
    # Opened before the node may be gone.
    spaces = [os.open(proc / "ns" / kind, os.O_RDONLY) for kind in ("net", "uts", "ipc")]
    if os.fork() == 0:
        os.setsid()
        for space in spaces:
            _enter(space)
        out = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(out, fd)
        ends = time.monotonic() + WAITS_S
        while not order.exists() and time.monotonic() < ends:
            time.sleep(0.05)
        if not order.exists():
            os._exit(1)
        order.unlink()
        os.chdir(cwd)
        os.execve(words[0], words, env)


def _enter(space: int) -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(space, 0) != 0:
        print("the node's namespaces cannot be entered", file=sys.stderr)
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
