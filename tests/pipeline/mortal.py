"""A producer that acknowledges its first message and dies a second later, unasked."""

from __future__ import annotations

import os
import threading
import time

from harness.clients.pace import Tally
from harness.clients.record import SendLines


def make(config, recorder):
    return Mortal(config, recorder)


class Mortal:
    done = False

    def __init__(self, config, recorder) -> None:
        self.tally = Tally()
        self._lines = SendLines(config.process, config.topic)
        self._recorder = recorder

    def versions(self) -> dict[str, str]:
        return {}

    def start(self) -> None: ...

    def go(self) -> None:
        self._recorder.write(self._lines.invoke(1, time.monotonic_ns()))
        self.tally.invoked()
        self._recorder.write(self._lines.done(1, time.monotonic_ns(), "info", "unknown", ("broker-a", 0, 0)))
        self.tally.completed("ok", time.monotonic_ns())
        threading.Timer(1.0, self._die).start()

    def pause(self) -> None: ...

    def set_rate(self, rate_per_s: float | None) -> None: ...

    def stop(self, timeout_s: float) -> None: ...

    def _die(self) -> None:
        os.write(2, b"out of breath\n")
        os._exit(3)
