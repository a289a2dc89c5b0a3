"""Whether this process was being scheduled: a tick every 100 ms, and a word when one comes much too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.1
LATE_S: Final = 1.0


class Ticker:
    """Calls `stood_still(from_ns, to_ns)`, monotonic, after each stretch in which this process did not get on.

    That is one in which a tick came more than a second late: the process was stopped, the machine was starved, or
    Python was held up by something in it. A pause of the JVM alone, in which Python's threads go on, is not seen, and
    nor is that another process (a broker) was starved.
    """

    def __init__(
        self, stood_still: Callable[[int, int], None], *, tick_s: float = TICK_S, late_s: float = LATE_S
    ) -> None:
        self._stood_still = stood_still
        self._tick_s = tick_s
        self._late_ns = int((tick_s + late_s) * 1e9)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True, name="ticks")
        self._thread.start()

    def close(self) -> None:
        """Ticks no more; what was late until now has been told."""
        self._ended.set()
        self._thread.join()

    def _tick(self) -> None:
        before_ns = time.monotonic_ns()
        over = False
        while not over:
            over = self._ended.wait(self._tick_s)
            now_ns = time.monotonic_ns()
            if now_ns - before_ns > self._late_ns:
                self._stood_still(before_ns, now_ns)
            before_ns = now_ns
