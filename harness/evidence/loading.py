"""The recorded lines of a scenario as a History: read once, packed as Parquet, packed again if a line is new."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import polars as pl

from harness.core.errors import EvidenceError
from harness.core.history import History
from harness.core.op import SCHEMA, OpName, OpType
from harness.core.tables import PACKED_SCHEMA, RAW_SCHEMA, pack
from harness.evidence.files import write_atomically

PACKED: Final = "history.parquet"
LINES: Final = "history"
_FINGERPRINT: Final = "rmq-harness.files"
_FORMAT: Final = "3"
_ROWS_PER_GROUP: Final = 250_000


def load_history(scenario_dir: Path, *, from_lines: bool = False) -> History:
    """The history of one scenario directory.

    Reads `history.parquet` if it was made from exactly the files of `history/`, else makes it anew; where it cannot
    be written, the lines alone do. With `from_lines` nothing packed is believed, and nothing written. A directory
    without lines gives an empty history, which every judge must call inconclusive. Raises EvidenceError naming file
    and line for a line that cannot be read; only the last line of a file may be torn (its process was killed while
    writing), which `History.processes[process]["torn_lines"]` then counts.
    """
    files = sorted((scenario_dir / LINES).glob("*.jsonl"))
    packed = scenario_dir / PACKED
    fingerprint = _fingerprint(files)
    if not from_lines and _made_from(packed) == fingerprint:
        return read_packed(packed)
    if not files and packed.exists():
        raise EvidenceError(f"{packed} is there but {LINES}/ is not: the lines are the evidence; restore them")
    frame = pack(read_lines(files))
    if not from_lines and _stored(frame, packed, fingerprint):
        del frame  # a table at a time is read back, never the whole
        return read_packed(packed)
    return History.from_packed(frame.lazy())


def _stored(frame: pl.DataFrame, packed: Path, fingerprint: str) -> bool:
    """Whether the packed copy could be written. It is for speed alone: an archive may be read-only."""
    metadata = {_FINGERPRINT: fingerprint}
    try:
        write_atomically(
            packed,
            lambda path: frame.write_parquet(
                path, row_group_size=_ROWS_PER_GROUP, metadata=metadata, compression="lz4"
            ),
        )
    except EvidenceError:
        return False
    return True


def read_packed(path: Path) -> History:
    """A history from its packed file. Raises EvidenceError if it cannot be read; delete it, and it is made anew."""
    try:
        scan = pl.scan_parquet(path)
        if dict(scan.collect_schema()) != dict(PACKED_SCHEMA):
            raise EvidenceError(f"{path} has other columns than this version packs; delete it, it is made anew")
        return History.from_packed(scan)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise EvidenceError(f"{path} is unreadable: {error}; delete it, it is made anew") from error


def read_lines(files: Iterable[Path]) -> pl.DataFrame:
    """Every line of these files, with the process (the file's name) as `p`. Raises EvidenceError as `load_history`."""
    frames = [_read(path) for path in files]
    return pl.concat([pl.DataFrame(schema=RAW_SCHEMA), *frames])


def _read(path: Path) -> pl.DataFrame:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read ({error.strerror}): make it readable for this user") from error
    end = data.rfind(b"\n") + 1
    torn = int(end < len(data))
    if torn and _whole(data[end:]):
        # Killed between the closing brace and the line feed: nothing of it is missing.
        end, torn = len(data), 0
    try:
        rows = pl.read_ndjson(io.BytesIO(data[:end]), schema=SCHEMA) if end else pl.DataFrame(schema=SCHEMA)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _bad_line(path, data[:end], str(error)) from None
    if rows.height != _count(data[:end]) or rows.get_column("f").null_count() or rows.get_column("t").null_count():
        raise _bad_line(path, data[:end], "it has no f or no t, or is empty")
    if torn:
        rows = _mark_torn(rows, torn)
    return rows.select(pl.lit(path.stem).alias("p"), *SCHEMA)


def _count(data: bytes) -> int:
    return data.count(b"\n") + int(not data.endswith(b"\n") and bool(data))


def _whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _bad_line(path: Path, data: bytes, reason: str) -> EvidenceError:
    """Names the first line that is at fault; slow, for it happens once."""
    for number, line in enumerate(data.splitlines(), start=1):
        why = _fault_of(line)
        if why is not None:
            return EvidenceError(f"{path} line {number} is unreadable: {why}; the history cannot be judged")
    return EvidenceError(f"{path} is unreadable: {reason}; the history cannot be judged")


def _fault_of(line: bytes) -> str | None:
    try:
        record = json.loads(line)
    except ValueError as error:
        return f"it is not JSON ({error})"
    if not isinstance(record, dict):
        return "it is not an object"
    if record.get("f") is None or not isinstance(record.get("t"), int):
        return "it has no f or no t"
    try:
        pl.DataFrame([record], schema=SCHEMA, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        return str(error).splitlines()[0]
    return None


def _mark_torn(rows: pl.DataFrame, torn: int) -> pl.DataFrame:
    """Counts the torn line in the process's first line, where everything else about the process is."""
    about: dict[str, Any] = {"torn_lines": torn}
    hello = rows.with_row_index("_row").filter(pl.col("f") == OpName.HELLO.value).head(1)
    if hello.height:
        known = json.loads(hello.get_column("x")[0] or "{}")
        row = hello.get_column("_row")[0]
        text = pl.lit(json.dumps(known | about))
        at_hello = pl.int_range(pl.len()) == row
        return rows.with_columns(x=pl.when(at_hello).then(text).otherwise(pl.col("x")))
    first = rows.get_column("t").min() if rows.height else 0
    record = {"f": OpName.HELLO.value, "y": OpType.INFO.value, "t": first, "x": json.dumps(about)}
    return pl.concat([rows, pl.DataFrame([record], schema=SCHEMA)])


def _fingerprint(files: Iterable[Path]) -> str:
    stats = [(path.name, path.stat()) for path in files]
    return json.dumps([_FORMAT, *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)])


def _made_from(packed: Path) -> str | None:
    try:
        return pl.read_parquet_metadata(packed).get(_FINGERPRINT)
    except (pl.exceptions.PolarsError, OSError):
        return None
