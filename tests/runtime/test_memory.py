"""What a disk that forgets keeps, without any mount: the two trees and the journal between them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.runtime.forgetful import wire
from harness.runtime.forgetful.memory import COMMIT_S, EXPIRE_S, Inode, Memory, restore


class Disk:
    """Changes the live tree and says so, as the server does."""

    def __init__(self, base: Path) -> None:
        self.now = 100.0
        self.live, self.kept = base / "live", base / "kept"
        self.live.mkdir()
        self.kept.mkdir()
        self.memory = Memory(self.live, self.kept, lambda: self.now)
        self.inodes: dict[str, Inode] = {}

    def make(self, name: str) -> Inode:
        (self.live / name).touch()
        self.memory.made(name, 0o644)
        fd = os.open(self.live / name, os.O_PATH)
        self.inodes[name] = Inode(len(self.inodes) + 2, fd)
        return self.inodes[name]

    def write(self, name: str, text: bytes, at: int = 0, *, from_cache: bool = False) -> None:
        with (self.live / name).open("r+b") as file:
            file.seek(at)
            file.write(text)
        self.memory.wrote(self.inodes[name], at, len(text), from_cache=from_cache)

    def rename(self, old: str, new: str) -> None:
        replaces = (self.live / new).exists()
        (self.live / old).rename(self.live / new)
        self.inodes[new] = self.inodes.pop(old)
        self.memory.renamed(old, new, self.inodes[new], replaces=replaces)

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.memory.tick(list(self.inodes.values()))

    def left(self) -> dict[str, bytes]:
        restore(self.live, self.kept)
        return {p.relative_to(self.live).as_posix(): p.read_bytes() for p in self.live.rglob("*") if p.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_what_nobody_synced_is_gone(disk: Disk):
    disk.make("a")
    disk.write("a", b"text")
    assert disk.left() == {}


def test_a_sync_keeps_all_names_and_the_data_of_one_file(disk: Disk):
    for name in ("a", "b"):
        disk.make(name)
        disk.write(name, name.encode() * 4)
    disk.memory.sync([disk.inodes["a"]])
    assert disk.left() == {"a": b"aaaa", "b": b""}


def test_what_was_written_after_the_sync_is_gone(disk: Disk):
    disk.make("a")
    disk.write("a", b"12345678")
    disk.memory.sync([disk.inodes["a"]])
    disk.write("a", b"XX", at=2)
    disk.write("a", b"9", at=8)
    assert disk.left() == {"a": b"12345678"}


def test_names_are_kept_after_a_commit_and_data_is_not(disk: Disk):
    disk.make("a")
    disk.write("a", b"text")
    disk.after(COMMIT_S - 0.1)
    assert not (disk.kept / "a").exists()
    disk.after(0.2)
    assert disk.left() == {"a": b""}


def test_data_is_kept_once_it_has_waited_long_enough(disk: Disk):
    disk.make("a")
    disk.write("a", b"text")
    disk.after(EXPIRE_S - 1)
    assert (disk.kept / "a").read_bytes() == b""
    disk.after(COMMIT_S + 1)
    assert disk.left() == {"a": b"text"}


def test_what_the_kernel_wrote_back_is_kept_by_the_next_commit(disk: Disk):
    disk.make("a")
    disk.write("a", b"text", from_cache=True)
    disk.after(COMMIT_S)
    assert disk.left() == {"a": b"text"}


def test_what_replaced_a_file_is_whole_after_a_commit(disk: Disk):
    disk.make("topics")
    disk.write("topics", b"old")
    disk.memory.sync(list(disk.inodes.values()))
    disk.make("new")
    disk.write("new", b"newer")
    disk.rename("new", "topics")
    assert disk.kept.joinpath("topics").read_bytes() == b"old"
    disk.after(COMMIT_S)
    assert disk.left() == {"topics": b"newer"}


@pytest.mark.parametrize("emptied", [True, False])
def test_what_was_written_anew_and_closed_is_whole_after_a_commit(disk: Disk, emptied: bool):
    inode = disk.make("topics")
    disk.write("topics", b"older")
    disk.memory.sync([inode])
    if emptied:
        os.truncate(disk.live / "topics", 0)
        disk.memory.resized(inode, "topics", 0)
    disk.write("topics", b"newer")
    disk.memory.closed(inode)
    disk.after(COMMIT_S)
    assert disk.left() == {"topics": b"newer" if emptied else b"older"}


def test_a_rename_to_a_new_name_keeps_the_name_alone(disk: Disk):
    disk.make("new")
    disk.write("new", b"text")
    disk.rename("new", "topics")
    disk.after(COMMIT_S)
    assert disk.left() == {"topics": b""}


def test_what_was_cut_off_does_not_come_back(disk: Disk):
    inode = disk.make("a")
    disk.write("a", b"12345678")
    os.truncate(disk.live / "a", 2)
    disk.memory.resized(inode, "a", 2)
    disk.memory.sync([inode])
    assert disk.left() == {"a": b"12"}


def test_a_file_that_was_deleted_is_deleted_and_its_data_nowhere(disk: Disk):
    inode = disk.make("a")
    disk.write("a", b"text")
    (disk.live / "a").unlink()
    disk.memory.removed("a")
    disk.memory.sync([inode])
    assert disk.left() == {}


def test_a_file_is_found_by_its_other_name(disk: Disk):
    inode = disk.make("a")
    disk.write("a", b"old")
    disk.memory.sync([inode])
    os.link(disk.live / "a", disk.live / "b")
    disk.memory.linked(inode, "a", "b")
    (disk.live / "a").unlink()
    disk.memory.removed("a")
    disk.inodes["b"] = inode
    disk.write("b", b"new")
    disk.memory.sync([inode])
    assert disk.left() == {"b": b"new"}


def test_a_name_that_looks_deleted_is_one(disk: Disk):
    disk.make("x (deleted)")
    disk.write("x (deleted)", b"DATA")
    inode = disk.make("x")
    disk.write("x", b"EVIL")
    (disk.live / "x").unlink()
    disk.memory.removed("x")
    disk.memory.sync([inode, disk.inodes["x (deleted)"]])
    assert disk.left() == {"x (deleted)": b"DATA"}


def test_what_is_appended_waits_by_itself(disk: Disk):
    disk.make("log")
    for second in range(int(EXPIRE_S) + 1):
        disk.write("log", b"%02d" % second, at=2 * second)
        disk.now += 1
    disk.memory.tick(list(disk.inodes.values()))
    assert disk.left() == {"log": b"0001"}


def test_times_are_those_of_the_file(disk: Disk):
    inode = disk.make("a")
    disk.write("a", b"text")
    os.utime(disk.live / "a", ns=(5, 7))
    disk.memory.marked("a", None, (5, 7))
    disk.memory.sync([inode])
    restore(disk.live, disk.kept)
    assert (disk.live / "a").stat().st_mtime_ns == 7


def test_what_was_done_is_not_done_again_after_an_error(disk: Disk):
    disk.make("a")
    disk.memory.removed("never")
    disk.make("b")
    with pytest.raises(FileNotFoundError):
        disk.memory.sync([])
    disk.memory.sync([])
    assert sorted(disk.left()) == ["a", "b"]


def test_holes_stay_holes(disk: Disk):
    inode = disk.make("log")
    os.truncate(disk.live / "log", 64 << 20)
    disk.memory.resized(inode, "log", 64 << 20)
    disk.write("log", b"end", at=(64 << 20) - 3)
    disk.memory.sync([inode])
    restore(disk.live, disk.kept)
    status = (disk.live / "log").stat()
    assert status.st_size == 64 << 20
    assert status.st_blocks * 512 < 1 << 20
    assert (disk.live / "log").read_bytes().endswith(b"\0end")


def test_the_layouts_have_the_sizes_of_the_kernels():
    """linux/fuse.h, compiled on x86-64."""
    status = Path("/").stat()
    sizes = [
        (wire.attributes(1, status), 88),
        (wire.entry(1, status), 128),
        (wire.attr_out(1, status), 104),
        (wire.opened(1), 16),
        (wire.statfs(1, 1), 80),
        (wire.initialised(memoryview(wire._INIT_IN.pack(7, 40, 0, 0))), 64),
    ]
    assert [len(packed) for packed, _size in sizes] == [size for _packed, size in sizes]
    layouts = (wire.SETATTR_IN, wire.READ_IN, wire.CREATE_IN, wire.FSYNC_IN, wire.FALLOCATE_IN, wire.RENAME2_IN)
    assert [layout.size for layout in layouts] == [88, 40, 16, 16, 32, 16]


def test_a_kernel_that_is_too_old_is_refused():
    with pytest.raises(OSError, match="speaks FUSE 6"):
        wire.initialised(memoryview(wire._INIT_IN.pack(6, 0, 0, 0)))
