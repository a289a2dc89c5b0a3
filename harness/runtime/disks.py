"""Disks of a size: ext4 on a loop device as root; without it a limited tmpfs, or a FUSE that can lose power."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import CapabilityMissing, FaultError, UsageError
from harness.runtime.base import IO_ERROR, POWER_CUT, SIZED_DISK, SLOW_DISK, Disk, DiskUsage
from harness.runtime.forgetful.mounting import ForgetfulDisk
from harness.runtime.loops import (
    BLOCK_BYTES,
    cut_short,
    loop_name,
    loop_works,
    lose,
    make_ext4,
    make_read_only,
    mount_loop,
)
from harness.runtime.namespaces import MS_NODEV, MS_NOSUID, bind, mount, sync_filesystem, unmount
from harness.runtime.places import RMQ, home

MIN_SIZE_BYTES = 16 << 20
SYS_BLOCK = Path("/sys/block")
FILLER = "filler"
CANARY = "canary"
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
        self._loop = loop_works()

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
            make_ext4(image, disk.size_bytes)
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

    def released(self, node: str) -> bool:
        """Whether nobody has the disk mounted any more: the kernel then lets go of its loop device.

        Somebody else may have it by then.
        """
        device = Path(self._attached[node].device)
        if not device.name or not (SYS_BLOCK / device.name / "loop/backing_file").exists():
            return True
        try:
            return loop_name(device) != self._loop_mark
        except OSError:
            return False

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
                _sync_each(attached.top)
                attached.forgetful.tell("sync")
        elif action == "usage":
            return _usage_reply(_usage(attached.source))
        elif action in ("fill", "free"):
            return _usage_reply(_fill(node, attached, values.get("ratio", 0.0)))
        elif action in ("lose", "unmount", "mount"):
            self._power(node, attached, action)
        elif action == "answers":
            return {"answers": _answers(attached.top)}
        elif action == "slow":
            if attached.forgetful is None:
                raise CapabilityMissing(
                    SLOW_DISK, f"the disk of {node!r} is none of FUSE: only these can be slowed down"
                )
            attached.forgetful.tell(f"slow {values['delay_s']}")
        elif action in ("fail", "mend"):
            return {"mended": self._errors(node, attached, values.get("how", "") if action == "fail" else "")}
        else:
            raise UsageError(f"a disk has no action {action!r}")
        return {}

    def _errors(self, node: str, attached: _Attached, how: str) -> bool:
        """Whether it changed. What the page cache has is not touched: reads of it go on, as on any machine."""
        if not attached.can_lose:
            reason = f"the disk of {node!r} is neither a loop device nor one of FUSE: EIO needs root or /dev/fuse"
            raise CapabilityMissing(IO_ERROR, reason)
        changed = attached.failed != bool(how)
        if changed and how:
            if attached.forgetful is not None:
                attached.forgetful.tell(how)
            elif how == "eio":
                cut_short(attached.device)
            else:
                make_read_only(attached.device, attached.top)
        # Mended by being mounted anew, on a device that ends where its image does. The failing one goes with the old
        # mount: were it whole again by then, the kernel would still write to it what the disk had refused.
        attached.failed = bool(how)
        return changed

    def _power(self, node: str, attached: _Attached, action: str) -> None:
        if not attached.can_lose:
            kind = "plain" if attached.disk.kind == "plain" else "a tmpfs"
            needed = "ext4 on a loop device (root and mkfs.ext4) or FUSE (/dev/fuse)"
            raise CapabilityMissing(POWER_CUT, f"the disk of {node!r} is {kind}: a power cut needs {needed}")
        store = str(home(node) / "store")
        if action == "lose":
            attached.forgetful.tell("lose") if attached.forgetful is not None else lose(attached.top)
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
            attached.device = mount_loop(attached.image, attached.top, self._loop_mark)
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


def _sync_each(top: Path) -> None:
    """For FUSE, where syncfs returns before what it began has come; a file's own sync waits for it."""
    for path in top.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
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
