"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from harness.core.errors import EvidenceError, UsageError

SCHEMA: Final = 1


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file beside `path`, then puts it in its place. Raises EvidenceError if the disk refuses."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as error:
        _drop(part)
        raise EvidenceError(
            f"{path} could not be written ({error.strerror or error}): {remedy_for(error, path.parent)}"
        ) from error
    except BaseException:
        _drop(part)
        raise


def _drop(part: Path) -> None:
    with suppress(OSError):  # a read-only file system refuses it although there is nothing
        part.unlink()


def remedy_for(error: OSError, directory: Path) -> str:
    """What to do about a refusal to write in a directory, by its reason; for the end of a message."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"make {directory} writable for this user, or use another place (--reports, or a copy of a stored run)"
    if error.errno == errno.EROFS:
        return f"{directory} is read-only: use another place (--reports, or a copy of a stored run)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free space and run again"
    return f"see what is wrong with {directory}, or use another place (--reports, or a copy of a stored run)"


def refuse_unwritable(directory: Path, option: str) -> None:
    """Raises UsageError, naming the option, for what is no directory, or one that this user cannot make or write to.

    Makes nothing. For a look before hours of work: what else refuses a file is told when it does.
    """
    # Path.exists raises where a directory above may not be looked into; that is for the place above to say.
    there = next(place for place in (directory, *directory.absolute().parents) if os.path.exists(place))  # noqa: PTH110
    if not there.is_dir():
        raise UsageError(f"{there} is not a directory: name another one with {option}")
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        raise UsageError(f"{there} is not writable for this user: name another directory with {option}")


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
