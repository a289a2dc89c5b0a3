"""Whether the machine's own disk gets on: a few bytes written and synced every half second, where the stores lie."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

BEAT_S: Final = 0.5
SLOW_S: Final = 1.0
_BYTES: Final = b"." * 512


class DiskPulse:
    """Calls `slow(from_ns, to_ns)`, monotonic, after each sync of a small file in `directory` that took a second.

    The stores and the disk images of every node are files of that filesystem. When it holds everybody up, a broker that
    flushes before it answers is late, or answers FLUSH_DISK_TIMEOUT, for no reason of its own. A disk that is slow for
    one file alone is not seen.
    """

    def __init__(
        self, directory: Path, slow: Callable[[int, int], None], *, beat_s: float = BEAT_S, slow_s: float = SLOW_S
    ) -> None:
        self._path = directory / "pulse"
        self._slow = slow
        self._beat_s = beat_s
        self._slow_ns = int(slow_s * 1e9)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="disk-pulse")
        self._thread.start()

    def close(self) -> None:
        """Beats no more once the sync that is under way has ended; the file goes with its directory."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_s):
            began_ns = time.monotonic_ns()
            # A full disk, or a directory that is being removed, is for whoever needs it to say.
            with suppress(OSError):
                self._sync()
            now_ns = time.monotonic_ns()
            if now_ns - began_ns > self._slow_ns:
                self._slow(began_ns, now_ns)

    def _sync(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, _BYTES, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
