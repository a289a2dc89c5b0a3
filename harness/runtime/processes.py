"""Processes as the holder sees it: started in a node's network, found by it, signalled together, reaped."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from harness.core.errors import SetupError, UsageError
from harness.runtime.base import ProcessState
from harness.runtime.namespaces import CLONE_NEWNET, CLONE_NEWUTS, enter, unshare

_ABOVE_ALL_TARGETS = 100
_BASE_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Launch:
    """A program to start: where, what, and with which descriptors (number in the program -> number here)."""

    node: str
    network_fd: int
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    fds: Mapping[int, int]


@dataclass
class _Exit:
    status: int
    time_ns: int


@dataclass
class Processes:
    """Everything that runs below the holder. The holder is PID 1: orphans end here too."""

    mains: dict[str, int] = field(default_factory=dict)
    _watched: set[int] = field(default_factory=set)
    _exits: dict[int, _Exit] = field(default_factory=dict)

    def reap(self) -> None:
        """Collects every process that has ended; the ends of watched ones are kept."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._watched:
                self._exits[pid] = _Exit(status, time.monotonic_ns())

    def start(self, launch: Launch) -> int:
        """Starts the node's main process. Raises `UsageError` while there is one."""
        state = self.state(launch.node)
        if state.alive:
            raise UsageError(f"node {launch.node!r} already runs a process ({state}): end it before starting another")
        self._forget(self.mains.pop(launch.node, None))
        pid = self.spawn(launch)
        self.mains[launch.node] = pid
        return pid

    def spawn(self, launch: Launch) -> int:
        """Starts a program in a node. Returns when it was executed; raises `SetupError` if it could not be."""
        if not launch.argv or any(not 0 <= target < _ABOVE_ALL_TARGETS for target in launch.fds):
            raise UsageError(f"node {launch.node!r}: a process needs an argv, and descriptor numbers from 0 to 99")
        failure_read, failure_write = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            _become(launch, failure_write)
        os.close(failure_write)
        with os.fdopen(failure_read, "rb") as failure:
            reason = failure.read().decode()
        if reason:
            os.waitpid(pid, 0)
            raise SetupError(f"node {launch.node!r} could not start {launch.argv[0]!r} in {launch.cwd!r}: {reason}")
        self._watched.add(pid)
        return pid

    def collect(self, pid: int) -> int | None:
        """The exit code of a spawned program that has ended (128 + signal if killed), once; else None."""
        self.reap()
        ended = self._exits.get(pid)
        if ended is None:
            return None
        self._forget(pid)
        code = os.waitstatus_to_exitcode(ended.status)
        return code if code >= 0 else 128 - code

    def _forget(self, pid: int | None) -> None:
        if pid is not None:
            self._watched.discard(pid)
            self._exits.pop(pid, None)

    def state(self, node: str, network_fd: int | None = None) -> ProcessState:
        """What the node's main process does; with `network_fd`, whether all of the node's threads are stopped."""
        self.reap()
        pid = self.mains.get(node)
        if pid is None:
            return ProcessState("absent")
        if pid in self._exits:
            ended = self._exits[pid]
            code = os.waitstatus_to_exitcode(ended.status)
            if code < 0:
                return ProcessState("exited", signal=-code, exited_ns=ended.time_ns)
            return ProcessState("exited", exit_code=code, exited_ns=ended.time_ns)
        members = list(self.members(network_fd)) if network_fd is not None else [pid]
        return ProcessState("stopped" if members and all(map(all_stopped, members)) else "running")

    def members(self, network_fd: int) -> Iterator[int]:
        """What runs in a node; zombies do not."""
        return members_of(network_fd)

    def signal(self, network_fd: int, signum: int) -> int:
        """Signals everything in a node, also what forks meanwhile; returns how many processes that were."""
        signalled: set[int] = set()
        while fresh := set(self.members(network_fd)) - signalled:
            for pid in fresh:
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)
            signalled |= fresh
        return len(signalled)


def members_of(network_fd: int) -> Iterator[int]:
    """The processes in a network namespace; zombies are in none."""
    wanted = os.fstat(network_fd).st_ino
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                if Path(entry.path, "ns/net").stat().st_ino == wanted:
                    yield int(entry.name)


def children_of(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """What a process's first thread has started and still runs, oldest first; nothing of one that has ended."""
    try:
        return [int(child) for child in (proc / f"{pid}/task/{pid}/children").read_bytes().split()]
    except OSError:
        return []


def all_stopped(pid: int) -> bool:
    """Every thread of the process is; of one that is gone as well."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                # After the name, which may itself contain parentheses and spaces.
                if (task / "stat").read_text().rpartition(")")[2].split()[0] not in "TtZX":
                    return False
    return True


def _become(launch: Launch, failure_fd: int) -> NoReturn:
    try:
        _prepare(launch)
        environment = {**_BASE_ENV, "HOME": f"/rmq/{launch.node}", "HOSTNAME": launch.node, **launch.env}
        os.execvpe(launch.argv[0], list(launch.argv), environment)
    except BaseException as error:  # noqa: BLE001  the child must never return into the holder's loop
        os.write(failure_fd, (str(error) or type(error).__name__).encode())
    os._exit(127)


def _prepare(launch: Launch) -> None:
    os.setsid()
    enter(launch.network_fd, CLONE_NEWNET)
    unshare(CLONE_NEWUTS)
    socket.sethostname(launch.node)
    lifted = {target: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL_TARGETS) for target, fd in launch.fds.items()}
    # 2 goes last: an error before it must still reach the holder's own log.
    for target in sorted(lifted, key=lambda number: number == 2):
        os.dup2(lifted[target], target, inheritable=True)
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.chdir(launch.cwd)
