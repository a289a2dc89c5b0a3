"""What the tests of every client share."""

from __future__ import annotations

import pytest

from harness.clients.handle import Worker
from harness.clients.spawn import PlainSpawner


@pytest.fixture
def start(tmp_path):
    """Starts a worker with a configuration, and returns it; all of them end with the test."""
    spawner, made = PlainSpawner(tmp_path), []

    def start_one(config):
        worker = Worker(spawner, config.process, tmp_path / "history" / f"{config.process}.jsonl")
        made.append(worker)
        worker.configure(config)
        return worker

    yield start_one
    for worker in made:
        worker.close()
