"""Answers the kernel for one disk, in one thread of one process; `python -m` starts it with the descriptors it needs.

Whoever gave it the disk speaks to it over a socket, one word per packet, and is answered when it is so: `lose` and
`fail` make every request fail from then on; after `sync` everything that had come is on the disk; `quit` ends it.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.runtime.forgetful import wire
from harness.runtime.forgetful.memory import Inode, Memory
from harness.runtime.forgetful.wire import Op, Request

TICK_S: Final = 1.0
BLOCK: Final = 4096


class Server:
    """The state of one mounted disk. `device` is /dev/fuse, already mounted."""

    def __init__(self, device: int, control: socket.socket, memory: Memory, size_bytes: int) -> None:
        self._device = device
        self._control = control
        self._memory = memory
        self._size = size_bytes
        self._used = memory.used_bytes()
        self._failing = False
        root = os.open(memory.live, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._inodes = {wire.ROOT_ID: Inode(wire.ROOT_ID, root, lookups=1)}
        self._known = {_identity(os.stat(root)): wire.ROOT_ID}
        self._next = wire.ROOT_ID + 1
        self._handles: dict[int, int] = {}
        self._next_handle = 1
        self._answers: dict[int, Callable[[Request], bytes]] = {
            Op.INIT: lambda request: wire.initialised(request.body),
            Op.LOOKUP: self._lookup,
            Op.GETATTR: lambda request: wire.attr_out(request.node, self._status(request.node)),
            Op.SETATTR: self._set_attributes,
            Op.MKNOD: self._make_node,
            Op.MKDIR: self._make_directory,
            Op.CREATE: self._create,
            Op.UNLINK: lambda request: self._remove(request, directory=False),
            Op.RMDIR: lambda request: self._remove(request, directory=True),
            Op.RENAME: lambda request: self._rename(request, wire.RENAME_IN.size),
            Op.RENAME2: self._rename_without_flags,
            Op.LINK: self._link,
            Op.OPEN: self._open,
            Op.READ: self._read,
            Op.WRITE: self._write,
            Op.FALLOCATE: self._allocate,
            Op.RELEASE: self._release,
            Op.FLUSH: lambda _request: b"",
            Op.FSYNC: self._sync,
            Op.FSYNCDIR: self._sync_names,
            Op.OPENDIR: lambda _request: wire.opened(0),
            Op.READDIR: self._list,
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
            ready, _w, _x = select.select([self._device, control], [], [], TICK_S)
            if not self._failing:
                self._memory.tick(list(self._inodes.values()))
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
            self._answer(wire.parse(view[:length]))

    def _obey(self) -> bool:
        word = self._control.recv(64)
        if word in (b"lose", b"fail"):
            self._failing = True
        elif word == b"sync":
            self._memory.sync(list(self._inodes.values()))
        self._control.send(b"done") if word not in (b"", b"quit") else None
        return word not in (b"", b"quit")

    def _answer(self, request: Request) -> None:
        if request.opcode in (Op.FORGET, Op.BATCH_FORGET):
            self._forget(request)
        if request.opcode in wire.UNANSWERED:
            return
        try:
            if self._failing and request.opcode not in (Op.RELEASE, Op.RELEASEDIR, Op.DESTROY):
                raise OSError(errno.EIO, "the disk is gone")
            reply = self._answers.get(request.opcode)
            if reply is None:
                raise OSError(errno.ENOSYS, "not served")
            said = wire.answer(request.unique, reply(request))
        except OSError as error:
            said = wire.refusal(request.unique, error.errno or errno.EIO)
        try:
            os.write(self._device, said)
        except OSError as error:
            # Nobody waits for it any more: the request was interrupted.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise

    # names

    def _inode(self, number: int) -> Inode:
        if number not in self._inodes:
            raise OSError(errno.ESTALE, "no such inode")
        return self._inodes[number]

    def _status(self, number: int) -> os.stat_result:
        return os.stat(self._inode(number).fd)

    def _path(self, parent: Inode, name: bytes) -> str:
        top = self._memory.path_of(parent)
        if top is None:
            raise OSError(errno.ENOENT, "the directory is gone")
        return os.path.join(top, os.fsdecode(name))

    def _entry(self, parent: Inode, name: bytes) -> bytes:
        """Looks a name up and counts that the kernel knows it."""
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent.fd)
        status = os.stat(fd)
        number = self._known.get(_identity(status))
        if number is None:
            number, self._next = self._next, self._next + 1
            self._known[_identity(status)] = number
            self._inodes[number] = Inode(number, fd)
        else:
            os.close(fd)
        self._inodes[number].lookups += 1
        return wire.entry(number, status)

    def _lookup(self, request: Request) -> bytes:
        (name,) = request.names(0, 1)
        return self._entry(self._inode(request.node), name)

    def _forget(self, request: Request) -> None:
        if request.opcode == Op.FORGET:
            forgotten = [(request.node, wire.FORGET_IN.unpack_from(request.body)[0])]
        else:
            count, _pad = wire.BATCH_FORGET_IN.unpack_from(request.body)
            places = range(wire.BATCH_FORGET_IN.size, wire.BATCH_FORGET_IN.size + 16 * count, 16)
            forgotten = [wire.FORGET_ONE.unpack_from(request.body, place) for place in places]
        for number, times in forgotten:
            inode = self._inodes.get(number)
            if inode is None or number == wire.ROOT_ID:
                continue
            inode.lookups -= times
            # What is not on the disk yet must be found by the next commit.
            if inode.lookups <= 0 and not (inode.dirty and self._memory.path_of(inode) is not None):
                self._known.pop(_identity(os.stat(inode.fd)), None)
                os.close(self._inodes.pop(number).fd)

    def _made(self, request: Request, name: bytes, mode: int, *, directory: bool) -> bytes:
        parent = self._inode(request.node)
        path = self._path(parent, name)
        if directory:
            os.mkdir(name, mode & 0o7777, dir_fd=parent.fd)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode & 0o7777, dir_fd=parent.fd))
        self._memory.made(path, mode, directory=directory)
        return self._entry(parent, name)

    def _make_node(self, request: Request) -> bytes:
        mode, *_rest = wire.MKNOD_IN.unpack_from(request.body)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EPERM, "regular files only")
        (name,) = request.names(wire.MKNOD_IN.size, 1)
        return self._made(request, name, mode, directory=False)

    def _make_directory(self, request: Request) -> bytes:
        mode, _umask = wire.MKDIR_IN.unpack_from(request.body)
        (name,) = request.names(wire.MKDIR_IN.size, 1)
        return self._made(request, name, mode, directory=True)

    def _create(self, request: Request) -> bytes:
        flags, mode, _umask, _open_flags = wire.CREATE_IN.unpack_from(request.body)
        (name,) = request.names(wire.CREATE_IN.size, 1)
        entry = self._made(request, name, mode, directory=False)
        number = int.from_bytes(entry[:8], sys.byteorder)
        return entry + wire.opened(self._handle(self._inode(number), flags))

    def _remove(self, request: Request, *, directory: bool) -> bytes:
        (name,) = request.names(0, 1)
        parent = self._inode(request.node)
        path = self._path(parent, name)
        (os.rmdir if directory else os.unlink)(name, dir_fd=parent.fd)
        self._memory.removed(path, directory=directory)
        return b""

    def _rename_without_flags(self, request: Request) -> bytes:
        _parent, flags, _pad = wire.RENAME2_IN.unpack_from(request.body)
        if flags:
            raise OSError(errno.EINVAL, "no exchange and no test")
        return self._rename(request, wire.RENAME2_IN.size)

    def _rename(self, request: Request, skip: int) -> bytes:
        (target,) = wire.RENAME_IN.unpack_from(request.body)
        old, new = request.names(skip, 2)
        source, destination = self._inode(request.node), self._inode(target)
        was, will_be = self._path(source, old), self._path(destination, new)
        moved = self._known.get(_identity(os.stat(old, dir_fd=source.fd, follow_symlinks=False)))
        replaces = os.path.lexists(self._memory.live / will_be)
        os.rename(old, new, src_dir_fd=source.fd, dst_dir_fd=destination.fd)
        self._memory.renamed(was, will_be, self._inodes.get(moved or 0) if replaces else None)
        return b""

    def _link(self, request: Request) -> bytes:
        (number,) = wire.LINK_IN.unpack_from(request.body)
        (name,) = request.names(wire.LINK_IN.size, 1)
        parent, old = self._inode(request.node), self._memory.path_of(self._inode(number))
        if old is None:
            raise OSError(errno.ENOENT, "it has no name any more")
        path = self._path(parent, name)
        os.link(self._memory.live / old, self._memory.live / path)
        self._memory.linked(old, path)
        return self._entry(parent, name)

    def _list(self, request: Request) -> bytes:
        _handle, offset, size, *_rest = wire.READ_IN.unpack_from(request.body)
        inode = self._inode(request.node)
        with os.scandir(f"/proc/self/fd/{inode.fd}") as found:
            entries = [(e.inode(), os.fsencode(e.name), e.stat(follow_symlinks=False).st_mode) for e in found]
        return wire.directory(sorted(entries, key=lambda entry: entry[1]), offset, size)

    # contents

    def _handle(self, inode: Inode, flags: int) -> int:
        wanted = os.O_RDWR if flags & os.O_ACCMODE else os.O_RDONLY
        number, self._next_handle = self._next_handle, self._next_handle + 1
        self._handles[number] = os.open(f"/proc/self/fd/{inode.fd}", wanted | os.O_CLOEXEC)
        return number

    def _open(self, request: Request) -> bytes:
        flags, _open_flags = wire.OPEN_IN.unpack_from(request.body)
        return wire.opened(self._handle(self._inode(request.node), flags))

    def _release(self, request: Request) -> bytes:
        handle, *_rest = wire.RELEASE_IN.unpack_from(request.body)
        os.close(self._handles.pop(handle))
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
        self._memory.wrote(self._inode(request.node), offset, size, from_cache=from_cache)
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
            inode = self._inode(request.node)
            self._memory.resized(inode, self._memory.path_of(inode), after.st_size)
        return b""

    def _set_attributes(self, request: Request) -> bytes:
        valid, _pad, _fh, size, _owner, atime, mtime, _ctime, atime_ns, mtime_ns, _c, mode, *_rest = (
            wire.SETATTR_IN.unpack_from(request.body)
        )
        inode = self._inode(request.node)
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
        return wire.attr_out(request.node, self._status(request.node))

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
        self._memory.sync([self._inode(request.node)])
        return b""

    def _sync_names(self, _request: Request) -> bytes:
        self._memory.sync([])
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


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def main(device: int, control: int, live: str, kept: str, size_bytes: int) -> None:
    """The process of one disk."""
    os.umask(0)
    Server(device, socket.socket(fileno=control), Memory(Path(live), Path(kept)), size_bytes).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
