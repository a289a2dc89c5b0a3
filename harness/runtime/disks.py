"""Disks of a size: ext4 on a loop device as root; without it a limited tmpfs, or a FUSE that can lose power."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import struct
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import CapabilityMissing, FaultError, SetupError, UsageError
from harness.runtime.base import IO_ERROR, POWER_CUT, SIZED_DISK, Disk, DiskUsage
from harness.runtime.forgetful.mounting import ForgetfulDisk
from harness.runtime.namespaces import MS_NODEV, MS_NOSUID, bind, mount, sync_filesystem, unmount
from harness.runtime.places import RMQ, home

LOOP_CONTROL = Path("/dev/loop-control")
LOOP_CTL_GET_FREE = 0x4C82
LOOP_CONFIGURE = 0x4C0A
LOOP_SET_STATUS64 = 0x4C04
LOOP_GET_STATUS64 = 0x4C05
LOOP_MAJOR = 7
LO_FLAGS_AUTOCLEAR = 4
LOOP_INFO64 = "QQQQQIIII64s64s32sQQ"
LO_SIZELIMIT = 4
"""Its place in that structure: beyond so many bytes the device ends, and whatever is asked of it there is an EIO."""
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_NOLOGFLUSH = 2
MIN_SIZE_BYTES = 16 << 20
FILLER = "filler"
CANARY = "canary"
BLOCK_BYTES = 4096
FILL_TOLERANCE = 0.005


@dataclass
class _Attached:
    disk: Disk
    source: Path
    image: Path | None = None
    mounted: bool = False
    device: str = ""
    failed: bool = False
    forgetful: ForgetfulDisk | None = None

    @property
    def can_lose(self) -> bool:
        """It tells what was synced from what was not."""
        return self.image is not None or self.forgetful is not None

    @property
    def top(self) -> Path:
        """Where the file system itself is mounted; the store is a directory in it."""
        return self.source.parent


class Disks:
    """The disks of all nodes. A node's store is always a bind of its `source`, so that what fills lies outside."""

    def __init__(self, loop_mark: str) -> None:
        self._loop_mark = loop_mark
        self._attached: dict[str, _Attached] = {}
        self._loop = _loop_works()

    def of(self, node: str) -> Disk:
        """What the node was given."""
        return self._attached[node].disk

    def attach(self, node: str, disk: Disk, work: Path) -> Path:
        """Makes the disk; returns the directory that is to be the store. `work` is on the machine's disk."""
        if disk.kind == "plain":
            self._attached[node] = _Attached(disk, work / "store")
            return work / "store"
        if disk.size_bytes < MIN_SIZE_BYTES:
            raise UsageError(f"node {node!r}: a sized disk has at least {MIN_SIZE_BYTES} bytes, not {disk.size_bytes}")
        image = work / "disk.img" if self._loop and not disk.unprivileged else None
        attached = _Attached(disk, RMQ / ".disks" / node / "store", image)
        attached.top.mkdir(parents=True, exist_ok=True)
        if image is not None:
            work.mkdir(parents=True, exist_ok=True)
            _make_ext4(image, disk.size_bytes)
        elif disk.forgets:
            attached.forgetful = ForgetfulDisk(work / "disk", attached.top, disk.size_bytes)
        try:
            self._mount(attached)
        except BaseException:
            if attached.forgetful is not None:
                attached.forgetful.discard()
            raise
        with suppress(OSError):
            (attached.top / "lost+found").rmdir()
        attached.source.mkdir()
        self._attached[node] = attached
        return attached.source

    def detach(self, node: str) -> None:
        """Takes the disk away, with what is on it. Idempotent."""
        attached = self._attached.pop(node, None)
        if attached is None:
            return
        if attached.mounted:
            unmount(str(attached.top))
        if attached.forgetful is not None:
            attached.forgetful.discard()
        if attached.image is not None:
            attached.image.unlink(missing_ok=True)
        if attached.disk.kind == "plain":
            shutil.rmtree(attached.source, ignore_errors=True)

    def act(self, node: str, action: str, **values: Any) -> dict[str, Any]:
        """One action by name, on the node's disk."""
        attached = self._attached[node]
        if action == "sync":
            _sync(attached.source)
            if attached.forgetful is not None:
                attached.forgetful.tell("sync")
        elif action == "usage":
            return _usage_reply(_usage(attached.source))
        elif action in ("fill", "free"):
            return _usage_reply(_fill(node, attached, values.get("ratio", 0.0)))
        elif action in ("lose", "unmount", "mount"):
            self._power(node, attached, action)
        elif action == "answers":
            return {"answers": _answers(attached.top)}
        elif action in ("fail", "mend"):
            return {"mended": self._errors(node, attached, fail=action == "fail")}
        else:
            raise UsageError(f"a disk has no action {action!r}")
        return {}

    def _errors(self, node: str, attached: _Attached, *, fail: bool) -> bool:
        """Whether it changed. What the page cache has is not touched: reads of it go on, as on any machine."""
        if not attached.can_lose:
            reason = f"the disk of {node!r} is neither a loop device nor one of FUSE: EIO needs root or /dev/fuse"
            raise CapabilityMissing(IO_ERROR, reason)
        changed = attached.failed != fail
        if changed and fail:
            attached.forgetful.tell("fail") if attached.forgetful is not None else _fail(attached.device)
        # Mended by being mounted anew, on a device that ends where its image does. The failing one goes with the old
        # mount: were it whole again by then, the kernel would still write to it what the disk had refused.
        attached.failed = fail
        return changed

    def _power(self, node: str, attached: _Attached, action: str) -> None:
        if not attached.can_lose:
            kind = "plain" if attached.disk.kind == "plain" else "a tmpfs"
            needed = "ext4 on a loop device (root and mkfs.ext4) or FUSE (/dev/fuse)"
            raise CapabilityMissing(POWER_CUT, f"the disk of {node!r} is {kind}: a power cut needs {needed}")
        store = str(home(node) / "store")
        if action == "lose":
            attached.forgetful.tell("lose") if attached.forgetful is not None else _lose(attached.top)
        elif action == "unmount" and attached.mounted:
            _unmount_if_mounted(store)
            unmount(str(attached.top))
            attached.mounted = False
            if attached.forgetful is not None:
                attached.forgetful.unmounted()
        elif action == "mount" and not attached.mounted:
            self._mount(attached)
            attached.source.mkdir(exist_ok=True)
            bind(attached.source, Path(store))

    def _mount(self, attached: _Attached) -> None:
        if attached.forgetful is not None:
            attached.forgetful.mount()
        elif attached.image is None:
            options = f"size={attached.disk.size_bytes},mode=0755"
            try:
                mount("rmq-disk", str(attached.top), "tmpfs", MS_NOSUID | MS_NODEV, options)
            except OSError as error:
                raise CapabilityMissing(SIZED_DISK, f"neither a loop device nor a tmpfs can be had: {error}") from None
        else:
            attached.device = _mount_loop(attached.image, attached.top, self._loop_mark)
        attached.mounted = True


