"""When a disk is nobody's any more, so that it may be mounted anew."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.runtime import disks
from harness.runtime.disks import Disks

DEVICE = Path("/dev/loop5")


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    backing = tmp_path / "loop5/loop/backing_file"
    backing.parent.mkdir(parents=True)
    backing.touch()
    monkeypatch.setattr(disks, "SYS_BLOCK", tmp_path)
    made: Any = Disks.__new__(Disks)
    made._loop_mark, made._attached = "mine", {"a": SimpleNamespace(device=str(DEVICE))}
    return SimpleNamespace(disks=made, backing=backing)


@pytest.mark.parametrize(("name", "released"), [("mine", False), ("another cluster's", True)])
def test_a_loop_device_that_another_cluster_took_is_ours_no_more(
    held: Any, monkeypatch: pytest.MonkeyPatch, name: str, released: bool
) -> None:
    monkeypatch.setattr(disks, "loop_name", lambda device: {DEVICE: name}[device])
    assert held.disks.released("a") is released


def test_one_of_which_nothing_can_be_told_may_still_be_ours_and_one_that_is_free_is_not(
    held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_device: Path) -> str:
        raise OSError("no such device")

    monkeypatch.setattr(disks, "loop_name", unknown)
    assert held.disks.released("a") is False
    held.backing.unlink()
    assert held.disks.released("a") is True
