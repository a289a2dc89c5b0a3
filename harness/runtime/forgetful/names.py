"""The files and directories of a disk as the kernel knows them: by number, and by name below another number."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from harness.runtime.forgetful import wire
from harness.runtime.forgetful.memory import Inode, Memory
from harness.runtime.forgetful.wire import Op, Request


class Names:
    """Every inode that the kernel holds a number of. Changes of names go to both the live tree and the journal."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        root = os.open(memory.live, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._inodes = {wire.ROOT_ID: Inode(wire.ROOT_ID, root, lookups=1)}
        self._known = {_identity(os.stat(root)): wire.ROOT_ID}
        self._next = wire.ROOT_ID + 1

    def all(self) -> Iterable[Inode]:
        """Those that are known now: a view, for it is asked for with every request."""
        return self._inodes.values()

    def inode(self, number: int) -> Inode:
        """The inode of that number; ESTALE without one."""
        if number not in self._inodes:
            raise OSError(errno.ESTALE, "no such inode")
        return self._inodes[number]

    def status(self, number: int) -> os.stat_result:
        """What `stat` says of it."""
        return os.stat(self.inode(number).fd)

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

    def lookup(self, request: Request) -> bytes:
        """LOOKUP."""
        (name,) = request.names(0, 1)
        return self._entry(self.inode(request.node), name)

    def forget(self, request: Request) -> None:
        """FORGET and BATCH_FORGET: the kernel knows these numbers that many times less."""
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

    def made(self, request: Request, name: bytes, mode: int, *, directory: bool) -> bytes:
        """A new file or directory, as `entry` tells it."""
        parent = self.inode(request.node)
        path = self._path(parent, name)
        if directory:
            os.mkdir(name, mode & 0o7777, dir_fd=parent.fd)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode & 0o7777, dir_fd=parent.fd))
        self._memory.made(path, mode, directory=directory)
        return self._entry(parent, name)

    def make_node(self, request: Request) -> bytes:
        """MKNOD."""
        mode, *_rest = wire.MKNOD_IN.unpack_from(request.body)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EPERM, "regular files only")
        (name,) = request.names(wire.MKNOD_IN.size, 1)
        return self.made(request, name, mode, directory=False)

    def make_directory(self, request: Request) -> bytes:
        """MKDIR."""
        mode, _umask = wire.MKDIR_IN.unpack_from(request.body)
        (name,) = request.names(wire.MKDIR_IN.size, 1)
        return self.made(request, name, mode, directory=True)

    def remove(self, request: Request, *, directory: bool) -> bytes:
        """UNLINK and RMDIR."""
        (name,) = request.names(0, 1)
        parent = self.inode(request.node)
        path = self._path(parent, name)
        (os.rmdir if directory else os.unlink)(name, dir_fd=parent.fd)
        self._memory.removed(path, directory=directory)
        return b""

    def rename_without_flags(self, request: Request) -> bytes:
        """RENAME2."""
        _parent, flags, _pad = wire.RENAME2_IN.unpack_from(request.body)
        if flags:
            raise OSError(errno.EINVAL, "no exchange and no test")
        return self.rename(request, wire.RENAME2_IN.size)

    def rename(self, request: Request, skip: int) -> bytes:
        """RENAME; the names come after the first `skip` bytes."""
        (target,) = wire.RENAME_IN.unpack_from(request.body)
        old, new = request.names(skip, 2)
        source, destination = self.inode(request.node), self.inode(target)
        was, will_be = self._path(source, old), self._path(destination, new)
        moved = self._known.get(_identity(os.stat(old, dir_fd=source.fd, follow_symlinks=False)))
        replaces = os.path.lexists(self._memory.live / will_be)
        os.rename(old, new, src_dir_fd=source.fd, dst_dir_fd=destination.fd)
        self._memory.renamed(was, will_be, self._inodes.get(moved or 0), replaces=replaces)
        return b""

    def link(self, request: Request) -> bytes:
        """LINK."""
        (number,) = wire.LINK_IN.unpack_from(request.body)
        (name,) = request.names(wire.LINK_IN.size, 1)
        parent, linked = self.inode(request.node), self.inode(number)
        old = self._memory.path_of(linked)
        if old is None:
            raise OSError(errno.ENOENT, "it has no name any more")
        path = self._path(parent, name)
        os.link(self._memory.live / old, self._memory.live / path)
        self._memory.linked(linked, old, path)
        return self._entry(parent, name)

    def list_directory(self, request: Request) -> bytes:
        """READDIR."""
        _handle, offset, size, *_rest = wire.READ_IN.unpack_from(request.body)
        inode = self.inode(request.node)
        with os.scandir(f"/proc/self/fd/{inode.fd}") as found:
            entries = [(e.inode(), os.fsencode(e.name), e.stat(follow_symlinks=False).st_mode) for e in found]
        return wire.directory(sorted(entries, key=lambda entry: entry[1]), offset, size)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
