"""The witness of the machine's disk: silent while it gets on, and precise when it does not."""

import time
from pathlib import Path

import pytest

from harness.runtime import pulse
from harness.runtime.pulse import DiskPulse
from harness.waiting import pause_s, wait_for


class Syncs:
    """Stands in for fsync: each takes `takes_s`, or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes_s: float = 0.0, fails: bool = False) -> None:
        self.count = 0
        self._takes_s, self._fails = takes_s, fails
        monkeypatch.setattr(pulse.os, "fsync", self._sync)

    def _sync(self, _fd: int) -> None:
        pause_s(self._takes_s)
        self.count += 1
        if self._fails:
            raise OSError(28, "No space left on device")


def beats(directory: Path, syncs: Syncs, told: list[tuple[int, int]], slow_s: float = 0.1) -> None:
    heart = DiskPulse(directory, lambda *span: told.append(span), beat_s=0.01, slow_s=slow_s)
    wait_for(lambda: syncs.count >= 3, what="three beats", timeout_s=10)
    heart.close()


def test_a_disk_that_gets_on_says_nothing(tmp_path, monkeypatch):
    told: list[tuple[int, int]] = []
    beats(tmp_path, Syncs(monkeypatch), told, slow_s=20)
    assert told == []


def test_a_slow_sync_is_told_with_both_its_ends(tmp_path, monkeypatch):
    told: list[tuple[int, int]] = []
    began_ns = time.monotonic_ns()
    beats(tmp_path, Syncs(monkeypatch, takes_s=0.15), told)
    assert len(told) >= 3
    assert began_ns <= told[0][0] < told[0][1] <= told[1][0] < time.monotonic_ns()
    assert all(end - begin >= 0.15e9 for begin, end in told)


@pytest.mark.parametrize(("takes_s", "stalls"), [(0.0, False), (0.15, True)])
def test_a_disk_that_takes_nothing_is_not_slow_for_that(tmp_path, monkeypatch, takes_s, stalls):
    told: list[tuple[int, int]] = []
    beats(tmp_path, Syncs(monkeypatch, takes_s=takes_s, fails=True), told)
    assert bool(told) is stalls


def test_a_directory_that_goes_away_ends_nothing(tmp_path, monkeypatch):
    told: list[tuple[int, int]] = []
    heart = DiskPulse(tmp_path / "gone", lambda *span: told.append(span), beat_s=0.01)
    pause_s(0.1)
    heart.close()
    assert told == []
    assert not list(tmp_path.iterdir())
