"""The history of one scenario: columnar, immutable, the only input of every checker.

Tables (polars DataFrames; null where a value does not apply; process, topic, broker, outcome and the like are
categories). `m` is the number of the message: the same in every table for the same id, null for an id that no send has.

* `sends`: m, id, process, call, topic, invoke_ns, complete_ns, outcome (ok|fail|info), status, code, error, broker,
  queue, offset, completions. An invoke that never completed has outcome info, complete_ns null and completions 0.
* `deliveries`: m, process, group, id, topic, broker, queue, offset, time_ns, reconsume, status, altered.
  Status is `refused` where the consumer said that it failed, else null.
* `reads`: m, phase, replica, broker, topic, queue, offset, id, digest, time_ns, altered. Message by message as the
  oracle read them; one queue offset may occur twice.
* `drains`: phase, replica, broker, topic, queue, complete, count, detail, time_ns, content.

`altered` says in what a message differs from what was sent (`harness.core.content`); null is nothing, if somebody
looked: the drain of the queue then has content `compared`, the process that was given it a `body` in its first line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from harness.core import tables
from harness.core.errors import EvidenceError
from harness.core.op import OpName, OpType
from harness.core.tables import RAW_SCHEMA
from harness.core.window import FaultWindow

__all__ = ["RAW_SCHEMA", "Event", "History", "Observation", "RouteSeen", "StepMark"]


@dataclass(frozen=True, slots=True)
class Observation:
    """Something a step saw and recorded by name; `value` is any JSON value, instants are monotonic ns."""

    name: str
    time_ns: int
    value: Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something else that a process put on the time axis; instants are monotonic ns."""

    process: str
    name: str
    time_ns: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """Where a client may send from that instant on: broker names with a master and queues that may be written."""

    process: str
    time_ns: int
    brokers: frozenset[str]


@dataclass(frozen=True, slots=True)
class StepMark:
    """A named step of a procedure: when it began and ended, and whether it succeeded."""

    name: str
    start_ns: int
    end_ns: int | None
    ok: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """See the module's docstring for the tables. Built by `History.from_raw`."""

    sends: pl.DataFrame
    deliveries: pl.DataFrame
    reads: pl.DataFrame
    drains: pl.DataFrame
    windows: tuple[FaultWindow, ...] = ()
    observations: tuple[Observation, ...] = ()
    steps: tuple[StepMark, ...] = ()
    processes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    routes: tuple[RouteSeen, ...] = ()

    @classmethod
    def from_raw(cls, raw: pl.DataFrame) -> History:
        """Pairs, splits and types the lines of a run, whose columns are those of `RAW_SCHEMA`.

        Raises EvidenceError on lines that none of our workers wrote (see `tables.pack`).
        """
        return cls.from_packed(tables.pack(raw).lazy())

    @classmethod
    def from_packed(cls, packed: pl.LazyFrame) -> History:
        """Splits packed rows (`tables.PACKED_SCHEMA`); a scan of a file is read table by table, never whole."""
        few = packed.filter(pl.col("f").is_in([name.value for name in tables.FEW]))
        rows = few.select("f", "p", "id", "s", "t", "x").collect().sort("t", maintain_order=True).to_dicts()
        drains = tables.table(packed, OpName.DRAIN, tables.DRAINS)
        complete = (pl.col("outcome") == OpType.OK.value).alias("complete")
        return cls(
            sends=tables.table(packed, OpName.SEND, tables.SENDS).collect(),
            deliveries=tables.table(packed, OpName.DELIVER, tables.DELIVERIES).collect(),
            reads=tables.table(packed, OpName.READ, tables.READS).collect(),
            drains=drains.with_columns(complete).drop("outcome").collect(),
            windows=_windows(r for r in rows if r["f"] == OpName.FAULT.value),
            observations=tuple(
                Observation(r["s"], r["t"], _json(r["x"])) for r in rows if r["f"] == OpName.OBSERVE.value
            ),
            steps=_steps(r for r in rows if r["f"] == OpName.STEP.value),
            processes={r["p"]: _json(r["x"]) or {} for r in rows if r["f"] == OpName.HELLO.value},
            events=tuple(
                Event(r["p"], r["s"] or "", r["t"], _json(r["x"]) or {}) for r in rows if r["f"] == OpName.EVENT.value
            ),
            routes=tuple(
                RouteSeen(r["p"], r["t"], frozenset((_json(r["x"]) or {}).get("writable", ())))
                for r in rows
                if r["f"] == OpName.ROUTE.value
            ),
        )

    @classmethod
    def empty(cls) -> History:
        """A history in which nothing happened: every check of it must be inconclusive."""
        return cls.from_raw(pl.DataFrame(schema=RAW_SCHEMA))

    def observed(self, name: str) -> Any:
        """The last recorded value of observation `name` (dots reach into objects). Raises KeyError if never seen."""
        for observation in reversed(self.observations):
            if observation.name == name:
                return observation.value
            if name.startswith(observation.name + "."):
                return _reach(observation.value, name[len(observation.name) + 1 :].split("."), name)
        raise KeyError(name)

    def window(self, name: str) -> FaultWindow:
        """The last fault window of that name. Raises KeyError."""
        for window in reversed(self.windows):
            if window.name == name:
                return window
        raise KeyError(name)


def _reach(value: Any, parts: Iterable[str], name: str) -> Any:
    for part in parts:
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(name)
        value = value[part]
    return value


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _windows(rows: Iterable[Mapping[str, Any]]) -> tuple[FaultWindow, ...]:
    open_: dict[str, dict[str, Any]] = {}
    order: list[dict[str, Any]] = []
    for row in rows:
        x = _json(row["x"]) or {}
        name, action = row["id"], row["s"]
        if action == "inject":
            open_[name] = {
                "name": name,
                "fault": x.get("fault", name),
                "targets": tuple(x.get("targets", ())),
                "inject_ns": row["t"],
                "lasting": bool(x.get("lasting", False)),
                "detail": dict(x.get("detail", {})),
            }
            order.append(open_[name])
            continue
        if name not in open_:
            raise EvidenceError(f"history: fault {name!r} has {action!r} without an injection")
        key = {"observed": "observed_ns", "heal": "heal_ns", "recovered": "recovered_ns"}.get(action)
        if key is None:
            raise EvidenceError(f"history: unknown fault action {action!r}")
        open_[name][key] = x.get("at_ns", row["t"])
        open_[name]["detail"] |= x.get("detail", {})
    return tuple(FaultWindow(**w) for w in order)


def _steps(rows: Iterable[Mapping[str, Any]]) -> tuple[StepMark, ...]:
    began: dict[str, tuple[int, dict[str, Any]]] = {}
    marks: list[StepMark] = []
    for row in rows:
        name, x = row["id"], _json(row["x"]) or {}
        if row["s"] == "begin":
            began[name] = (row["t"], x)
        elif name in began:
            start, detail = began.pop(name)
            marks.append(StepMark(name, start, row["t"], row["s"] == "end", detail | x))
    marks += [StepMark(name, start, None, False, x) for name, (start, x) in began.items()]
    return tuple(sorted(marks, key=lambda mark: mark.start_ns))
