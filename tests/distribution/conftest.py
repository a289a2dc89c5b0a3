"""A small lock and a registry that never leaves the machine."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from harness.core.errors import SetupError
from harness.core.version import Version
from harness.distribution.locks import Artifact, Lock

CONTENT = {name: f"jar {name}".encode() * 50 for name in ("alpha", "beta", "gamma")}


def artifact(name: str) -> Artifact:
    data = CONTENT[name]
    return Artifact("org.example", name, "1.0", hashlib.sha256(data).hexdigest(), len(data))


class FakeRegistry:
    """Serves CONTENT; `absent` and `altered` name what it lacks or falsifies; `served` counts."""

    def __init__(self) -> None:
        self.absent: set[str] = set()
        self.altered: set[str] = set()
        self.served: list[str] = []
        self._guard = threading.Lock()

    def __call__(self, wanted: Artifact, scratch: Path) -> Path:
        if wanted.artifact in self.absent:
            raise SetupError(f"{wanted.coordinate} is missing from the package registry")
        data = b"altered" if wanted.artifact in self.altered else CONTENT[wanted.artifact]
        with self._guard:
            self.served.append(wanted.artifact)
        file = scratch / wanted.filename
        file.write_bytes(data)
        return file


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def lock() -> Lock:
    return Lock("rocketmq", Version(9, 9, 9), tuple(artifact(name) for name in ("gamma", "alpha", "beta")))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