def _unmount_if_mounted(path: str) -> None:
    try:
        unmount(path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_filesystem(fd)
    finally:
        os.close(fd)


def _lose(top: Path) -> None:
    fd = os.open(top, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_FLAGS_NOLOGFLUSH))
    except OSError as error:
        raise FaultError(f"the disk at {top} did not lose power: {error}") from None
    finally:
        os.close(fd)


def _usage(path: Path) -> DiskUsage:
    status = os.statvfs(path)
    return DiskUsage((status.f_blocks - status.f_bfree) * status.f_frsize, status.f_bavail * status.f_frsize)


def _usage_reply(usage: DiskUsage) -> dict[str, Any]:
    return {"used_bytes": usage.used_bytes, "usable_bytes": usage.usable_bytes}


def _fill(node: str, attached: _Attached, ratio: float) -> DiskUsage:
    if attached.disk.kind == "plain":
        raise CapabilityMissing(SIZED_DISK, f"node {node!r} has a plain disk: give it Disk('sized', size_bytes)")
    if not 0 <= ratio <= 1:
        raise UsageError(f"node {node!r}: a disk cannot be full to {ratio}: give a ratio from 0 to 1")
    filler = attached.top / FILLER
    if ratio == 0:
        filler.unlink(missing_ok=True)
        return _usage(attached.top)
    usage = _usage(attached.top)
    size = filler.stat().st_size if filler.exists() else 0
    wanted = size + int(ratio * (usage.used_bytes + usage.usable_bytes)) - usage.used_bytes
    fd = os.open(filler, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if wanted > size:
            os.posix_fallocate(fd, 0, min(wanted, size + usage.usable_bytes))
        else:
            os.ftruncate(fd, max(wanted, 0))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise FaultError(f"node {node!r}: the disk could not be filled to {ratio}: {error}") from None
    finally:
        os.close(fd)
    seen = _usage(attached.top)
    if abs(seen.ratio - ratio) > FILL_TOLERANCE:
        raise FaultError(
            f"node {node!r}: the disk is full to {seen.ratio:.3f}, not {ratio}: choose another ratio or size"
        )
    return seen


def _loop_works() -> bool:
    """Whether this process may use loop devices at all; in a user namespace nobody may."""
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        return False
    return os.access(LOOP_CONTROL, os.R_OK | os.W_OK) and _mkfs() is not None


def _mkfs() -> str | None:
    return shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin")


def _make_ext4(image: Path, size_bytes: int) -> None:
    with image.open("wb") as out:
        out.truncate(size_bytes)
    command = [_mkfs() or "mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096"]
    command += ["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(image)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        raise SetupError(f"mkfs.ext4 {image} failed with {made.returncode}: {made.stderr.strip()}")


def _mount_loop(image: Path, target: Path, mark: str) -> str:
    device, fd = _loop_device(image, mark)
    try:
        mount(device, str(target), "ext4", MS_NOSUID | MS_NODEV)
    finally:
        # The mount holds the device; with AUTOCLEAR it goes when the mount does, also when the holder is killed.
        os.close(fd)
    return device


def _fail(device: str) -> None:
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


def _answers(top: Path) -> bool:
    """Overwrites a block that was written before, which needs nothing new of the file system, and syncs it."""
    path = top / CANARY
    try:
        made = not path.exists()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.pwrite(fd, os.urandom(BLOCK_BYTES), 0)
        (os.fsync if made else os.fdatasync)(fd)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


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
