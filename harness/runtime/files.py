"""The part of the local runtime that is about files and disks."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, BinaryIO

from harness.core.errors import CapabilityMissing, FaultError, SetupError, UsageError
from harness.runtime.base import IO_ERROR, POWER_CUT, DiskUsage, FailsBy, FileEntry, PowerCut, ProcessState
from harness.runtime.link import Reply
from harness.waiting import wait_for

_TAIL_BYTES = 1 << 16
_FREEZE_S = 5.0
_UNMOUNT_S = 5.0


class FilesAndDisks:
    """Asks the holder, who alone sees the nodes' directories; contents come through descriptors."""

    def _ask(self, op: str, fds: Any = (), **values: Any) -> Reply:
        raise NotImplementedError

    def state(self, node: str) -> ProcessState:
        """What the node's process does now."""
        raise NotImplementedError

    def _kill_all(self, node: str) -> None:
        raise NotImplementedError

    # files

    def _open(self, node: str, path: str, *, write: bool) -> BinaryIO:
        fd = self._ask("open", node=node, path=path, write=write).fds[0]
        return os.fdopen(fd, "wb" if write else "rb")

    def read_file(self, node: str, path: str) -> bytes:
        """A file below the node's home."""
        with self._open(node, path, write=False) as source:
            return source.read()

    def tail(self, node: str, lines: int = 20) -> str:
        """The last lines of the node's output; empty if it wrote none."""
        try:
            with self._open(node, "logs/stdout.log", write=False) as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except UsageError:
            raise
        except SetupError:
            return ""

    def write_file(self, node: str, path: str, data: bytes) -> None:
        """Creates or replaces a file below the node's home; not synced."""
        with self._open(node, path, write=True) as target:
            target.write(data)

    def patch_file(self, node: str, path: str, at: int, data: bytes) -> None:
        """Changes these bytes of a file below the node's home and no others; not synced."""
        fd = self._ask("open", node=node, path=path, write=True, whole=False).fds[0]
        try:
            os.pwrite(fd, data, at)
        finally:
            os.close(fd)

    def list_files(self, node: str, subdir: str = ".") -> tuple[FileEntry, ...]:
        """Every regular file below `home/subdir`."""
        return tuple(FileEntry(*entry) for entry in self._ask("list_files", node=node, subdir=subdir).values["files"])

    def set_mtime(self, node: str, pattern: str, age_s: float) -> int:
        """Makes matching files this old."""
        return int(self._ask("set_mtime", node=node, pattern=pattern, age_s=age_s).values["count"])

    def empty_store(self, node: str) -> None:
        """Deletes everything in the node's store; refused while its process lives."""
        self._ask("empty_store", node=node)

    # disks

    def _disk(self, node: str, action: str, **values: Any) -> dict[str, Any]:
        return self._ask("disk", node=node, action=action, **values).values

    def disk_usage(self, node: str) -> DiskUsage:
        """How full the file system under the node's store is."""
        return DiskUsage(**self._disk(node, "usage"))

    def fill_disk(self, node: str, ratio: float) -> DiskUsage:
        """Fills to `ratio`; 1.0 leaves no block. What the node writes meanwhile adds to it."""
        return DiskUsage(**self._disk(node, "fill", ratio=ratio))

    def free_disk(self, node: str) -> DiskUsage:
        """Takes the filler away."""
        return DiskUsage(**self._disk(node, "free"))

    def sync_disk(self, node: str) -> None:
        """Syncfs on the node's disk."""
        self._disk(node, "sync")

    def cut_power(self, node: str) -> PowerCut:
        """Freezes every thread, shuts the file system down without a last flush, kills, remounts (journal replay).

        Frozen first, so nothing can be acknowledged after the loss. What the network still held is not lost.
        """
        disk = self._node_disk_kind(node)
        if disk != "sized":
            raise CapabilityMissing(POWER_CUT, f"node {node!r} has a {disk} disk: give it Disk('sized', size_bytes)")
        if not self.state(node).alive:
            raise UsageError(f"node {node!r} runs nothing that could lose power: start it first")
        self._ask("signal", node=node, signum=int(signal.SIGSTOP))
        wait_for(
            lambda: self.state(node).kind == "stopped",
            what=f"every thread of {node!r} to be frozen before the power goes",
            timeout_s=_FREEZE_S,
            poll_s=0.001,
            last_seen=lambda: str(self.state(node)),
        )
        stopped_ns = time.monotonic_ns()
        try:
            self._disk(node, "lose")
        except (FaultError, CapabilityMissing):
            self._ask("signal", node=node, signum=int(signal.SIGCONT))
            raise
        lost_ns = time.monotonic_ns()
        self._remount(node)
        return PowerCut(stopped_ns, lost_ns, time.monotonic_ns())

    def fail_disk(self, node: str, how: FailsBy = "eio") -> None:
        """Every block of the disk is out of its reach from now on, those of its journal too; or it takes no change."""
        disk = self._node_disk_kind(node)
        if disk != "sized":
            raise CapabilityMissing(IO_ERROR, f"node {node!r} has a {disk} disk: give it Disk('sized', size_bytes)")
        self._disk(node, "fail", how=how)

    def mend_disk(self, node: str) -> None:
        """Ends what runs, unmounts the disk while it still fails, and mounts it whole: what it refused stays lost."""
        if self._disk(node, "mend")["mended"]:
            self._remount(node)

    def disk_answers(self, node: str) -> bool:
        """Overwrites one block of a file of our own on the disk and syncs it."""
        return bool(self._disk(node, "answers")["answers"])

    def slow_disk(self, node: str, delay_s: float) -> None:
        """Syncs wait, and writes through a descriptor of a file that is being synced; reads and mappings do not."""
        self._disk(node, "slow", delay_s=delay_s)

    def sync_s(self, node: str) -> float:
        """Overwrites one block of a file of our own on the disk and syncs it."""
        began = time.monotonic()
        self._disk(node, "answers")
        return time.monotonic() - began

    def _remount(self, node: str) -> None:
        self._kill_all(node)
        wait_for(
            lambda: self._unmounted(node),
            what=f"the disk of {node!r} to be unmounted",
            timeout_s=_UNMOUNT_S,
            poll_s=0.005,
            last_seen=lambda: "busy: close every file and connection to its store",
        )
        self._disk(node, "mount")

    def _node_disk_kind(self, node: str) -> str:
        raise NotImplementedError

    def _unmounted(self, node: str) -> bool:
        try:
            self._disk(node, "unmount")
        except SetupError as error:
            if "umount" in str(error):
                return False
            raise
        return True
