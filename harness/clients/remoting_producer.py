"""The built-in producer over the remoting protocol: pipelined, exact about what each attempt came to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.clients import outcome
from harness.clients.config import Config, ProducerConfig
from harness.clients.looped import Loop
from harness.clients.pace import Pacer, Tally, numbers_of, shared_numbers
from harness.clients.record import Recorder, SendLines
from harness.clients.routing import Routing, Target
from harness.core.content import body_of
from harness.core.errors import UsageError, WireError
from harness.wire import (
    AsyncAdmin,
    Connection,
    Frame,
    Malformed,
    RequestCode,
    SendTemplate,
    encode_properties,
    send_reply,
    wall_ms,
)
from harness.wire.sending import send_fields

STATUS: Final = {0: "SEND_OK", 10: "FLUSH_DISK_TIMEOUT", 11: "SLAVE_NOT_AVAILABLE", 12: "FLUSH_SLAVE_TIMEOUT"}
STORED_AS: Final = {code: outcome.of_code(code, only_attempt=True) for code in STATUS}
RETRIED: Final = frozenset({1, 14, 16, 17, 204, 205})
"""The codes after which the Java client tries again."""

_REFUSED_HOLD_S = 0.1


def make(config: Config, recorder: Recorder) -> RemotingProducer:
    """A remoting producer, not started. Raises `UsageError` for an unpaced oneway load: nothing would slow it."""
    if not isinstance(config, ProducerConfig):
        raise UsageError(f"{config.process!r} is no producer")
    if config.mode == "oneway" and config.rate_per_s is None:
        raise UsageError(f"producer {config.process!r}: oneway sends of the remoting client need a rate")
    return RemotingProducer(config, recorder)


@dataclass(slots=True)
class _Send:
    """One message on its way."""

    n: int
    slot: int
    deadline_s: float
    attempts: int = 0
    surely_not_stored: bool = True
    target: Target | None = None
    last: tuple[str, str, int | None] = field(default=("", "", None))


class RemotingProducer:
    """Keeps at most `window` (async) or `threads` messages in flight. All but the public methods run in one loop.

    A failed message is `fail` only if every attempt that was made surely did not store it.
    """

    def __init__(self, config: ProducerConfig, recorder: Recorder) -> None:
        self.tally = Tally()
        self._config = config
        self._recorder = recorder
        self._lines = SendLines(config.process, config.topic)
        self._pacer = Pacer(config.rate_per_s)
        delay = {"DELAY": str(config.delay_level)} if config.delay_level else {}
        self._properties = {"WAIT": "true", **config.properties, **delay}
        self._properties_text = encode_properties(self._properties)
        self._timeout_s = config.timeout_ms / 1000
        self._slots = config.window if config.mode == "async" else config.threads
        self._numbers = self._numbering()
        self._free: deque[int] = deque(range(self._slots))
        self._templates: dict[str, SendTemplate] = {}
        self._links: dict[str, Connection] = {}
        self._out: list[str] = []
        self._pump_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._exhausted = 0
        self._loop = Loop()

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return {"protocol": "remoting"}

    def start(self) -> None:
        """See `Client`."""
        self._loop.run(self._start())

    def go(self) -> None:
        """See `Client`."""
        self._pacer.go()
        self._loop.call(self._pump_soon)

    def pause(self) -> None:
        """See `Client`."""
        self._pacer.pause()

    def set_rate(self, rate_per_s: float | None) -> None:
        """See `Client`."""
        self._pacer.set_rate(rate_per_s)
        self._loop.call(self._pump_soon)

    def stop(self, timeout_s: float) -> None:
        """See `Client`."""
        self._pacer.halt()
        deadline = time.monotonic() + timeout_s
        never = threading.Event()
        while self.tally.in_flight and time.monotonic() < deadline:
            never.wait(0.005)
        self._loop.run(_nothing())

    @property
    def done(self) -> bool:
        """See `Client`."""
        return self._exhausted >= self._slots and self.tally.in_flight == 0

    def _numbering(self) -> list[Iterator[int]]:
        config = self._config
        if config.mode == "orderly":
            each = range(config.threads)
            return [numbers_of(i, senders=config.threads, keys=config.keys, most=config.max_messages) for i in each]
        return [shared_numbers(config.max_messages)] * self._slots

    async def _start(self) -> None:
        self._admin = AsyncAdmin()
        self._routing = Routing(self._config, self._recorder, self._admin)
        if self._config.wait_route:
            await self._routing.first()
        self._loop.keep(self._routing.follow())

    def _pump_soon(self) -> None:
        if not self._pump_due:
            self._pump_due = True
            self._loop.loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Once per turn of the loop: writes what was answered, then issues all that may leave, in two writes."""
        self._pump_due = False
        self._flush()
        if not self._pacer.running or not self._free:
            return
        count, next_s = self._pacer.due(len(self._free))
        sends = self._issue(count)
        self._flush()
        self.tally.invoked(len(sends))
        born_ms = wall_ms()
        for send in sends:
            self._attempt(send, born_ms)
        if self._free and next_s > 0.0 and (self._timer is None or self._timer.when() <= self._loop.loop.time()):
            self._timer = self._loop.loop.call_later(next_s, self._pump_soon)

    def _issue(self, count: int) -> list[_Send]:
        sends = []
        deadline_s = time.monotonic() + self._timeout_s
        for _ in range(count):
            slot = self._free.popleft()
            n = next(self._numbers[slot], None)
            if n is None:
                self._exhausted += 1
                continue
            self._out.append(self._lines.invoke(n, time.monotonic_ns()))
            sends.append(_Send(n, slot, deadline_s))
        return sends

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._recorder.write("".join(out))

    def _attempt(self, send: _Send, born_ms: int) -> None:
        target = self._routing.choose(send.n, send.target)
        if target is None:
            send.last = ("NoRoute", f"no writable queue of {self._config.topic} in the route", None)
            self._finish(send)
            return
        send.target = target
        send.attempts += 1
        link = self._links.get(target.address)
        if link is None or link.closed:
            self._loop.keep(self._attempt_dialled(send, target, born_ms))
        else:
            self._submit(send, target, link, born_ms)

    async def _attempt_dialled(self, send: _Send, target: Target, born_ms: int) -> None:
        left_s = max(0.001, send.deadline_s - time.monotonic())
        try:
            link = await self._admin.remoting.connection(target.address, min(3.0, left_s))
        except WireError as error:
            self._raised(send, error)
            return
        self._links[target.address] = link
        self._submit(send, target, link, born_ms)

    def _submit(self, send: _Send, target: Target, link: Connection, born_ms: int) -> None:
        message_id = f"{self._config.process}-{send.n}"
        body = body_of(message_id, self._config.body_bytes)
        properties = f"KEYS\x01{message_id}\x02{self._properties_text}"
        try:
            if self._config.mode == "oneway":
                self._oneway(send, target, link, body, message_id)
                return
            link.submit_opened(
                self._template(target.broker).opened(target.queue, properties, born_ms),
                body,
                lambda reply: self._replied(send, reply),
                max(0.001, send.deadline_s - time.monotonic()),
                code=RequestCode.SEND_MESSAGE_V2,
            )
        except WireError as error:
            self._raised(send, error)

    def _oneway(self, send: _Send, target: Target, link: Connection, body: bytes, message_id: str) -> None:
        properties = {"KEYS": message_id, **self._properties}
        fields = send_fields(self._config.topic, target.queue, properties, self._config.group, target.broker)
        link.oneway(RequestCode.SEND_MESSAGE_V2, fields, body)
        self._record(send, outcome.of_status("ONEWAY"), "ONEWAY", (target.broker, target.queue, -1), "")

    def _replied(self, send: _Send, reply: Frame | WireError) -> None:
        assert send.target is not None
        if not isinstance(reply, Frame):
            self._raised(send, reply)
            return
        if reply.code not in STATUS:
            verdict = outcome.of_code(reply.code, reply.remark or "", only_attempt=True)
            self._weigh(send, verdict, ("Refused", reply.remark or "", reply.code), reply.code in RETRIED)
            return
        try:
            answer = send_reply(send.target.broker, reply)
        except Malformed as error:
            self._raised(send, error)
            return
        verdict = STORED_AS[reply.code]
        if verdict != outcome.OK and self._config.retry_on_not_ok and self._may_retry(send):
            self._weigh(send, verdict, (STATUS[reply.code], reply.remark or "", reply.code), True)
            return
        place = (answer.broker, answer.queue, answer.offset)
        self._record(send, verdict, STATUS[reply.code], place, str(reply.code) if reply.code else "")

    def _raised(self, send: _Send, error: WireError) -> None:
        name = type(error).__name__
        self._weigh(send, outcome.of_error(name, None, str(error), only_attempt=True), (name, str(error), None), True)

    def _weigh(self, send: _Send, verdict: outcome.Outcome, last: tuple[str, str, int | None], again: bool) -> None:
        """One attempt failed: another one, or the end."""
        send.surely_not_stored = send.surely_not_stored and verdict == outcome.FAIL
        send.last = last
        if again and self._may_retry(send):
            self._attempt(send, wall_ms())
        else:
            self._finish(send)

    def _may_retry(self, send: _Send) -> bool:
        config = self._config
        most = 1 if config.only_attempt else 1 + config.retries
        return send.attempts < most and time.monotonic() < send.deadline_s

    def _finish(self, send: _Send) -> None:
        now = time.monotonic_ns()
        name, text, code = send.last
        verdict = outcome.FAIL if send.surely_not_stored else outcome.INFO
        self._out.append(self._lines.failed(send.n, now, verdict, name, text, code))
        self.tally.completed(verdict, now)
        # A dead broker refuses in microseconds: without a pause the history would fill with nothing else.
        self._loop.loop.call_later(_REFUSED_HOLD_S, self._release, send.slot)
        self._pump_soon()

    def _record(
        self, send: _Send, verdict: outcome.Outcome, status: str, place: tuple[str, int, int], code: str
    ) -> None:
        now = time.monotonic_ns()
        self._out.append(self._lines.done(send.n, now, verdict, status, place, code))
        self.tally.completed(verdict, now)
        self._release(send.slot)

    def _release(self, slot: int) -> None:
        self._free.append(slot)
        self._pump_soon()

    def _template(self, broker: str) -> SendTemplate:
        template = self._templates.get(broker)
        if template is None:
            template = SendTemplate(self._config.topic, self._config.group, broker)
            self._templates[broker] = template
        return template


async def _nothing() -> None:
    """One turn of the loop: what was answered before it has been written after it."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
