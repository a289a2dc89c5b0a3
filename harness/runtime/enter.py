"""Runs a command in a cluster as its nodes are run, from a fresh interpreter: only one thread may enter namespaces."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from harness.runtime import namespaces

BOOT: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from harness.runtime.enter import main; "
    "main(int(sys.argv[2]), sys.argv[3], sys.argv[4:])"
)
EXIT_USAGE: Final = 4
EXIT_TROUBLE: Final = 6

_KINDS: Final = (
    ("net", namespaces.CLONE_NEWNET),
    ("uts", namespaces.CLONE_NEWUTS),
    ("ipc", namespaces.CLONE_NEWIPC),
    ("pid", namespaces.CLONE_NEWPID),
    ("mnt", namespaces.CLONE_NEWNS),
)
_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP)


def command(holder_pid: int, scratch: str, words: list[str]) -> list[str]:
    """The command line that runs `words` below that holder: in the hub's network, with the nodes' view of the files.

    They start in the caller's directory or, if nodes cannot see it, in `scratch`, a path as nodes see it.
    """
    root = str(Path(__file__).resolve().parents[2])
    return [sys.executable, "-I", "-c", BOOT, root, str(holder_pid), scratch, *words]


def main(holder_pid: int, scratch: str, words: list[str]) -> NoReturn:
    """Runs the command and ends as it does; what is wrong is one message and the exit code of its kind."""
    here = scratch
    with suppress(OSError):  # the caller's directory may have been deleted
        here = str(Path.cwd())
    try:
        _enter(holder_pid)
        # A PID namespace takes in children alone; as a member the command ends with the cluster, as nodes do.
        pid = os.fork()
    except OSError as error:
        _refuse(EXIT_TROUBLE, f"the cluster cannot be entered ({error}): run this as the user who ran `up`")
    if pid == 0:
        _become(here, scratch, words)
    _end_as(pid)


def _enter(pid: int) -> None:
    """Moves this process to where the nodes are. Everything is opened first: afterwards /proc is another."""
    kinds = [*_KINDS]
    if Path(f"/proc/{pid}/ns/user").stat().st_ino != Path("/proc/self/ns/user").stat().st_ino:
        kinds.insert(0, ("user", namespaces.CLONE_NEWUSER))
    opened = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in kinds]
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for fd, kind in opened:
        namespaces.enter(fd, kind)
        os.close(fd)
    # Which in a container is not that of the mount namespace.
    os.fchdir(root)
    os.chroot(".")
    os.close(root)


def _become(here: str, scratch: str, words: list[str]) -> NoReturn:
    namespaces.die_with_parent(signal.SIGKILL)
    for directory in (here, scratch, "/"):
        with suppress(OSError):
            os.chdir(directory)
            break
    try:
        os.execvp(words[0], words)
    except OSError as error:
        _refuse(EXIT_USAGE, f"{words[0]!r} cannot be run: {error.strerror}")


def _end_as(pid: int) -> NoReturn:
    """Waits for the command. A terminal's keys reach it by themselves; what is sent to this process is passed on."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for number in _FORWARDED:
        signal.signal(number, lambda received, _frame: os.kill(pid, received))
    _pid, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


def _refuse(code: int, message: str) -> NoReturn:
    sys.stderr.write(f"rmq-harness: {message}\n")
    sys.stderr.flush()
    os._exit(code)
