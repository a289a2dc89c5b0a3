"""Appends the harness's own lines to a scenario's history: faults, steps, observations, what the oracle read."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.core.errors import EvidenceError
from harness.core.op import OpName, OpType, line

NEMESIS = "nemesis"
ORACLE = "oracle"
SCENARIO = "scenario"


class Recorder:
    """One append-only file per process of the harness in `directory`; every call is one write to the kernel.

    Safe for use by several threads. A write error raises EvidenceError: a run that cannot record must not go on.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._files: dict[str, int] = {}
        self._lock = threading.Lock()

    def write(self, record: Mapping[str, Any], *, process: str = SCENARIO) -> None:
        """Appends one line to the history of `process`."""
        self._append(process, json.dumps(record, separators=(",", ":"), default=str) + "\n")

    def rows(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Appends what the oracle read, in bulk."""
        text = "".join(json.dumps(r, separators=(",", ":"), ensure_ascii=True) + "\n" for r in records)
        if text:
            self._append(ORACLE, text)

    def observe(self, name: str, value: Any) -> None:
        """Records a named observation with any JSON value."""
        self.write(line(OpName.OBSERVE, OpType.INFO, time.monotonic_ns(), s=name, x=_json(value)))

    def step_begin(self, name: str, detail: Mapping[str, Any] | None = None) -> None:
        """A named step begins."""
        self.write(line(OpName.STEP, OpType.INFO, time.monotonic_ns(), id=name, s="begin", x=_json(detail)))

    def step_end(self, name: str, detail: Mapping[str, Any] | None = None, *, ok: bool = True) -> None:
        """A named step ended, well or not."""
        action = "end" if ok else "failed"
        self.write(line(OpName.STEP, OpType.INFO, time.monotonic_ns(), id=name, s=action, x=_json(detail)))

    def fault(self, name: str, action: str, **about: Any) -> None:
        """One transition of a fault (inject, observed, heal, recovered); `about` holds fault, targets, lasting, detail."""
        record = line(OpName.FAULT, OpType.INFO, time.monotonic_ns(), id=name, s=action, x=_json(about))
        self.write(record, process=NEMESIS)

    def close(self) -> None:
        """Closes every file. Idempotent."""
        with self._lock:
            for fd in self._files.values():
                os.close(fd)
            self._files.clear()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, process: str, text: str) -> None:
        data = text.encode()
        try:
            with self._lock:
                if process not in self._files:
                    path = self._directory / f"{process}.jsonl"
                    self._files[process] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                while data:
                    data = data[os.write(self._files[process], data) :]
        except OSError as error:
            raise EvidenceError(
                f"history of {process!r} cannot be written ({error}): free the disk of the reports"
            ) from None


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"), default=str)
