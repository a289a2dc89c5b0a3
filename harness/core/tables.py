"""From recorded lines to tables: pairing, numbering of messages, and the packed form that is kept on disk.

*Raw* is one row per line. *Packed* is one row per operation (a send's invoke and completion are one), grouped by what
the operation is, with a number per message id, so that checkers join on integers instead of strings.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from harness.core.errors import EvidenceError
from harness.core.op import SCHEMA, OpName, OpType

RAW_SCHEMA: Final = pl.Schema({"p": pl.String(), **SCHEMA})

_WORDS: Final = ("f", "y", "p", "tp", "b", "r", "s", "a")
PACKED_SCHEMA: Final = pl.Schema(
    {
        **{name: pl.Categorical() if name in _WORDS else dtype for name, dtype in RAW_SCHEMA.items()},
        "m": pl.UInt32(),  # number of the message id; null where the id is of no send of this history
        "t0": pl.Int64(),  # invoke instant of a send, whose `t` is its completion
        "n": pl.UInt32(),  # how often a send completed
    }
)
"""Columns of the packed form: those of a line, words as categories, and `m`, `t0`, `n`."""

FEW: Final = (OpName.FAULT, OpName.OBSERVE, OpName.STEP, OpName.HELLO, OpName.ROUTE, OpName.EVENT)
_RANK: Final = {OpType.OK.value: 0, OpType.INFO.value: 1, OpType.FAIL.value: 2}

SENDS: Final = {
    "m": "m",
    "id": "id",
    "process": "p",
    "call": "c",
    "topic": "tp",
    "invoke_ns": "t0",
    "complete_ns": "t",
    "outcome": "y",
    "status": "s",
    "code": "k",
    "error": "e",
    "broker": "b",
    "queue": "q",
    "offset": "o",
    "completions": "n",
}
DELIVERIES: Final = {
    "m": "m",
    "process": "p",
    "group": "r",
    "id": "id",
    "topic": "tp",
    "broker": "b",
    "queue": "q",
    "offset": "o",
    "time_ns": "t",
    "reconsume": "k",
    "status": "s",
    "altered": "a",
}
READS: Final = {
    "m": "m",
    "phase": "s",
    "replica": "r",
    "broker": "b",
    "topic": "tp",
    "queue": "q",
    "offset": "o",
    "id": "id",
    "digest": "e",
    "time_ns": "t",
    "altered": "a",
}
DRAINS: Final = {
    "phase": "s",
    "replica": "r",
    "broker": "b",
    "topic": "tp",
    "queue": "q",
    "outcome": "y",
    "count": "k",
    "detail": "e",
    "time_ns": "t",
    "content": "a",
}


def pack(raw: pl.DataFrame) -> pl.DataFrame:
    """Pairs and numbers the lines of a run.

    Raises EvidenceError on a completion without its invoke, on a call number that two sends of one process share, and
    on a line without an instant: such a history was not written by one of our workers.
    """
    if raw.get_column("t").null_count() or raw.get_column("f").null_count():
        raise EvidenceError("history: a line has no f or no t; it was not written by one of our workers")
    sends = pair_sends(raw.filter(pl.col("f") == OpName.SEND.value))
    numbered = _number(sends)
    known = numbered.select("id", "m").unique("id", keep="first")
    parts = [_packed(numbered)]
    for name in (OpName.DELIVER, OpName.READ):
        rows = raw.filter(pl.col("f") == name.value)
        parts.append(_packed(rows.join(known, on="id", how="left", maintain_order="left")))
    rest = raw.filter(~pl.col("f").is_in([OpName.SEND.value, OpName.DELIVER.value, OpName.READ.value]))
    return pl.concat([*parts, _packed(rest)])


def pair_sends(lines: pl.DataFrame) -> pl.DataFrame:
    """Joins each send's invoke with its completion, by process and call number: one raw row, with `t0` and `n`.

    A send that completed more than once has n > 1 and counts as the strongest of what was said: an acknowledgement
    is not taken back by what follows it. One that never completed has n = 0, outcome info and `t` null.
    """
    key = ["p", "c"]
    invoked = lines.filter(pl.col("y") == OpType.INVOKE.value)
    done = lines.filter(pl.col("y") != OpType.INVOKE.value)
    if invoked.select(key).is_duplicated().any():
        raise EvidenceError("history: one call number was used twice by one process; the history is not ours")
    if done.join(invoked, on=key, how="anti", nulls_equal=True).height:
        raise EvidenceError("history: a send completed that was never invoked; lines are missing")
    if done.select(key).is_duplicated().any():
        done = _strongest(done, key)
    else:
        done = done.with_columns(n=pl.lit(1, pl.UInt32()))
    joined = invoked.select("p", "f", "c", "id", "tp", t0="t").join(
        done.select("p", "c", "y", "t", "s", "k", "e", "b", "q", "o", "r", "x", "n"),
        on=key,
        how="left",
        maintain_order="left",
        nulls_equal=True,
    )
    return joined.with_columns(pl.col("y").fill_null(OpType.INFO.value), pl.col("n").fill_null(0))


def table(packed: pl.LazyFrame, name: OpName, columns: dict[str, str]) -> pl.LazyFrame:
    """The rows of one kind under the names that checkers use."""
    return packed.filter(pl.col("f") == name.value).select(**{new: pl.col(old) for new, old in columns.items()})


def _strongest(done: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    rank = pl.col("y").replace_strict(_RANK, return_dtype=pl.Int8, default=3)
    return (
        done.with_columns(n=pl.len().over(key).cast(pl.UInt32))
        .sort([rank, pl.col("t")], maintain_order=True)
        .unique(key, keep="first")
    )


def _number(sends: pl.DataFrame) -> pl.DataFrame:
    """Numbers ids from 0; sends that share an id share its number."""
    numbered = sends.with_row_index("m")
    if not sends.height or not sends.get_column("id").is_duplicated().any():
        return numbered
    first = numbered.select("id", "m").unique("id", keep="first", maintain_order=True)
    return sends.join(first, on="id", how="left", maintain_order="left")


def _packed(rows: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in PACKED_SCHEMA.items() if name not in rows.columns]
    return rows.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in PACKED_SCHEMA.items())
