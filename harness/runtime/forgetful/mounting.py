"""Gives a directory a disk that forgets: the mount, and the process that serves it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import harness
from harness.core.errors import CapabilityMissing, FaultError
from harness.runtime.base import POWER_CUT
from harness.runtime.forgetful.memory import restore
from harness.runtime.forgetful.server import WORD_BYTES
from harness.runtime.namespaces import MS_NODEV, MS_NOSUID, mount, unmount

DEVICE: Final = Path("/dev/fuse")
ANSWER_S: Final = 10.0
_SERVE: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from harness.runtime.forgetful.server import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5], int(sys.argv[6]))"
)


class ForgetfulDisk:
    """One disk, made empty below `work` and mounted on `top` by `mount`. Unmounted with an ordinary unmount."""

    def __init__(self, work: Path, top: Path, size_bytes: int) -> None:
        self._live = work / "live"
        self._kept = work / "kept"
        self._top = top
        self._size = size_bytes
        self._control: socket.socket | None = None
        self._lost = False
        for directory in (self._live, self._kept):
            directory.mkdir(parents=True)

    def mount(self) -> None:
        """Mounts it; after a loss of power or EIO with what was kept. Raises CapabilityMissing without /dev/fuse."""
        if self._lost:
            restore(self._live, self._kept)
            self._lost = False
        try:
            device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            reason = f"{DEVICE} cannot be opened ({error.strerror}): without root a power cut needs it"
            raise CapabilityMissing(POWER_CUT, reason) from None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._mount_device(device)
            try:
                self._start(device, theirs)
            except BaseException:
                unmount(str(self._top))
                raise
        finally:
            os.close(device)
            theirs.close()
        ours.settimeout(ANSWER_S)
        self._control = ours

    def tell(self, word: str) -> None:
        """A word that the server knows; returns when it is so. After one that fails it, `mount` gives what was kept."""
        self._lost = self._lost or word in ("lose", "eio", "read-only")
        if self._control is None:
            raise FaultError(f"the disk on {self._top} is not mounted; {word!r} was not done")
        try:
            self._control.send(word.encode())
            answered = self._control.recv(WORD_BYTES).decode()
        except OSError as error:
            # An answer that comes later would be taken for that of another word.
            self.unmounted()
            raise FaultError(f"the disk on {self._top} did not answer {word!r}: {error}") from None
        if answered != "done":
            said = answered.removeprefix("wrong ") or "its process has ended"
            raise FaultError(f"the disk on {self._top} cannot say what it kept; {word!r} proves nothing: {said}")

    def unmounted(self) -> None:
        """Say so after each unmount: the process that served it has ended by itself, or ends now."""
        if self._control is not None:
            with suppress(OSError):
                self._control.send(b"quit")
            self._control.close()
            self._control = None

    def discard(self) -> None:
        """What was on it is gone. Idempotent; call it when it is not mounted."""
        self.unmounted()
        for directory in (self._live, self._kept):
            shutil.rmtree(directory, ignore_errors=True)

    def _mount_device(self, device: int) -> None:
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        try:
            mount("rmq-forgetful", str(self._top), "fuse", MS_NOSUID | MS_NODEV, options)
        except OSError as error:
            raise CapabilityMissing(POWER_CUT, f"FUSE cannot be mounted ({error.strerror}): modprobe fuse") from None

    def _start(self, device: int, control: socket.socket) -> None:
        numbers = [str(device), str(control.fileno())]
        root = str(Path(harness.__file__).resolve().parent.parent)
        words = [sys.executable, "-I", "-c", _SERVE, root, *numbers, str(self._live), str(self._kept), str(self._size)]
        subprocess.Popen(words, pass_fds=(device, control.fileno()), stdin=subprocess.DEVNULL, cwd="/")
