"""The history of one scenario: columnar, immutable, the only input of every checker.

Tables (polars DataFrames; null where a value does not apply):

* `sends`: id, process, call, topic, invoke_ns, complete_ns, outcome (ok|fail|info), status, code, error, broker, queue,
  offset. An invoke that never completed has outcome info and complete_ns null.
* `deliveries`: process, group, id, topic, broker, queue, offset, time_ns, reconsume.
* `reads`: phase, replica, broker, topic, queue, offset, id, digest, time_ns. Message by message as the oracle read them;
  one queue offset may occur twice.
* `drains`: phase, replica, broker, topic, queue, complete, count, detail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from harness.core.errors import EvidenceError
from harness.core.op import SCHEMA, OpName, OpType
from harness.core.window import FaultWindow

RAW_SCHEMA = pl.Schema({"p": pl.String(), **SCHEMA})


@dataclass(frozen=True, slots=True)
class Observation:
    """Something a step saw and recorded by name; `value` is any JSON value, instants are monotonic ns."""

    name: str
    time_ns: int
    value: Any


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

    @classmethod
    def from_raw(cls, raw: pl.DataFrame) -> History:
        """Pairs, splits and types the lines of a run.

        `raw` has the columns of `RAW_SCHEMA`. Raises EvidenceError on a completion without its invoke or an invoke
        that completed twice: such a history was not written by one of our workers.
        """
        few = raw.filter(pl.col("f").is_in([OpName.FAULT, OpName.OBSERVE, OpName.STEP, OpName.HELLO]))
        rows = few.sort("t").to_dicts()
        return cls(
            sends=pair_sends(raw.filter(pl.col("f") == OpName.SEND.value)),
            deliveries=raw.filter(pl.col("f") == OpName.DELIVER.value).select(
                process="p",
                group="r",
                id="id",
                topic="tp",
                broker="b",
                queue="q",
                offset="o",
                time_ns="t",
                reconsume="k",
            ),
            reads=raw.filter(pl.col("f") == OpName.READ.value).select(
                phase="s",
                replica="r",
                broker="b",
                topic="tp",
                queue="q",
                offset="o",
                id="id",
                digest="e",
                time_ns="t",
            ),
            drains=raw.filter(pl.col("f") == OpName.DRAIN.value).select(
                pl.col("s").alias("phase"),
                pl.col("r").alias("replica"),
                pl.col("b").alias("broker"),
                pl.col("tp").alias("topic"),
                pl.col("q").alias("queue"),
                (pl.col("y") == OpType.OK.value).alias("complete"),
                pl.col("k").alias("count"),
                pl.col("e").alias("detail"),
                pl.col("t").alias("time_ns"),
            ),
            windows=_windows(r for r in rows if r["f"] == OpName.FAULT.value),
            observations=tuple(
                Observation(r["s"], r["t"], _json(r["x"])) for r in rows if r["f"] == OpName.OBSERVE.value
            ),
            steps=_steps(r for r in rows if r["f"] == OpName.STEP.value),
            processes={r["p"]: _json(r["x"]) or {} for r in rows if r["f"] == OpName.HELLO.value},
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
                value = observation.value
                for part in name[len(observation.name) + 1 :].split("."):
                    value = value[part]
                return value
        raise KeyError(name)

    def window(self, name: str) -> FaultWindow:
        """The last fault window of that name. Raises KeyError."""
        for window in reversed(self.windows):
            if window.name == name:
                return window
        raise KeyError(name)


def pair_sends(lines: pl.DataFrame) -> pl.DataFrame:
    """Joins each send's invoke with its completion, by process and call number."""
    key = ["p", "c"]
    invokes = lines.filter(pl.col("y") == OpType.INVOKE.value).select(
        "p", "c", "id", "tp", pl.col("t").alias("invoke_ns")
    )
    done = lines.filter(pl.col("y") != OpType.INVOKE.value).select(
        "p", "c", "y", "s", "k", "e", "b", "q", "o", pl.col("t").alias("complete_ns")
    )
    if invokes.select(key).is_duplicated().any() or done.select(key).is_duplicated().any():
        raise EvidenceError("history: one call number was used twice by one process; the history is not ours")
    if done.join(invokes, on=key, how="anti").height:
        raise EvidenceError("history: a send completed that was never invoked; lines are missing")
    joined = invokes.join(done, on=key, how="left")
    return joined.select(
        id="id",
        process="p",
        call="c",
        topic="tp",
        invoke_ns="invoke_ns",
        complete_ns="complete_ns",
        outcome=pl.col("y").fill_null(OpType.INFO.value),
        status="s",
        code="k",
        error="e",
        broker="b",
        queue="q",
        offset="o",
    )


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
