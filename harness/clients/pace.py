"""When the next message may be sent, and how many there have been: shared by all threads of one worker."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

_MAX_BACKLOG_S = 0.1


class Pacer:
    """Lets sends through at a rate, or as fast as they come. Starts paused.

    A sender that was held up (all threads waiting on a dead broker) catches up at most 100 ms of sends, so that
    an outage is not followed by a burst that no load of this rate would make.
    """

    def __init__(self, rate_per_s: float | None) -> None:
        self._lock = threading.Lock()
        self._interval_s = _interval_s(rate_per_s)
        self._next_s = 0.0
        self._running = threading.Event()
        self._halted = threading.Event()

    @property
    def running(self) -> bool:
        """Neither paused nor halted."""
        return self._running.is_set() and not self._halted.is_set()

    @property
    def halted(self) -> bool:
        """Nothing will be let through any more."""
        return self._halted.is_set()

    def go(self) -> None:
        """Lets sends through."""
        self._running.set()

    def pause(self) -> None:
        """Holds every sender until `go`."""
        self._running.clear()

    def halt(self) -> None:
        """Lets nothing through any more and wakes every waiting sender."""
        self._halted.set()
        self._running.set()

    def set_rate(self, rate_per_s: float | None) -> None:
        """From the next send on; None is as fast as possible."""
        with self._lock:
            self._interval_s = _interval_s(rate_per_s)

    def slot_s(self) -> float:
        """Takes the next place in time: how long until it has come (0 if it has). Does not wait."""
        if self._interval_s == 0.0:
            return 0.0
        with self._lock:
            now = time.monotonic()
            slot = max(self._next_s, now - _MAX_BACKLOG_S)
            self._next_s = slot + self._interval_s
        return max(0.0, slot - now)

    def due(self, most: int) -> tuple[int, float]:
        """How many of at most `most` sends are due now, and how long until the next one. Does not wait."""
        if self._interval_s == 0.0:
            return most, 0.0
        with self._lock:
            now = time.monotonic()
            self._next_s = max(self._next_s, now - _MAX_BACKLOG_S)
            count = min(most, max(0, int((now - self._next_s) / self._interval_s) + 1)) if self._next_s <= now else 0
            self._next_s += count * self._interval_s
            return count, max(0.0, self._next_s - now)

    def admit(self) -> bool:
        """Waits until one send may go; False if none ever will."""
        delay_s = self.slot_s()
        if delay_s > 0.0:
            self._halted.wait(delay_s)
        if not self._running.is_set():
            self._running.wait()
        return not self._halted.is_set()


@dataclass(slots=True)
class Counts:
    """What a worker did so far. `last_*_ns` are 0 until there was one."""

    invoked: int = 0
    ok: int = 0
    fail: int = 0
    info: int = 0
    delivered: int = 0
    last_ok_ns: int = 0
    last_delivery_ns: int = 0

    @property
    def in_flight(self) -> int:
        """Asked for and not answered."""
        return self.invoked - self.ok - self.fail - self.info


class Tally:
    """Counts from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def invoked(self, count: int = 1) -> None:
        """So many sends are about to leave."""
        with self._lock:
            self._counts.invoked += count

    def completed(self, outcome: str, time_ns: int) -> None:
        """One send came to its outcome."""
        with self._lock:
            counts = self._counts
            if outcome == "ok":
                counts.ok += 1
                counts.last_ok_ns = max(counts.last_ok_ns, time_ns)
            elif outcome == "fail":
                counts.fail += 1
            else:
                counts.info += 1

    def delivered(self, count: int, time_ns: int) -> None:
        """So many messages were given to the listener."""
        with self._lock:
            self._counts.delivered += count
            self._counts.last_delivery_ns = max(self._counts.last_delivery_ns, time_ns)

    def snapshot(self) -> dict[str, int]:
        """All counts of one instant, `in_flight` among them."""
        with self._lock:
            return asdict(self._counts) | {"in_flight": self._counts.in_flight}

    @property
    def in_flight(self) -> int:
        """Asked for and not answered."""
        with self._lock:
            return self._counts.in_flight


def numbers_of(sender: int, *, senders: int, keys: int | None, most: int | None) -> Iterator[int]:
    """The message numbers that sender i of an orderly load sends: those whose key (n % keys) is its own."""
    for n in itertools.count():
        if most is not None and n >= most:
            return
        if keys is None or (n % keys) % senders == sender:
            yield n


def shared_numbers(most: int | None) -> Iterator[int]:
    """0, 1, 2... for all senders together: `next` on it is atomic."""
    return itertools.count() if most is None else iter(range(most))


def _interval_s(rate_per_s: float | None) -> float:
    return 0.0 if rate_per_s is None else 1.0 / rate_per_s
