"""Threads that send one message after the other: what the Java modes sync, oneway and orderly have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from harness.clients.config import ProducerConfig
from harness.clients.outcome import Outcome
from harness.clients.pace import Pacer, Tally, numbers_of, shared_numbers
from harness.clients.record import Recorder, SendLines

SendOne = Callable[[int], None]


class Senders:
    """Runs `send_one(n)` in the configured number of threads, paced, until told to stop or all n are sent.

    `send_one` records invoke and completion itself and never raises but where the worker must end.
    """

    def __init__(self, config: ProducerConfig, pacer: Pacer, tally: Tally, send_one: SendOne) -> None:
        self._config = config
        self._pacer = pacer
        self._tally = tally
        self._send_one = send_one
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Starts the threads; they wait for the pacer."""
        shared = shared_numbers(self._config.max_messages)
        count = 1 if self._config.mode == "async" else self._config.threads
        for index in range(count):
            numbers = self._own_numbers(index) if self._config.mode == "orderly" else shared
            thread = threading.Thread(target=self._loop, args=(numbers,), daemon=True, name=f"sender-{index}")
            self._threads.append(thread)
            thread.start()

    @property
    def idle(self) -> bool:
        """Every thread has ended and nothing is in flight."""
        return not any(t.is_alive() for t in self._threads) and self._tally.in_flight <= 0

    def stop(self, timeout_s: float) -> None:
        """Halts the pacer and waits until idle, at most so long."""
        self._pacer.halt()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        never = threading.Event()
        while self._tally.in_flight > 0 and time.monotonic() < deadline:
            never.wait(0.005)

    def _own_numbers(self, index: int) -> Iterator[int]:
        config = self._config
        return numbers_of(index, senders=config.threads, keys=config.keys, most=config.max_messages)

    def _loop(self, numbers: Iterator[int]) -> None:
        # Admission first: a number that was taken is a number that is sent.
        admit, send_one = self._pacer.admit, self._send_one
        while admit():
            n = next(numbers, None)
            if n is None:
                return
            send_one(n)


class Sending:
    """The part of a `Client` that is the same for every producer whose sends are made by `Senders`."""

    tally: Tally
    _config: ProducerConfig
    _lines: SendLines
    _pacer: Pacer
    _recorder: Recorder
    _senders: Senders

    def go(self) -> None:
        """See `Client`."""
        self._pacer.go()

    def pause(self) -> None:
        """See `Client`."""
        self._pacer.pause()

    def set_rate(self, rate_per_s: float | None) -> None:
        """See `Client`."""
        self._pacer.set_rate(rate_per_s)

    def stop(self, timeout_s: float) -> None:
        """See `Client`."""
        self._senders.stop(timeout_s)

    @property
    def done(self) -> bool:
        """See `Client`."""
        return self._config.max_messages is not None and self._senders.idle

    def _invoke(self, n: int) -> None:
        """Records that message n is about to be sent."""
        self._recorder.write(self._lines.invoke(n, time.monotonic_ns()))
        self.tally.invoked()

    def _end(self, n: int, now_ns: int, verdict: Outcome, status: str, broker: str = "") -> None:
        """Records how the send of message n ended, of which nothing tells where it is, but at most the broker's name.

        A one-way send is told no place, and that of a half message is not where it will be seen.
        """
        self._recorder.write(self._lines.ended(n, now_ns, verdict, status, broker))
        self.tally.completed(verdict, now_ns)
