"""The words and keys of a recorded line, without the columns they become: all that a worker needs to write one.

Imports nothing but the standard library, for a worker must start fast.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final


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


KEYS: Final = ("f", "y", "t", "c", "id", "tp", "b", "r", "q", "o", "s", "k", "e", "a", "x")
"""The keys a line may have: the columns of `harness.core.op.SCHEMA`, which says what each means."""


def line(f: OpName, y: OpType, time_ns: int, **fields: Any) -> dict[str, Any]:
    """One record, with only the keys that have a value. Raises KeyError on a key that is no column."""
    record: dict[str, Any] = {"f": f.value, "y": y.value, "t": time_ns}
    for key, value in fields.items():
        if key not in KEYS:
            raise KeyError(key)
        if value is not None:
            record[key] = value
    return record
