"""What an ordinary user meets, also where the tests run as root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def ordinary_user() -> Iterator[None]:
    """In the block this process may do what file permissions say. Imports must have been made before."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def read_only(top: Path) -> None:
    """As `chmod -R a-w` leaves it, and readable for everyone."""
    for path in (*top.rglob("*"), top):
        path.chmod(0o555 if path.is_dir() else 0o444)


def writable(top: Path) -> None:
    """As its owner: may be deleted again."""
    for path in (top, *(Path(directory) for directory, _names, _files in os.walk(top))):
        path.chmod(0o755)
