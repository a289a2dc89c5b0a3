"""What is recorded: one JSON object per line, and the columns those lines become.

Every process of a run (a producer, a consumer, the oracle, the nemesis) appends to a file of its own,
`history/<process>.jsonl`. Instants are CLOCK_MONOTONIC nanoseconds, comparable between all processes of one machine.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import polars as pl


class OpType(StrEnum):
    """How an operation stands: asked for, surely done, surely not done, or unknown."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class OpName(StrEnum):
    """What an operation is (the `f` of a line)."""

    HELLO = "hello"  # first line of a process: wall clock, client, versions
    SEND = "send"  # invoke, then ok | fail | info with the same call number
    DELIVER = "deliver"  # a lone ok: a consumer's listener was given a message
    READ = "read"  # a lone ok: the oracle read this stored message from this replica
    DRAIN = "drain"  # the oracle finished (ok) or could not finish (fail) one queue of one replica
    FAULT = "fault"  # info: inject, observed, heal, recovered
    STEP = "step"  # info: a named step of a procedure began or ended
    OBSERVE = "observe"  # info: a named observation with a JSON value
    ROUTE = "route"  # info: a client or the oracle saw a route change
    EVENT = "event"  # info: anything else worth a line on the time axis


SCHEMA: Final[dict[str, pl.DataType]] = {
    "f": pl.String(),  # OpName
    "y": pl.String(),  # OpType
    "t": pl.Int64(),  # instant, ns
    "c": pl.Int64(),  # call number within the process: pairs an invoke with its completion
    "id": pl.String(),  # our own message id, unique in the run: "<process>-<n>"
    "tp": pl.String(),  # topic
    "b": pl.String(),  # broker name
    "r": pl.String(),  # replica (node name) that was read; consumer group for a delivery
    "q": pl.Int32(),  # queue id
    "o": pl.Int64(),  # queue offset
    "s": pl.String(),  # status as the client names it; phase label of a read or drain; fault action
    "k": pl.Int32(),  # response code; reconsume times of a delivery; messages read of a drain
    "e": pl.String(),  # error text; digest of a read
    "x": pl.String(),  # anything else, as JSON text
}
"""Columns of a line. Absent keys are null. `p` (the process) is added from the file's name."""


def line(f: OpName, y: OpType, time_ns: int, **fields: Any) -> dict[str, Any]:
    """One record, with only the keys that have a value. Raises KeyError on a key that is no column."""
    record: dict[str, Any] = {"f": f.value, "y": y.value, "t": time_ns}
    for key, value in fields.items():
        if key not in SCHEMA:
            raise KeyError(key)
        if value is not None:
            record[key] = value
    return record
