"""The worker process: `python -m harness.clients.worker`. Commands in on fd 0, events out on what was fd 1.

Whatever else the process prints (a JVM does) goes to fd 2. The end of the commands is the end of the process.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from harness.clients.client import Client, make
from harness.clients.config import from_json, to_json
from harness.clients.record import Recorder
from harness.clients.ticks import Ticker
from harness.core.errors import HarnessError, UsageError
from harness.core.names import STALL

PROGRESS_S = 0.1
DEFAULT_STOP_S = 30.0
GC_THRESHOLD = 50_000


class Worker:
    """Obeys the commands of one pipe, one after the other, and reports on another."""

    def __init__(self, events_fd: int) -> None:
        self._events_fd = events_fd
        self._lock = threading.Lock()
        self._commands: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._client: Client | None = None
        self._handlers: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "configure": self._configure,
            "go": lambda _command: self._configured().go(),
            "pause": lambda _command: self._configured().pause(),
            "set": lambda command: self._configured().set_rate(command["rate"]),
            "stop": self._stop,
            "exit": lambda _command: os._exit(0),
        }

    def emit(self, event: str, **fields: Any) -> None:
        """Writes one event in one write, from any thread. A harness that is gone ends the process."""
        line = json.dumps({"ev": event, **fields}, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                while line:
                    line = line[os.write(self._events_fd, line) :]
        except OSError:
            os._exit(0)

    def run(self, commands_fd: int) -> NoReturn:
        """Reads commands until there are no more, then ends the process at once, whatever is in flight."""
        self.emit("hello", pid=os.getpid(), client=None, versions={"python": sys.version.split()[0]})
        threading.Thread(target=self._obey, daemon=True, name="obey").start()
        with os.fdopen(commands_fd, "rb") as commands:
            for line in commands:
                try:
                    self._commands.put(json.loads(line))
                except ValueError:
                    self.emit("error", message=f"unreadable command {line[:200]!r}")
        os._exit(0)

    def _obey(self) -> None:
        try:
            while True:
                self._carry_out(self._commands.get())
        except BaseException as error:  # noqa: BLE001  the harness must learn of it before the process ends
            traceback.print_exc()
            self.emit("fatal", message=f"{type(error).__name__}: {error}")
            os._exit(70)

    def _carry_out(self, command: Mapping[str, Any]) -> None:
        handler = self._handlers.get(str(command.get("cmd")))
        try:
            if handler is None:
                raise UsageError(f"unknown command {command!r}")
            handler(command)
        except (HarnessError, KeyError, ValueError) as error:
            traceback.print_exc()
            self.emit("error", message=f"{type(error).__name__}: {error}")

    def _configured(self) -> Client:
        if self._client is None:
            raise UsageError("the worker was not configured")
        return self._client

    def _configure(self, command: Mapping[str, Any]) -> None:
        if self._client is not None:
            raise UsageError("the worker was configured already; one worker is one client")
        config = from_json(command["config"])
        recorder = Recorder(config.history_path)
        client = make(config, recorder)
        versions = {"python": sys.version.split()[0]} | client.versions()
        recorder.hello(config.client, versions, to_json(config))
        client.start()
        self._client = client
        Ticker(lambda begin, end: recorder.event(STALL, {"from_ns": begin, "to_ns": end}))
        threading.Thread(target=self._report, args=(client, recorder), daemon=True, name="report").start()
        self.emit("ready", client=config.client, versions=versions)

    def _stop(self, command: Mapping[str, Any]) -> None:
        client = self._configured()
        client.stop(float(command.get("timeout_s", DEFAULT_STOP_S)))
        self.emit("stopped", counts=client.tally.snapshot())

    def _report(self, client: Client, recorder: Recorder) -> None:
        ticks = threading.Event()
        told = False
        while not ticks.wait(PROGRESS_S):
            if recorder.failed is not None:
                raise recorder.failed
            self.emit("progress", time_ns=time.monotonic_ns(), **client.tally.snapshot())
            if client.done and not told:
                told = True
                self.emit("done", counts=client.tally.snapshot())


def main() -> NoReturn:
    """Takes fd 1 for events alone, lets everything else that prints go to fd 2, and obeys."""
    events = os.dup(1)
    os.dup2(2, 1)
    # A collection stalls every sender, and with a JVM in the process it looks through that as well.
    gc.set_threshold(GC_THRESHOLD, 50, 100)
    worker = Worker(events)

    def fatal(args: threading.ExceptHookArgs) -> None:
        traceback.print_exception(args.exc_value)
        worker.emit("fatal", message=f"{type(args.exc_value).__name__}: {args.exc_value}")
        os._exit(70)

    threading.excepthook = fatal
    worker.run(0)


if __name__ == "__main__":
    main()
