"""From the workers' lines to a history: JSON lines are the source, Parquet is what checkers read."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from harness.core.errors import EvidenceError
from harness.core.history import RAW_SCHEMA, History
from harness.core.op import SCHEMA

PARQUET = "history.parquet"


def load_history(scenario: Path) -> History:
    """The history of a scenario directory, converted to Parquet if that is not there or older than its source.

    A last line without its line feed (its writer was killed) is dropped; any other unreadable line raises
    EvidenceError naming file and line, and so does a directory without any history.
    """
    sources = sorted((scenario / "history").glob("*.jsonl"))
    if not sources:
        raise EvidenceError(f"{scenario.name} has no history; nothing can be judged")
    parquet = scenario / PARQUET
    newest = max(path.stat().st_mtime_ns for path in sources)
    if not parquet.exists() or parquet.stat().st_mtime_ns <= newest:
        raw = pl.concat([_read(path) for path in sources])
        scratch = scenario / f".{PARQUET}"
        raw.write_parquet(scratch)
        scratch.replace(parquet)
    return History.from_raw(pl.read_parquet(parquet))


def _read(path: Path) -> pl.DataFrame:
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        return pl.DataFrame(schema=RAW_SCHEMA)
    try:
        frame = pl.read_ndjson(whole, schema=SCHEMA)
    except pl.exceptions.PolarsError as error:
        raise EvidenceError(f"{path.name}, line {_bad_line(whole)}: unreadable ({error})") from None
    return frame.select(pl.lit(path.stem).alias("p"), *SCHEMA)


def _bad_line(data: bytes) -> str:
    for number, text in enumerate(data.splitlines(), 1):
        try:
            if not isinstance(json.loads(text), dict):
                return str(number)
        except ValueError:
            return str(number)
    return "unknown"
