"""The nodes' directories as the holder sees them, and everything that is done to files below them."""

from __future__ import annotations

import os
import time
from pathlib import Path, PurePosixPath

from harness.core.errors import SetupError, UsageError
from harness.runtime.base import FileEntry
from harness.runtime.namespaces import bind, unmount

RMQ = Path("/rmq")


def home(node: str) -> Path:
    """A node's directory."""
    return RMQ / node


def make_home(node: str, evidence: Path, store: Path) -> None:
    """`conf` and `logs` show the evidence, `store` the work directory; the rest of the home is in memory."""
    for part, source in (("conf", evidence / "conf"), ("logs", evidence / "logs"), ("store", store)):
        source.mkdir(parents=True, exist_ok=True)
        target = home(node) / part
        target.mkdir(parents=True, exist_ok=True)
        bind(source, target)


def drop_home(node: str) -> None:
    """Takes the directories away; what lies behind `conf` and `logs` stays."""
    for part in ("conf", "logs", "store"):
        unmount(str(home(node) / part))


def provide(source: Path, name: str) -> str:
    """Shows a directory of the machine at `/rmq/.lib/NAME`, the same in every run, and returns that. Idempotent.

    A second directory of that name (two candidates unpacked into directories of one name) is shown at `NAME-2`, and so
    on: what is shown is always `source` itself.
    """
    if not source.is_dir():
        raise SetupError(f"{source} is no directory: nodes cannot be given it")
    target, number = RMQ / ".lib" / name, 1
    while target.exists():
        if target.samefile(source):
            return str(target)
        number += 1
        target = target.with_name(f"{name}-{number}")
    target.mkdir(parents=True)
    bind(source, target)
    return str(target)


def below(node: str, path: str) -> Path:
    """A path below a node's home. Raises `UsageError` if it leads out of it."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise UsageError(f"{path!r} leads out of node {node!r}: give a path relative to its home")
    return home(node) / pure


def open_file(node: str, path: str, *, write: bool, whole: bool = True) -> int:
    """A descriptor of a file, created anew with its directories if it is to be written."""
    target = below(node, path)
    try:
        if not write:
            return os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        if not whole:
            return os.open(target, os.O_WRONLY | os.O_CLOEXEC)
        target.parent.mkdir(parents=True, exist_ok=True)
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SetupError(f"node {node!r}: {path!r} cannot be opened: {error.strerror}") from None


def list_files(node: str, subdir: str) -> list[FileEntry]:
    """Every regular file below a directory, by path."""
    top, found = below(node, subdir), []
    for directory, _names, files in os.walk(top):
        for name in files:
            path = Path(directory, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            relative = str(path.relative_to(home(node)))
            found.append(FileEntry(relative, status.st_size, status.st_mtime_ns))
    return sorted(found, key=lambda entry: entry.path)


def set_mtime(node: str, pattern: str, age_s: float) -> int:
    """Ages the files that match, directories not; returns their number."""
    below(node, pattern)
    then_ns = time.time_ns() - int(age_s * 1e9)
    matches = [path for path in home(node).glob(pattern) if path.is_file()]
    for path in matches:
        os.utime(path, ns=(then_ns, then_ns))
    return len(matches)


def empty(node: str) -> None:
    """Deletes everything below the store, not the store itself."""
    for directory, names, files in os.walk(home(node) / "store", topdown=False):
        for name in files:
            Path(directory, name).unlink()
        for name in names:
            path = Path(directory, name)
            path.unlink() if path.is_symlink() else path.rmdir()
