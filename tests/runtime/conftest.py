"""A cluster of machines per test, and what must be gone after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from harness.core.errors import CapabilityMissing
from harness.runtime.local import LocalRuntime


@pytest.fixture
def run_id() -> str:
    return f"test-{uuid4().hex[:12]}"


@pytest.fixture
def open_runtime(tmp_path: Path, run_id: str) -> Iterator[Callable[[], LocalRuntime]]:
    opened: list[LocalRuntime] = []

    def make() -> LocalRuntime:
        try:
            runtime = LocalRuntime.open(
                run_id=run_id, evidence=tmp_path / "evidence", work_dir=tmp_path / "work", state_dir=tmp_path / "state"
            )
        except CapabilityMissing as missing:
            pytest.skip(str(missing))
        opened.append(runtime)
        return runtime

    yield make
    for runtime in opened:
        runtime.close()


@pytest.fixture
def runtime(open_runtime: Callable[[], LocalRuntime]) -> LocalRuntime:
    return open_runtime()
