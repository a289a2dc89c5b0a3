"""What is believed of a disk that is said to forget: only what a process in the node wrote and is then gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.runtime import probe
from harness.runtime.base import Process


class Machine:
    """`sees`: what a node's process writes is on the node's disk; `forgets`: it is gone after a power cut."""

    def __init__(self, *, sees: bool = True, forgets: bool = True) -> None:
        self.sees, self.forgets = sees, forgets
        self.nodes = {"power": SimpleNamespace(home="/rmq/power")}
        self.files: dict[str, int] = {}

    def write_file(self, _node: str, path: str, data: bytes) -> None:
        self.files[path] = len(data)

    def sync_disk(self, _node: str) -> None:
        pass

    def start(self, _node: str, process: Process) -> None:
        assert process.argv[0] == "sh"
        if self.sees:
            self.files["store/unsynced"] = 4

    def cut_power(self, _node: str) -> None:
        if self.forgets:
            self.files.pop("store/unsynced", None)

    def list_files(self, _node: str, _subdir: str) -> list[Any]:
        return [SimpleNamespace(path=path, size_bytes=size) for path, size in self.files.items()]

    def tail(self, _node: str) -> str:
        return ""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_WRITTEN_S", 0.1)


def tried(machine: Any) -> str | None:
    return probe._missing(lambda runtime: probe._try_power_cut("i", runtime), machine)


def test_a_disk_that_forgets_what_a_process_wrote_is_one() -> None:
    assert tried(Machine()) is None


def test_one_that_keeps_it_is_none() -> None:
    assert "store/unsynced" in str(tried(Machine(forgets=False)))


def test_one_that_the_node_s_process_does_not_write_to_is_none() -> None:
    assert "to be seen there" in str(tried(Machine(sees=False)))
