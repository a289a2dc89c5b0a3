"""What is recorded: one JSON object per line, and the columns those lines become.

Every process of a run (a producer, a consumer, the oracle, the nemesis) appends to a file of its own,
`history/<process>.jsonl`. Instants are CLOCK_MONOTONIC nanoseconds, comparable between all processes of one machine.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from harness.core.line import OpName, OpType, line

__all__ = ["SCHEMA", "OpName", "OpType", "line"]

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
    "s": pl.String(),  # status as the client names it; phase label of a read or drain; fault action; `refused`
    "k": pl.Int32(),  # response code; reconsume times of a delivery; READ lines that a drain stands for
    "e": pl.String(),  # error text; digest of a read
    "a": pl.String(),  # in what a read or delivered message differs from what was sent; of a drain: `compared`
    "x": pl.String(),  # anything else, as JSON text
}
"""Columns of a line. Absent keys are null. `p` (the process) is added from the file's name."""
