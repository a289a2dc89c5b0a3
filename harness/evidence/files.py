"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from harness.core.errors import EvidenceError

SCHEMA: Final = 1


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file beside `path`, then puts it in its place. Raises EvidenceError if the disk refuses."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EvidenceError(f"{path} could not be written: {error}; free space and run again") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Puts text in place of what was there."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Puts a JSON document in place of what was there. A number that is not finite becomes null."""
    write_text(path, json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, *, schema: int | None = None) -> dict[str, Any]:
    """A JSON object, of this schema if one is given. Raises EvidenceError naming the file and what is wrong with it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}; is it a run directory?") from error
    except ValueError as error:
        raise EvidenceError(f"{path} is not JSON: {error}; restore the file") from error
    if not isinstance(value, dict):
        raise EvidenceError(f"{path} holds no JSON object; restore the file")
    if schema is not None and value.get("schema") != schema:
        raise EvidenceError(f"{path} has schema {value.get('schema')!r}; this version reads {schema}")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value
