"""A machine whose disk stands still makes brokers late: that is not RocketMQ's doing, and the verdict says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runtime.loops import LOOP_CONTROL
from harness.waiting import pause_s
from tests.real.conftest import Start

pytestmark = pytest.mark.real

FREEZE, THAW = 0xC0045877, 0xC0045878
HELD_UP_S = 8.0
"""Above the five seconds that a broker waits for its flush before it answers FLUSH_DISK_TIMEOUT."""
HOLD_UP = f"""
import fcntl, os, sys, time
top = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(top, {FREEZE}, 0)
try:
    time.sleep({HELD_UP_S})
finally:
    fcntl.ioctl(top, {THAW}, 0)
"""


@pytest.fixture
def filesystem(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of its own, which can be held up without the machine's."""
    if os.geteuid() != 0 or not LOOP_CONTROL.exists():
        pytest.skip("a filesystem that can be held up needs root and loop devices")
    image, place = tmp_path / "image", tmp_path / "filesystem"
    with image.open("wb") as file:
        file.truncate(4 << 30)
    place.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("held_up", [True, False])
def test_what_a_disk_that_stands_still_does_is_laid_on_the_disk(start: Start, filesystem: Path, held_up: bool) -> None:
    run = start("--topology=1m", "--rocketmq=4.9.7", suite="tests/real/suite_flush.py", state=filesystem / "state")
    run.wait_text("held-up ...")
    if held_up:
        pause_s(3.0)
        # In a process that outlives this one: whatever ends the tests, nothing may wait for that disk for ever.
        subprocess.run([sys.executable, "-c", HOLD_UP, str(filesystem)], check=True, start_new_session=True)
    assert run.wait() == (6 if held_up else 0), run.text
    rows = json.loads((run.run_dir / "verdicts.json").read_text())["guarantees"]
    (row,) = (row for row in rows if row["scenarios"])
    assert row["verdict"] == ("inconclusive" if held_up else "held")
    if held_up:
        assert "the machine's disk stood still" in row["reason"], row["reason"]
    run.assert_nothing_runs()
    run.end()
    run.clean()
