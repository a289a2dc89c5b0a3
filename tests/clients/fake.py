"""A client without a network: what the worker protocol is tested with. The group says how it behaves."""

from __future__ import annotations

import os
import threading
import time

from harness.clients.config import ProducerConfig
from harness.clients.pace import Pacer, Tally
from harness.clients.record import Recorder, SendLines
from harness.clients.senders import Senders
from harness.core.errors import ClientError


def make(config, recorder):
    return MemoryProducer(config, recorder)


class MemoryProducer:
    def __init__(self, config: ProducerConfig, recorder: Recorder) -> None:
        self.tally = Tally()
        self.config = config
        self.recorder = recorder
        self.lines = SendLines(config.process, config.topic)
        self.pacer = Pacer(config.rate_per_s)
        self.senders = Senders(config, self.pacer, self.tally, self.send)
        self.never = threading.Event()

    def versions(self):
        return {"memory": "1"}

    def start(self):
        print("noise on fd 1 that a JVM might make")  # noqa: T201
        os.write(1, b"more noise\n")
        if self.config.group == "refuse":
            raise ClientError("no JVM anywhere")
        if self.config.group == "die":
            os.write(2, b"the reason is on stderr\n")
            os._exit(3)
        if self.config.group == "garbage":
            for fd in range(3, 20):
                try:
                    if os.path.realpath(f"/proc/self/fd/{fd}").startswith("/proc") and fd != 3:
                        os.write(fd, b"this is no event\n")
                        break
                except OSError:
                    continue
        self.senders.start()

    def go(self):
        self.pacer.go()

    def pause(self):
        self.pacer.pause()

    def set_rate(self, rate_per_s):
        self.pacer.set_rate(rate_per_s)

    def stop(self, timeout_s):
        self.senders.stop(timeout_s)

    @property
    def done(self):
        return self.config.max_messages is not None and self.senders.idle

    def send(self, n):
        self.recorder.write(self.lines.invoke(n, time.monotonic_ns()))
        self.tally.invoked()
        if self.config.group == "stuck" and n == 5:
            self.never.wait(60)
        if self.config.group == "bug" and n == 5:
            raise RuntimeError("a bug in a sender thread")
        now = time.monotonic_ns()
        self.recorder.write(self.lines.done(n, now, "ok", "SEND_OK", ("broker-a", 0, n)))
        self.tally.completed("ok", now)
