"""Fixtures for every room."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unprivileged import writable


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter: pytest's own belongs to one alone."""
    made = Path(tempfile.mkdtemp(prefix="rmq-test-"))
    made.chmod(0o755)
    yield made
    writable(made)
    shutil.rmtree(made)
