"""The kernel's side of FUSE (linux/fuse.h, protocol 7.31): what it asks, and how answers are laid out."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAJOR: Final = 7
MINOR: Final = 31
ROOT_ID: Final = 1
MAX_WRITE: Final = 1 << 20
BUFFER_BYTES: Final = MAX_WRITE + 4096
FOREVER_S: Final = 3600
"""How long the kernel may believe a name or its attributes: nobody else changes them."""

ASYNC_READ: Final = 1 << 0
BIG_WRITES: Final = 1 << 5
MAX_PAGES: Final = 1 << 22
WANTED: Final = ASYNC_READ | BIG_WRITES | MAX_PAGES

KEEP_CACHE: Final = 1 << 1
NO_FLUSH: Final = 1 << 5
FROM_CACHE: Final = 1 << 0
"""A write that the kernel itself decided on: a page that a program had changed in memory."""

SET_MODE: Final = 1 << 0
SET_UID: Final = 1 << 1
SET_GID: Final = 1 << 2
SET_SIZE: Final = 1 << 3
SET_ATIME: Final = 1 << 4
SET_MTIME: Final = 1 << 5
SET_ATIME_NOW: Final = 1 << 7
SET_MTIME_NOW: Final = 1 << 8

_IN: Final = struct.Struct("=IIQQIIIHH")
_OUT: Final = struct.Struct("=IiQ")
_ATTR: Final = struct.Struct("=3Q3q10I")
_ENTRY: Final = struct.Struct("=4QII")
_ATTR_OUT: Final = struct.Struct("=QII")
_OPEN_OUT: Final = struct.Struct("=QIi")
_STATFS: Final = struct.Struct("=5Q10I")
_INIT_IN: Final = struct.Struct("=IIII")
_INIT_OUT: Final = struct.Struct("=IIIIHHIIHHI28x")
_DIRENT: Final = struct.Struct("=QQII")

GETATTR_IN: Final = struct.Struct("=IIQ")
SETATTR_IN: Final = struct.Struct("=II3Q3q8I")
READ_IN: Final = struct.Struct("=QQIIQII")
WRITE_IN: Final = READ_IN
CREATE_IN: Final = struct.Struct("=IIII")
MKDIR_IN: Final = struct.Struct("=II")
MKNOD_IN: Final = struct.Struct("=IIII")
RENAME_IN: Final = struct.Struct("=Q")
RENAME2_IN: Final = struct.Struct("=QII")
LINK_IN: Final = struct.Struct("=Q")
OPEN_IN: Final = struct.Struct("=II")
RELEASE_IN: Final = struct.Struct("=QIIQ")
FSYNC_IN: Final = struct.Struct("=QII")
FALLOCATE_IN: Final = struct.Struct("=QQQII")
FORGET_IN: Final = struct.Struct("=Q")
BATCH_FORGET_IN: Final = struct.Struct("=II")
FORGET_ONE: Final = struct.Struct("=QQ")


class Op(IntEnum):
    """What the kernel may ask. Others are answered ENOSYS, after which it does not ask again."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    FALLOCATE = 43
    RENAME2 = 45


UNANSWERED: Final = frozenset({Op.FORGET, Op.BATCH_FORGET, Op.INTERRUPT})


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `body` is what follows the header."""

    opcode: int
    unique: int
    node: int
    body: memoryview

    def names(self, skip: int, count: int) -> list[bytes]:
        """The zero-terminated names after the first `skip` bytes of the body."""
        return bytes(self.body[skip:]).split(b"\0")[:count]


def parse(data: memoryview) -> Request:
    """A request as it was read from the device."""
    length, opcode, unique, node, _uid, _gid, _pid, _ext, _pad = _IN.unpack_from(data)
    return Request(opcode, unique, node, data[_IN.size : length])


def answer(unique: int, body: bytes = b"") -> bytes:
    """What was asked for."""
    return _OUT.pack(_OUT.size + len(body), 0, unique) + body


def refusal(unique: int, error: int) -> bytes:
    """An errno."""
    return _OUT.pack(_OUT.size, -error, unique)


def initialised(body: memoryview) -> bytes:
    """The answer to INIT: what both sides can do. Shared mappings are written through the page cache, always."""
    major, _minor, readahead, offered = _INIT_IN.unpack_from(body)
    if major < MAJOR:
        raise OSError(71, f"the kernel speaks FUSE {major}, this is {MAJOR}.{MINOR}")
    pages = MAX_WRITE // 4096
    return _INIT_OUT.pack(MAJOR, MINOR, readahead, WANTED & offered, 16, 12, MAX_WRITE, 1, pages, 0, 0)


def attributes(number: int, status: os.stat_result) -> bytes:
    """`fuse_attr` of a file, under the number that the kernel knows it by."""
    times = [divmod(ns, 1_000_000_000) for ns in (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)]
    seconds, parts = [t[0] for t in times], [t[1] for t in times]
    return _ATTR.pack(
        number, status.st_size, status.st_blocks, *seconds, *parts, status.st_mode, status.st_nlink, 0, 0, 0, 4096, 0
    )


def entry(number: int, status: os.stat_result) -> bytes:
    """`fuse_entry_out`."""
    return _ENTRY.pack(number, 0, FOREVER_S, 0, 0, 0) + attributes(number, status)


def attr_out(number: int, status: os.stat_result) -> bytes:
    """`fuse_attr_out`; not to be remembered: blocks and size change with what is written."""
    return _ATTR_OUT.pack(0, 0, 0) + attributes(number, status)


def opened(handle: int) -> bytes:
    """`fuse_open_out`: neither to open nor to close a file is a reason to write its pages back."""
    return _OPEN_OUT.pack(handle, KEEP_CACHE | NO_FLUSH, 0)


def directory(entries: list[tuple[int, bytes, int]], offset: int, limit: int) -> bytes:
    """As many of `(number, name, mode)` from the `offset`th on as fit."""
    out = bytearray()
    for place, (number, name, mode) in enumerate(entries[offset:], offset + 1):
        record = _DIRENT.pack(number, place, len(name), mode >> 12 & 15) + name
        record += bytes(-len(record) % 8)
        if len(out) + len(record) > limit:
            break
        out += record
    return bytes(out)


def statfs(blocks: int, free: int) -> bytes:
    """`fuse_statfs_out` in blocks of 4 KiB."""
    return _STATFS.pack(blocks, free, free, 1 << 20, 1 << 19, 4096, 255, 4096, 0, *[0] * 6)
