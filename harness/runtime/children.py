"""Programs that run as child processes of the harness, in its own namespaces; each in a process group of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.core.errors import SetupError, UsageError, WaitTimeout
from harness.runtime.base import Process, ProcessState
from harness.waiting import wait_for

_GONE_S: Final = 5.0


class Children:
    """Starts programs by name; a name has one at a time. Safe for use by several threads.

    They stay in the harness's session: when the harness dies, kill -9 included, the kernel continues what is stopped
    and hangs up on it, and everything else ends at the end of its input. So a program must end with its input. One
    that was told to stop and has not stopped yet when the harness is killed stays, stopped: a pause waits to see it.
    """

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._ends: dict[str, ProcessState] = {}
        self._logs: dict[str, Path] = {}
        self._lock = threading.Lock()

    def start(self, name: str, process: Process, home: Path, log: Path) -> int:
        """Starts a program in `home`; what it prints is appended to `log`. Returns its pid. Raises `SetupError`."""
        if self.state(name).alive:
            raise UsageError(f"{name} is running already: end it first")
        home.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        # In ascending order: a source that is also a target must be copied before it is overwritten.
        targets = sorted({0: null, 1: out, 2: out, **process.fds}.items())
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in targets]
        env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(home), **process.env}
        words = ["sh", "-c", 'cd "$0" && exec "$@"', process.cwd or str(home), *process.argv]
        try:
            pid = os.posix_spawn("/bin/sh", words, env, file_actions=actions, setpgroup=0)
        except OSError as error:
            raise SetupError(f"{name} could not be started with {process.argv[0]!r}: {error}") from None
        finally:
            os.close(out)
            os.close(null)
        with self._lock:
            self._pids[name], self._logs[name] = pid, log
            self._ends.pop(name, None)
        return pid

    def signal(self, name: str, signum: int) -> None:
        """To the program and what it started. Raises `UsageError` if it does not run."""
        with self._lock:
            # Looked at and signalled under one lock: what was not collected keeps its pid.
            if not self._look(name).alive:
                raise UsageError(f"{name} runs nothing that could get {signal.Signals(signum).name}: start it first")
            os.killpg(self._pids[name], signum)

    def state(self, name: str) -> ProcessState:
        """What it does now; a program that has ended is collected."""
        with self._lock:
            return self._look(name)

    def _look(self, name: str) -> ProcessState:
        if name not in self._pids:
            return ProcessState("absent")
        if name not in self._ends:
            pid, status = os.waitpid(self._pids[name], os.WNOHANG)
            if pid == 0:
                return ProcessState("stopped" if _stands_still(self._pids[name]) else "running")
            code, now = os.waitstatus_to_exitcode(status), time.monotonic_ns()
            how = {"signal": -code} if code < 0 else {"exit_code": code}
            self._ends[name] = ProcessState("exited", exited_ns=now, **how)
        return self._ends[name]

    def wait_exit(self, name: str, timeout_s: float) -> ProcessState:
        """Waits until it has ended. Raises `WaitTimeout`."""
        wait_for(
            lambda: not self.state(name).alive,
            what=f"the end of {name!r}",
            timeout_s=timeout_s,
            poll_s=0.01,
            last_seen=lambda: str(self.state(name)),
        )
        return self.state(name)

    def pid(self, name: str) -> int:
        """Its pid; -1 once it has ended. Raises `UsageError` before the first start."""
        if name not in self._pids:
            raise UsageError(f"{name!r} runs nothing: start it first")
        return self._pids[name] if self.state(name).alive else -1

    def tail(self, name: str, lines: int) -> str:
        """The last lines that it printed."""
        log = self._logs.get(name)
        with suppress(OSError):
            return "" if log is None else "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def end(self, name: str) -> None:
        """SIGKILL, if it runs, and waits until it is gone. Idempotent."""
        if not self.state(name).alive:
            return
        with suppress(UsageError, ProcessLookupError):
            self.signal(name, signal.SIGKILL)
        with suppress(WaitTimeout):
            self.wait_exit(name, _GONE_S)

    def close(self) -> None:
        """Ends all of them."""
        for name in list(self._pids):
            self.end(name)


def _stands_still(pid: int) -> bool:
    """Every thread of it is stopped by a signal."""
    states = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return bool(states) and set(states) <= {"T", "t"}
