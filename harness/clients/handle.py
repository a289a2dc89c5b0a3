"""A worker as the harness holds it: commands, the latest progress, and the news of its death."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.clients.config import Config, to_json
from harness.clients.spawn import HISTORY_FD, WORKER_ARGV, Spawner, worker_env
from harness.core.errors import ClientError, WaitTimeout
from harness.waiting import wait_for

_POLL_S = 0.01
_REAP_S = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker had done when it last said so (every 100 ms). Instants are monotonic ns, 0 = never."""

    time_ns: int = 0
    invoked: int = 0
    ok: int = 0
    fail: int = 0
    info: int = 0
    in_flight: int = 0
    delivered: int = 0
    last_ok_ns: int = 0
    last_delivery_ns: int = 0


class Worker:
    """One worker process. Safe for use by several threads.

    Every method that waits raises `ClientError` with the worker's last words if it dies, reports an error or breaks
    the protocol meanwhile, and `WaitTimeout` when it takes too long. An unreadable line ends the worker's credit:
    every later call raises. A kill that was asked for by `kill` (or done by a fault, see `expect_death`) is no error.
    """

    def __init__(self, spawner: Spawner, name: str, history: Path) -> None:
        """Starts the process. `history` is where its lines go: made if absent, appended to if not."""
        self.name = name
        self.history = history
        self._spawner = spawner
        self._lock = threading.Lock()
        self._progress = Progress()
        self._events: dict[str, dict[str, Any]] = {}
        self._failure: str | None = None
        self._death_expected = False
        commands_read, self._commands = os.pipe2(os.O_CLOEXEC)
        events_read, events_write = os.pipe2(os.O_CLOEXEC)
        history.parent.mkdir(parents=True, exist_ok=True)
        history_fd = os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        fds = {0: commands_read, 1: events_write, HISTORY_FD: history_fd}
        try:
            self.pid = spawner.spawn(name, WORKER_ARGV, worker_env(), fds)
        except BaseException:
            os.close(self._commands)
            os.close(events_read)
            raise
        finally:
            for fd in fds.values():
                os.close(fd)
        self._reader = threading.Thread(target=self._read, args=(events_read,), daemon=True, name=f"worker-{name}")
        self._reader.start()

    @property
    def progress(self) -> Progress:
        """The latest progress."""
        with self._lock:
            return self._progress

    @property
    def alive(self) -> bool:
        """Its process runs (or is stopped by a signal)."""
        return self._spawner.ended(self.name) is None

    def configure(self, config: Config) -> None:
        """Tells it what to be; `ready` waits until it is. The history path of `config` is replaced by our own."""
        self._command(cmd="configure", config=to_json(dataclasses.replace(config, history_path=f"fd:{HISTORY_FD}")))

    def ready(self, timeout_s: float = 30.0) -> Mapping[str, Any]:
        """Waits until its client works, and returns what it says of itself (client, versions)."""
        return self._await("ready", timeout_s)

    def go(self) -> None:
        """Starts or continues sending."""
        self._command(cmd="go")

    def pause(self) -> None:
        """Issues nothing new until `go`."""
        self._command(cmd="pause")

    def set_rate(self, rate_per_s: float | None) -> None:
        """Changes the rate of new sends."""
        self._command(cmd="set", rate=rate_per_s)

    def stop(self, timeout_s: float = 30.0) -> Mapping[str, int]:
        """Ends the load, waits for what is in flight, and returns the counts. `in_flight` of them may be above 0."""
        self._command(cmd="stop", timeout_s=timeout_s)
        counts: Mapping[str, int] = self._await("stopped", timeout_s + 5.0)["counts"]
        return counts

    def done(self, timeout_s: float) -> Mapping[str, int]:
        """Waits until `max_messages` have all come to an outcome, and returns the counts."""
        counts: Mapping[str, int] = self._await("done", timeout_s)["counts"]
        return counts

    def wait_progress(self, predicate: Callable[[Progress], bool], what: str, timeout_s: float) -> Progress:
        """Waits until the latest progress satisfies `predicate`, and returns it."""

        def probe() -> Progress | None:
            self._check()
            progress = self.progress
            return progress if predicate(progress) else None

        return wait_for(
            probe,
            what=f"worker {self.name!r}: {what}",
            timeout_s=timeout_s,
            poll_s=_POLL_S,
            last_seen=lambda: str(self.progress),
        )

    def expect_death(self) -> None:
        """From now on the end of its process is no error: a fault is about to kill it."""
        with self._lock:
            self._death_expected = True

    def kill(self) -> None:
        """SIGKILL: what was in flight has no completion in the history. Idempotent."""
        self.expect_death()
        self._spawner.kill(self.name)

    def close(self) -> None:
        """Ends the process: its commands end, and if that is not enough it is killed. Idempotent."""
        self.expect_death()
        with self._lock:
            commands, self._commands = self._commands, -1
        if commands >= 0:
            os.close(commands)
        try:
            wait_for(lambda: not self.alive, what=f"worker {self.name!r} to end", timeout_s=_REAP_S, poll_s=_POLL_S)
        except WaitTimeout:
            self._spawner.kill(self.name)
        self._reader.join(_REAP_S)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _command(self, **command: Any) -> None:
        self._check()
        data = json.dumps(command).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._commands, data) :]
        except OSError:
            self._reader.join(_REAP_S)
            self._check()
            raise ClientError(f"worker {self.name!r} takes no commands any more{self._words()}") from None

    def _await(self, event: str, timeout_s: float) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            self._check()
            with self._lock:
                return self._events.get(event)

        return wait_for(
            probe,
            what=f"worker {self.name!r} to say {event!r}",
            timeout_s=timeout_s,
            poll_s=_POLL_S,
            last_seen=lambda: f"{self.progress}; {self._words() or 'no output'}",
        )

    def _check(self) -> None:
        with self._lock:
            failure = self._failure
        if failure is not None:
            raise ClientError(failure)

    def _read(self, fd: int) -> None:
        with os.fdopen(fd, "rb") as events:
            for line in events:
                try:
                    self._take(line)
                except (ValueError, KeyError, TypeError, AttributeError):
                    self._fail(f"worker {self.name!r} wrote an unreadable line {line[:200]!r}; its history is not used")
        self._ended()

    def _take(self, line: bytes) -> None:
        event = json.loads(line)
        kind = event.pop("ev")
        if kind == "progress":
            with self._lock:
                self._progress = Progress(**event)
        elif kind in ("error", "fatal"):
            self._fail(f"worker {self.name!r} reports: {event['message']}{self._words()}")
        elif kind in ("hello", "ready", "done", "stopped"):
            with self._lock:
                self._events[kind] = event
                if "counts" in event:
                    self._progress = Progress(time_ns=time.monotonic_ns(), **event["counts"])
        else:
            raise ValueError(kind)

    def _ended(self) -> None:
        deadline = time.monotonic() + 1.0
        ended = self._spawner.ended(self.name)
        while ended is None and time.monotonic() < deadline:
            ended = self._spawner.ended(self.name)
        with self._lock:
            expected = self._death_expected
        if not expected:
            self._fail(f"worker {self.name!r} {ended or 'closed its events'}{self._words()}")
        else:
            self._fail(f"worker {self.name!r} {ended or 'closed its events'}, as was asked for")

    def _fail(self, message: str) -> None:
        with self._lock:
            if self._failure is None:
                self._failure = message

    def _words(self) -> str:
        tail = self._spawner.tail(self.name)
        return f"; its last words:\n{tail}" if tail else ""
