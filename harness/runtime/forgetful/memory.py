"""What is on the disk, and what only seems to be: two trees, of which the second gets what was synced.

`live` is what programs see. `kept` is what a loss of power leaves. Between them stand a journal of everything that
changed names, sizes or attributes, and for every file the ranges that were written since it was synced. As ext4 does
with `data=ordered`, its default:

* A sync of any file makes the whole journal durable, and the data of that file alone.
* The journal becomes durable by itself every five seconds, and with it the data of files that replaced another one by
  a rename, or that were emptied, written anew and closed (`auto_da_alloc`), and what had waited for thirty seconds or
  was written back by the kernel.

Not modelled: torn sectors, reordering within one sync, a journal that is itself cut in two, the zeros that ext4 leaves
where a file had grown within its last block, a sync of a part of a file (the kernel does not say which), and that two
names are one file: after a cut they are two.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

COMMIT_S: Final = 5.0
EXPIRE_S: Final = 30.0
RANGE_S: Final = 1.0
"""A write that goes on where another ended is one with it for so long: it must not wait less than by itself."""
_COPY_BYTES: Final = 1 << 20

Clock = Callable[[], float]


@dataclass(slots=True)
class Range:
    """Bytes from `start` to `end`, written at `since` and not synced. `due`: the next commit takes them."""

    start: int
    end: int
    since: float
    due: bool


@dataclass(slots=True)
class Inode:
    """A file or directory that the kernel knows. `fd` finds it (O_PATH), whatever its name has become."""

    number: int
    fd: int
    lookups: int = 0
    dirty: list[Range] = field(default_factory=list)
    emptied: bool = False
    names: list[str] = field(default_factory=list)
    """Further names, below the root: hard links."""

    def wrote(self, start: int, end: int, now: float, *, due: bool) -> None:
        """Remembers a write; one that goes on where the last one ended makes that longer."""
        last = self.dirty[-1] if self.dirty else None
        goes_on = last is not None and last.start <= start <= last.end and last.due == due
        if last is not None and goes_on and now - last.since < RANGE_S:
            last.end = max(last.end, end)
        else:
            self.dirty.append(Range(start, end, now, due))

    def make_due(self) -> None:
        """The next commit takes what was written so far."""
        for part in self.dirty:
            part.due = True

    def cut_short(self, size: int) -> None:
        """Forgets what was written beyond `size`."""
        for part in self.dirty:
            part.end = min(part.end, size)
        self.dirty = [part for part in self.dirty if part.start < part.end]


class Memory:
    """The two trees below `live` and `kept`, which exist. The caller changes `live`, and says what it did."""

    def __init__(self, live: Path, kept: Path, clock: Clock = time.monotonic) -> None:
        self.live = live
        self.kept = kept
        self._clock = clock
        self._journal: list[Callable[[], None]] = []
        self._committed = clock()

    # what changed

    def made(self, path: str, mode: int, *, directory: bool = False) -> None:
        """A file or directory was made."""
        target = self.kept / path
        if directory:
            self._journal.append(lambda: target.mkdir(mode & 0o7777))
        else:
            self._journal.append(lambda: os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode & 0o7777)))

    def removed(self, path: str, *, directory: bool = False) -> None:
        """A name is gone."""
        target = self.kept / path
        self._journal.append(target.rmdir if directory else target.unlink)

    def renamed(self, old: str, new: str, moved: Inode | None, *, replaces: bool) -> None:
        """A name of `moved` (None: unknown to the kernel) is another one now; `replaces`: it was another file's."""
        if moved is not None and old in moved.names:
            moved.names[moved.names.index(old)] = new
        source, target = self.kept / old, self.kept / new
        self._journal.append(lambda: os.replace(source, target))
        if moved is not None and replaces:
            moved.make_due()

    def linked(self, inode: Inode, old: str, new: str) -> None:
        """A file has a second name."""
        inode.names.append(new)
        source, target = self.kept / old, self.kept / new
        self._journal.append(lambda: os.link(source, target))

    def resized(self, inode: Inode, path: str | None, size: int) -> None:
        """A file has another size; what it had beyond is gone."""
        inode.cut_short(size)
        inode.emptied = inode.emptied or size == 0
        if path is not None:
            target = self.kept / path
            self._journal.append(lambda: os.truncate(target, size))

    def closed(self, inode: Inode) -> None:
        """A file that may have been written was closed."""
        if inode.emptied:
            inode.make_due()
            inode.emptied = False

    def marked(self, path: str, mode: int | None, times_ns: tuple[int, int] | None) -> None:
        """A file has another mode or other times."""
        target = self.kept / path
        if mode is not None:
            self._journal.append(lambda: target.chmod(mode & 0o7777))
        if times_ns is not None:
            self._journal.append(lambda: os.utime(target, ns=times_ns))

    def wrote(self, inode: Inode, start: int, size: int, *, from_cache: bool) -> None:
        """Bytes were written. What comes from the page cache has waited there as long as the kernel lets it."""
        inode.wrote(start, start + size, self._clock(), due=from_cache)

    # what is kept

    def sync(self, inodes: Iterable[Inode]) -> None:
        """The journal and all of the data of these files are on the disk."""
        self._replay()
        for inode in inodes:
            self._write_down(inode, inode.dirty)
            inode.dirty = []

    def tick(self, inodes: Iterable[Inode]) -> None:
        """Call it now and then: commits every five seconds."""
        now = self._clock()
        if now - self._committed < COMMIT_S:
            return
        self._committed = now
        self._replay()
        for inode in inodes:
            due = [part for part in inode.dirty if part.due or now - part.since >= EXPIRE_S]
            if due:
                self._write_down(inode, due)
                inode.dirty = [part for part in inode.dirty if part not in due]

    def path_of(self, inode: Inode) -> str | None:
        """Its name now, below the root (the root itself is empty); None if it has none any more."""
        status = os.stat(inode.fd)
        found = os.path.relpath(os.readlink(f"/proc/self/fd/{inode.fd}"), self.live)
        for name in (found, *inode.names) if status.st_nlink else ():
            try:
                there = os.lstat(self.live / name)
            except OSError:
                continue
            if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
                return "" if name == "." else name
        return None

    def used_bytes(self) -> int:
        """What the files that programs see take up."""
        return sum(
            os.lstat(os.path.join(top, name)).st_blocks * 512
            for top, _directories, names in os.walk(self.live)
            for name in names
        )

    def _replay(self) -> None:
        while self._journal:
            self._journal.pop(0)()

    def _write_down(self, inode: Inode, parts: Sequence[Range]) -> None:
        path = self.path_of(inode) if parts else None
        if path is None:
            return
        source = os.open(f"/proc/self/fd/{inode.fd}", os.O_RDONLY | os.O_CLOEXEC)
        target = os.open(self.kept / path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for part in parts:
                copy_range(source, target, part.start, part.end)
            status = os.fstat(source)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(source)
            os.close(target)


def copy_range(source: int, target: int, start: int, end: int) -> None:
    """Bytes of one file to the same place of another; what the source does not have is left out."""
    while start < end:
        data = os.pread(source, min(_COPY_BYTES, end - start), start)
        if not data:
            return
        os.pwrite(target, data, start)
        start += len(data)


def restore(live: Path, kept: Path) -> None:
    """What programs see is what was kept, and nothing else. Holes stay holes."""
    shutil.rmtree(live)
    shutil.copytree(kept, live, symlinks=True, copy_function=_copy_sparse)


def _copy_sparse(source: str, target: str) -> str:
    size = os.stat(source).st_size
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.ftruncate(writing, size)
        place = 0
        while place < size:
            try:
                place = os.lseek(reading, place, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(reading, place, os.SEEK_HOLE)
            copy_range(reading, writing, place, end)
            place = end
    finally:
        os.close(reading)
        os.close(writing)
    shutil.copystat(source, target)
    return target
