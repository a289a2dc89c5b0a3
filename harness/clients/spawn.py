"""How a worker's process comes to be: through a runtime, in a node of its own, or plainly, for tests."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import harness
from harness.core.errors import ClientError
from harness.runtime.base import Process, Runtime

HISTORY_FD: Final = 3
WORKER_ARGV: Final = (sys.executable, "-P", "-m", "harness.clients.worker")


def worker_env() -> dict[str, str]:
    """All a worker needs of the environment: where the harness lies."""
    return {"PYTHONPATH": str(Path(harness.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}


class Spawner(Protocol):
    """Starts processes by name. A name has one process at a time."""

    def spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int]) -> int:
        """Starts a process with these descriptors (its number -> ours) and returns its pid, for evidence."""
        ...

    def ended(self, name: str) -> str | None:
        """How the process ended ("exited with code 1"), None while it runs."""
        ...

    def tail(self, name: str, lines: int = 20) -> str:
        """The last lines it printed."""
        ...

    def kill(self, name: str) -> None:
        """SIGKILL, and nothing if there is no process any more."""
        ...


class RuntimeSpawner:
    """Runs each worker as the process of the runtime's node of the same name, which exists already."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int]) -> int:
        """See `Spawner`."""
        return self._runtime.start(name, Process(argv, env, fds=fds))

    def ended(self, name: str) -> str | None:
        """See `Spawner`."""
        state = self._runtime.state(name)
        return None if state.alive else str(state)

    def tail(self, name: str, lines: int = 20) -> str:
        """See `Spawner`."""
        return self._runtime.tail(name, lines)

    def kill(self, name: str) -> None:
        """See `Spawner`."""
        if self._runtime.state(name).alive:
            self._runtime.signal(name, signal.SIGKILL)


class PlainSpawner:
    """Runs workers in the harness's own namespaces, homes below one directory. For tests and benchmarks."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pids: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._lock = threading.Lock()

    def spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int]) -> int:
        """See `Spawner`. Raises `ClientError`."""
        home = self._root / name
        (home / "logs").mkdir(parents=True, exist_ok=True)
        log = os.open(self._log(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        # In ascending order: a source that is also a target must be copied before it is overwritten.
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in sorted({**fds, 2: log}.items())]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(home), **env}
        try:
            pid = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", 'cd "$0" && exec "$@"', str(home), *argv],
                environment,
                file_actions=actions,
                setsid=True,
            )
        except OSError as error:
            raise ClientError(f"worker {name!r} could not be started with {argv[0]!r}: {error}") from None
        finally:
            os.close(log)
        with self._lock:
            self._pids[name] = pid
            self._ends.pop(name, None)
        return pid

    def ended(self, name: str) -> str | None:
        """See `Spawner`. Collects the process."""
        with self._lock:
            if name not in self._ends:
                pid, status = os.waitpid(self._pids[name], os.WNOHANG)
                if pid == 0:
                    return None
                self._ends[name] = os.waitstatus_to_exitcode(status)
            code = self._ends[name]
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    def tail(self, name: str, lines: int = 20) -> str:
        """See `Spawner`."""
        with suppress(OSError):
            return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])
        return ""

    def kill(self, name: str) -> None:
        """See `Spawner`."""
        if self.ended(name) is None:
            os.kill(self._pids[name], signal.SIGKILL)

    def _log(self, name: str) -> Path:
        return self._root / name / "logs" / "stdout.log"
