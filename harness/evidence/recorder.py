"""What the harness's own processes (nemesis, oracle, scenario, probe) append to the history of a scenario."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from harness.core.errors import EvidenceError
from harness.core.names import DISK_STALL, STALL, STARVED
from harness.core.op import OpName, OpType, line
from harness.evidence.files import remedy_for

_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str).encode


class Recorder:
    """Appends lines to `<directory>/<process>.jsonl`, each call in the kernel's hands before it returns.

    Any thread may call. What was written survives the death of the harness, not of the machine. Raises EvidenceError
    where the disk refuses or a value is no JSON: a run that cannot be recorded must not go on.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, int] = {}
        self._lock = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvidenceError(f"{directory} cannot be made: {error}; choose another --reports directory") from error

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes every file. May be called twice; writing afterwards is an EvidenceError."""
        with self._lock:
            for fd in self._files.values():
                os.close(fd)
            self._files.clear()
            self._closed = True

    _closed = False

    def write(self, record: Mapping[str, Any], *, process: str = "scenario") -> None:
        """Appends one line, made by `harness.core.op.line`, to the file of `process`."""
        self.write_all((record,), process=process)

    def write_all(self, records: Iterable[Mapping[str, Any]], *, process: str) -> None:
        """Appends many lines at once; all or, if the disk fills up meanwhile, a torn tail and an EvidenceError."""
        try:
            data = "".join([_encode(record) + "\n" for record in records]).encode()
        except ValueError as error:
            raise EvidenceError(f"history of {process}: {error}; record a finite number or null instead") from error
        with self._lock:
            view = memoryview(data)
            try:
                fd = self._fd(process)
                while view:
                    view = view[os.write(fd, view) :]
            except OSError as error:
                raise EvidenceError(
                    f"{self._directory / process}.jsonl could not be written ({error.strerror or error}): "
                    f"{remedy_for(error, self._directory)}"
                ) from error

    def read_rows(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Appends the oracle's READ and DRAIN lines of a queue, in its order."""
        self.write_all(records, process="oracle")

    def observe(self, name: str, value: Any) -> None:
        """Records what was seen under a name; `value` is any JSON value."""
        self.write(line(OpName.OBSERVE, OpType.INFO, time.monotonic_ns(), s=name, x=self._json(name, value)))

    def step_begin(self, name: str, detail: Mapping[str, Any] | None = None) -> None:
        """A named step begins."""
        self._step(name, "begin", detail)

    def step_end(self, name: str, detail: Mapping[str, Any] | None = None, *, ok: bool = True) -> None:
        """A named step ended, well or not."""
        self._step(name, "end" if ok else "failed", detail)

    def event(self, name: str, detail: Mapping[str, Any] | None = None) -> None:
        """Anything else worth a line on the time axis."""
        text = self._json(name, dict(detail or {}))
        self.write(line(OpName.EVENT, OpType.INFO, time.monotonic_ns(), s=name, x=text))

    def stalled(self, from_ns: int, to_ns: int) -> None:
        """The harness itself did not get on between these instants."""
        self.event(STALL, {"from_ns": from_ns, "to_ns": to_ns})

    def disk_stalled(self, from_ns: int, to_ns: int) -> None:
        """The disk below every store did not take a sync between these instants."""
        self.event(DISK_STALL, {"from_ns": from_ns, "to_ns": to_ns})

    def starved(self, node: str, broker: str, detail: Mapping[str, Any]) -> None:
        """A node was not given a processor when it wanted one; `broker` is its broker's name, or empty."""
        self.event(STARVED, {"node": node, "broker": broker, **detail})

    def fault(
        self,
        name: str,
        action: str,
        *,
        at_ns: int | None = None,
        fault: str | None = None,
        targets: Iterable[str] | None = None,
        lasting: bool | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Records one transition of a fault: inject, observed, heal or recovered.

        `at_ns` is the instant it really happened, if that was before the call.
        """
        extra: dict[str, Any] = {}
        if at_ns is not None:
            extra["at_ns"] = at_ns
        if action == "inject":
            extra |= {"fault": fault or name, "targets": list(targets or ()), "lasting": bool(lasting)}
        if detail:
            extra["detail"] = dict(detail)
        text = self._json(name, extra)
        record = line(OpName.FAULT, OpType.INFO, time.monotonic_ns(), id=name, s=action, x=text)
        self.write(record, process="nemesis")

    def _step(self, name: str, what: str, detail: Mapping[str, Any] | None) -> None:
        text = self._json(name, dict(detail)) if detail else None
        self.write(line(OpName.STEP, OpType.INFO, time.monotonic_ns(), id=name, s=what, x=text))

    def _json(self, name: str, value: Any) -> str:
        try:
            return _encode(value)
        except ValueError as error:
            raise EvidenceError(f"{name}: {error}; record a finite number or null instead") from error

    def _fd(self, process: str) -> int:
        if self._closed:
            raise EvidenceError(f"history of {process}: the recorder is closed; record before the scenario ends")
        if process not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._files[process] = os.open(self._directory / f"{process}.jsonl", flags, 0o644)
        return self._files[process]
