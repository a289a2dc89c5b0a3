"""ext4 on a loop device, for root: made, mounted, shut down without a last flush, cut short, aborted."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

from harness.core.errors import CapabilityMissing, FaultError, SetupError
from harness.runtime.base import SIZED_DISK
from harness.runtime.namespaces import MS_NODEV, MS_NOSUID, MS_REMOUNT, mount

LOOP_CONTROL = Path("/dev/loop-control")
LOOP_CTL_GET_FREE = 0x4C82
LOOP_CONFIGURE = 0x4C0A
LOOP_SET_STATUS64 = 0x4C04
LOOP_GET_STATUS64 = 0x4C05
LOOP_MAJOR = 7
LO_FLAGS_AUTOCLEAR = 4
LOOP_INFO64 = "QQQQQIIII64s64s32sQQ"
LO_NAME = slice(56, 120)
LO_SIZELIMIT = 4
"""Its place in that structure: beyond so many bytes the device ends, and whatever is asked of it there is an EIO."""
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_NOLOGFLUSH = 2
BLOCK_BYTES = 4096


def lose(top: Path) -> None:
    """Shuts the file system down; its journal is not flushed. Raises FaultError."""
    fd = os.open(top, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_FLAGS_NOLOGFLUSH))
    except OSError as error:
        raise FaultError(f"the disk at {top} did not lose power: {error}") from None
    finally:
        os.close(fd)


def loop_name(device: Path) -> str:
    """What stands in a loop device's name field. Raises `OSError`, also for one that is not in use."""
    status = loop_call(device, LOOP_GET_STATUS64, bytes(struct.calcsize(LOOP_INFO64)))
    return status[LO_NAME].rstrip(b"\0").decode(errors="replace")


def loop_call(device: Path, request: int, argument: bytes = b"") -> bytes:
    """One request to a loop device. Raises `OSError`."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(fd, request, argument)
    finally:
        os.close(fd)


def loop_works() -> bool:
    """Whether this process may use loop devices at all; in a user namespace nobody may."""
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        return False
    return os.access(LOOP_CONTROL, os.R_OK | os.W_OK) and _mkfs() is not None


def _mkfs() -> str | None:
    return shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin")


def make_ext4(image: Path, size_bytes: int) -> None:
    """An image of that size with an empty file system. Raises SetupError."""
    with image.open("wb") as out:
        out.truncate(size_bytes)
    command = [_mkfs() or "mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096"]
    command += ["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(image)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        raise SetupError(f"mkfs.ext4 {image} failed with {made.returncode}: {made.stderr.strip()}")


def mount_loop(image: Path, target: Path, mark: str) -> str:
    """Mounts an image; returns the device, which carries the mark. Raises CapabilityMissing."""
    device, fd = _loop_device(image, mark)
    try:
        mount(device, str(target), "ext4", MS_NOSUID | MS_NODEV)
    finally:
        # The mount holds the device; with AUTOCLEAR it goes when the mount does, also when the holder is killed.
        os.close(fd)
    return device


def cut_short(device: str) -> None:
    """Ends the device after its first block. Its image and what is in memory stay."""
    fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        info = bytearray(struct.calcsize(LOOP_INFO64))
        fcntl.ioctl(fd, LOOP_GET_STATUS64, info)
        values = list(struct.unpack(LOOP_INFO64, info))
        values[LO_SIZELIMIT] = BLOCK_BYTES
        fcntl.ioctl(fd, LOOP_SET_STATUS64, struct.pack(LOOP_INFO64, *values))
    except OSError as error:
        raise FaultError(f"{device} could not be cut short: {error}") from None
    finally:
        os.close(fd)


def make_read_only(device: str, top: Path) -> None:
    """What ext4 does by itself when it finds an error (`errors=remount-ro`): its journal is aborted."""
    try:
        mount(device, str(top), "ext4", MS_REMOUNT | MS_NOSUID | MS_NODEV, "abort")
    except OSError as error:
        raise FaultError(f"{device} could not be made read-only: {error}") from None


def _loop_device(image: Path, mark: str) -> tuple[str, int]:
    backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    control = os.open(LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _attempt in range(50):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            fd = _configure(number, backing, mark)
            if fd is not None:
                return f"/dev/loop{number}", fd
    except OSError as error:
        raise CapabilityMissing(SIZED_DISK, f"no loop device for {image}: {error}") from None
    finally:
        os.close(backing)
        os.close(control)
    raise CapabilityMissing(SIZED_DISK, f"no loop device for {image}: others took 50 free ones away; try again")


def _configure(number: int, backing: int, mark: str) -> int | None:
    device = Path(f"/dev/loop{number}")
    if not device.exists():
        os.mknod(device, 0o660 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, number))
    fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    info = struct.pack(LOOP_INFO64, 0, 0, 0, 0, 0, 0, 0, 0, LO_FLAGS_AUTOCLEAR, mark.encode(), b"", b"", 0, 0)
    try:
        fcntl.ioctl(fd, LOOP_CONFIGURE, struct.pack("II", backing, 0) + info + bytes(64))
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EBUSY:
            return None
        raise
    return fd
