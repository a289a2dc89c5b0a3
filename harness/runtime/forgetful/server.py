"""Answers the kernel for one disk, in one thread of one process; `python -m` starts it with the descriptors it needs.

Whoever gave it the disk speaks to it over a socket, one word per packet, and is answered when it is so. After `lose`
every request fails, after `eio` every read and change, after `read-only` every change; after `sync` everything that had
come is on the disk; after `slow N` every sync of a file takes N seconds longer, in which other requests are served;
`quit` ends it. What goes wrong here is told to whoever speaks next, and nothing is kept any more: a disk that cannot
say what it kept proves nothing.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from harness.runtime.forgetful import wire
from harness.runtime.forgetful.memory import Inode, Memory
from harness.runtime.forgetful.names import Names
from harness.runtime.forgetful.wire import Op, Request

TICK_S: Final = 1.0
BLOCK: Final = 4096
WORD_BYTES: Final = 512
"""More than any word, or what is told of one, takes."""
_ENDS: Final = frozenset({Op.RELEASE, Op.RELEASEDIR, Op.DESTROY})
_LOOKS: Final = _ENDS | {Op.INIT, Op.LOOKUP, Op.GETATTR, Op.OPEN, Op.OPENDIR, Op.READDIR, Op.STATFS, Op.FLUSH}
"""What any kernel answers from its memory, whatever the disk does."""
_REFUSED: Final = {
    "lose": (errno.EIO, _ENDS),
    "eio": (errno.EIO, _LOOKS),
    "read-only": (errno.EROFS, _LOOKS | {Op.READ}),
}
"""How a disk fails -> what it answers, and what it does not refuse."""


class Server:
    """The state of one mounted disk. `device` is /dev/fuse, already mounted."""

    def __init__(self, device: int, control: socket.socket, memory: Memory, size_bytes: int) -> None:
        self._device = device
        self._control = control
        self._memory = memory
        self._size = size_bytes
        self._used = memory.used_bytes()
        self._failing = ""
        self._wrong = ""
        self._delay_s = 0.0
        self._later: list[tuple[float, Request]] = []
        self._names = names = Names(memory)
        self._handles: dict[int, int] = {}
        self._next_handle = 1
        self._answers: dict[int, Callable[[Request], bytes]] = {
            Op.INIT: lambda request: wire.initialised(request.body),
            Op.LOOKUP: names.lookup,
            Op.GETATTR: lambda request: wire.attr_out(request.node, self._names.status(request.node)),
            Op.SETATTR: self._set_attributes,
            Op.MKNOD: names.make_node,
            Op.MKDIR: names.make_directory,
            Op.CREATE: self._create,
            Op.UNLINK: lambda request: names.remove(request, directory=False),
            Op.RMDIR: lambda request: names.remove(request, directory=True),
            Op.RENAME: lambda request: names.rename(request, wire.RENAME_IN.size),
            Op.RENAME2: names.rename_without_flags,
            Op.LINK: names.link,
            Op.OPEN: self._open,
            Op.READ: self._read,
            Op.WRITE: self._write,
            Op.FALLOCATE: self._allocate,
            Op.RELEASE: self._release,
            Op.FLUSH: lambda _request: b"",
            Op.FSYNC: self._sync,
            Op.FSYNCDIR: self._sync_names,
            Op.OPENDIR: lambda _request: wire.opened(0),
            Op.READDIR: names.list_directory,
            Op.RELEASEDIR: lambda _request: b"",
            Op.STATFS: self._usage,
            Op.DESTROY: lambda _request: b"",
        }

    def serve(self) -> None:
        """Until the disk is unmounted or whoever started this is gone."""
        buffer = bytearray(wire.BUFFER_BYTES)
        view = memoryview(buffer)
        control = self._control.fileno()
        while True:
            ready, _w, _x = select.select([self._device, control], [], [], self._patience_s())
            self._answer_due()
            if not self._failing and not self._wrong:
                self._guarded(lambda: self._memory.tick(self._names.all()))
            if control in ready and not self._obey():
                return
            if self._device not in ready:
                continue
            try:
                length = os.readv(self._device, [buffer])
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                raise
            request = wire.parse(view[:length])
            if request.opcode == Op.FSYNC and self._delay_s:
                # The buffer is read into again before its turn comes.
                kept = replace(request, body=memoryview(bytes(request.body)))
                self._later.append((time.monotonic() + self._delay_s, kept))
            else:
                self._answer(request)

    def _patience_s(self) -> float:
        """Until the next sync that was put off is due, at most until the next commit may be."""
        return max(0.0, min([TICK_S, *(due - time.monotonic() for due, _request in self._later)]))

    def _answer_due(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._answer(self._later.pop(0)[1])

    def _obey(self) -> bool:
        word, _space, value = self._control.recv(WORD_BYTES).partition(b" ")
        if word in (b"lose", b"eio", b"read-only"):
            self._failing = word.decode()
        elif word == b"slow":
            self._delay_s = float(value)
        elif word == b"sync":
            self._guarded(lambda: self._memory.sync(self._names.all()))
        if word in (b"", b"quit"):
            return False
        self._control.send(f"wrong {self._wrong}".encode()[:WORD_BYTES] if self._wrong else b"done")
        return True

    def _guarded(self, change: Callable[[], None]) -> None:
        """An error while something is kept is ours, and voids the disk."""
        try:
            change()
        except Exception as error:  # noqa: BLE001  told to whoever speaks next
            self._wrong = self._wrong or f"{type(error).__name__}: {error}"

    def _answer(self, request: Request) -> None:
        if request.opcode in (Op.FORGET, Op.BATCH_FORGET):
            self._names.forget(request)
        if request.opcode in wire.UNANSWERED:
            return
        try:
            refusal, answered = _REFUSED.get(self._failing, (0, frozenset()))
            if self._failing and request.opcode not in answered:
                raise OSError(refusal, f"the disk fails: {self._failing}")
            reply = self._answers.get(request.opcode)
            if reply is None:
                raise OSError(errno.ENOSYS, "not served")
            said = wire.answer(request.unique, reply(request))
        except OSError as error:
            said = wire.refusal(request.unique, error.errno or errno.EIO)
        except Exception as error:  # noqa: BLE001  one request that was not foreseen must not end the disk
            self._wrong = self._wrong or f"{Op(request.opcode).name}: {type(error).__name__}: {error}"
            said = wire.refusal(request.unique, errno.EIO)
        try:
            os.write(self._device, said)
        except OSError as error:
            # Nobody waits for it any more: the request was interrupted.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise

    # contents

    def _create(self, request: Request) -> bytes:
        flags, mode, _umask, _open_flags = wire.CREATE_IN.unpack_from(request.body)
        (name,) = request.names(wire.CREATE_IN.size, 1)
        entry = self._names.made(request, name, mode, directory=False)
        number = int.from_bytes(entry[:8], sys.byteorder)
        return entry + wire.opened(self._handle(self._names.inode(number), flags))

    def _handle(self, inode: Inode, flags: int) -> int:
        wanted = os.O_RDWR if flags & os.O_ACCMODE else os.O_RDONLY
        number, self._next_handle = self._next_handle, self._next_handle + 1
        self._handles[number] = os.open(f"/proc/self/fd/{inode.fd}", wanted | os.O_CLOEXEC)
        return number

    def _open(self, request: Request) -> bytes:
        flags, _open_flags = wire.OPEN_IN.unpack_from(request.body)
        return wire.opened(self._handle(self._names.inode(request.node), flags))

    def _release(self, request: Request) -> bytes:
        handle, *_rest = wire.RELEASE_IN.unpack_from(request.body)
        os.close(self._handles.pop(handle))
        self._memory.closed(self._names.inode(request.node))
        return b""

    def _read(self, request: Request) -> bytes:
        handle, offset, size, *_rest = wire.READ_IN.unpack_from(request.body)
        return os.pread(self._handles[handle], size, offset)

    def _write(self, request: Request) -> bytes:
        size: int
        handle, offset, size, write_flags, *_rest = wire.WRITE_IN.unpack_from(request.body)
        data = request.body[wire.WRITE_IN.size :][:size]
        fd = self._handles[handle]
        before = os.fstat(fd).st_blocks
        self._make_room(size)
        os.pwrite(fd, data, offset)
        self._used += (os.fstat(fd).st_blocks - before) * 512
        from_cache = bool(write_flags & wire.FROM_CACHE)
        self._memory.wrote(self._names.inode(request.node), offset, size, from_cache=from_cache)
        return size.to_bytes(4, sys.byteorder) + bytes(4)

    def _allocate(self, request: Request) -> bytes:
        handle, offset, length, mode, _pad = wire.FALLOCATE_IN.unpack_from(request.body)
        if mode:
            raise OSError(errno.EOPNOTSUPP, "only plain allocation")
        self._make_room(length)
        fd = self._handles[handle]
        before = os.fstat(fd)
        os.posix_fallocate(fd, offset, length)
        after = os.fstat(fd)
        self._used += (after.st_blocks - before.st_blocks) * 512
        if after.st_size != before.st_size:
            inode = self._names.inode(request.node)
            self._memory.resized(inode, self._memory.path_of(inode), after.st_size)
        return b""

    def _set_attributes(self, request: Request) -> bytes:
        valid, _pad, _fh, size, _owner, atime, mtime, _ctime, atime_ns, mtime_ns, _c, mode, *_rest = (
            wire.SETATTR_IN.unpack_from(request.body)
        )
        inode = self._names.inode(request.node)
        where, path = f"/proc/self/fd/{inode.fd}", self._memory.path_of(inode)
        if valid & wire.SET_SIZE:
            os.truncate(where, size)
            self._memory.resized(inode, path, size)
        if valid & wire.SET_MODE:
            os.chmod(where, mode & 0o7777)
        times = None
        if valid & (wire.SET_ATIME | wire.SET_MTIME):
            times = self._set_times(where, valid, (atime, atime_ns), (mtime, mtime_ns))
        if path is not None:
            self._memory.marked(path, mode if valid & wire.SET_MODE else None, times)
        return wire.attr_out(request.node, self._names.status(request.node))

    def _set_times(self, where: str, valid: int, atime: tuple[int, int], mtime: tuple[int, int]) -> tuple[int, int]:
        before = os.stat(where)
        times = [before.st_atime_ns, before.st_mtime_ns]
        asked = ((wire.SET_ATIME, wire.SET_ATIME_NOW, atime), (wire.SET_MTIME, wire.SET_MTIME_NOW, mtime))
        for place, (wanted, is_now, (seconds, part)) in enumerate(asked):
            if valid & wanted:
                times[place] = time.time_ns() if valid & is_now else seconds * 1_000_000_000 + part
        os.utime(where, ns=(times[0], times[1]))
        return times[0], times[1]

    def _sync(self, request: Request) -> bytes:
        return self._kept([self._names.inode(request.node)])

    def _sync_names(self, _request: Request) -> bytes:
        return self._kept([])

    def _kept(self, inodes: list[Inode]) -> bytes:
        self._guarded(lambda: self._memory.sync(inodes))
        if self._wrong:
            raise OSError(errno.EIO, self._wrong)
        return b""

    # room

    def _make_room(self, size: int) -> None:
        if self._used + size > self._size:
            self._used = self._memory.used_bytes()
        if self._used + size > self._size:
            raise OSError(errno.ENOSPC, "the disk is full")

    def _usage(self, _request: Request) -> bytes:
        self._used = self._memory.used_bytes()
        blocks = self._size // BLOCK
        return wire.statfs(blocks, max(0, blocks - -(-self._used // BLOCK)))


def main(device: int, control: int, live: str, kept: str, size_bytes: int) -> None:
    """The process of one disk."""
    os.umask(0)
    Server(device, socket.socket(fileno=control), Memory(Path(live), Path(kept)), size_bytes).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
