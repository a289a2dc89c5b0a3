"""One connection to one peer: pipelined requests, answers by opaque, requests of the peer handed on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import TypeVar

from harness.core.errors import WireError
from harness.wire.codes import request_name
from harness.wire.errors import ConnectionLost, ReplyTimeout, Unreachable
from harness.wire.frame import FLAG_ONEWAY, MAX_FRAME_BYTES, Frame, FrameSplitter, encode, head, seal

T = TypeVar("T")
Reply = Frame | WireError
OnReply = Callable[[Reply], None]
OnRequest = Callable[[Frame], None]

MAX_PENDING = 65_536
_SWEEP_S = 0.05
_OPAQUE_LIMIT = 0x7FFFFFFF


class Connection(asyncio.Protocol):
    """A pipelined connection. All methods belong to the loop that opened it, none to other threads.

    Every request submitted is answered exactly once: by the peer's frame or by a `WireError` (no answer in
    time, connection lost). Requests leave in the order submitted. An answer after its timeout is only counted.
    """

    def __init__(
        self,
        name: str,
        *,
        on_request: OnRequest | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.name = name
        self.late_replies = 0
        self._on_request = on_request
        self._max_pending = max_pending
        self._splitter = FrameSplitter(max_frame_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, tuple[OnReply, float, int]] = {}
        self._out: list[bytes] = []
        self._opaque = 0
        self._flush_due = False
        self._paused = False
        self._sweep: asyncio.TimerHandle | None = None
        self._lost: WireError | None = None
        self._ended = self._loop.create_future()

    @classmethod
    async def over(cls, sock: socket.socket, name: str, *, on_request: OnRequest | None = None) -> Connection:
        """A connection over a socket that is already connected (in whatever network namespace) and now ours."""
        connection = cls(name, on_request=on_request)
        await connection._loop.create_connection(lambda: connection, sock=sock)
        return connection

    @classmethod
    async def to(cls, host: str, port: int, *, timeout_s: float = 3.0) -> Connection:
        """A connection to an address of this namespace. Raises `Unreachable`."""
        connection = cls(f"{host}:{port}")
        opening = connection._loop.create_connection(lambda: connection, host, port)
        try:
            await asyncio.wait_for(opening, timeout_s)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"no connection to {host}:{port} within {timeout_s} s: {error}") from None
        return connection

    @property
    def closed(self) -> bool:
        """True once nothing can be submitted any more."""
        return self._lost is not None

    @property
    def pending(self) -> int:
        """Requests submitted and not yet answered."""
        return len(self._pending)

    def submit_raw(
        self,
        code: int,
        ext: Mapping[str, str],
        body: bytes,
        on_reply: OnReply,
        timeout_s: float = 5.0,
    ) -> int:
        """Sends a request and returns its opaque at once; `on_reply` is called exactly once, from the loop.

        Raises `WireError` where nothing was sent: closed already, or too many requests pending.
        """
        return self.submit_opened(head(code, ext), body, on_reply, timeout_s, code=code)

    def submit_opened(
        self, opened: bytes, body: bytes, on_reply: OnReply, timeout_s: float = 5.0, *, code: int = 0
    ) -> int:
        """As `submit_raw` for a header that a template has already encoded up to its opaque: the fast path."""
        if self._lost is not None:
            raise Unreachable(f"{self.name} is closed: {self._lost}")
        if len(self._pending) >= self._max_pending:
            raise WireError(f"{self.name} has {len(self._pending)} requests pending; wait for answers first")
        opaque = self._next_opaque()
        self._pending[opaque] = (on_reply, self._loop.time() + timeout_s, code)
        self._enqueue(seal(opened, opaque, body))
        if self._sweep is None:
            self._sweep = self._loop.call_later(_SWEEP_S, self._expire)
        return opaque

    def submit(
        self, code: int, ext: Mapping[str, str], body: bytes = b"", timeout_s: float = 5.0
    ) -> asyncio.Future[Frame]:
        """As `submit_raw`, with a future that gets the answer or the `WireError`."""
        future: asyncio.Future[Frame] = self._loop.create_future()

        def settle(reply: Reply) -> None:
            if future.done():
                return
            if isinstance(reply, Frame):
                future.set_result(reply)
            else:
                future.set_exception(reply)

        self.submit_raw(code, ext, body, settle, timeout_s)
        return future

    async def request(self, code: int, ext: Mapping[str, str], body: bytes = b"", timeout_s: float = 5.0) -> Frame:
        """The peer's answer, whatever its code. Raises `ReplyTimeout`, `ConnectionLost` or `Unreachable`."""
        return await self.submit(code, ext, body, timeout_s)

    def oneway(self, code: int, ext: Mapping[str, str], body: bytes = b"") -> None:
        """Sends a request that gets no answer: nothing is known of it but that it was handed to the kernel."""
        if self._lost is not None:
            raise Unreachable(f"{self.name} is closed: {self._lost}")
        self._enqueue(seal(head(code, ext, FLAG_ONEWAY), self._next_opaque(), body))

    def answer(self, frame: Frame) -> None:
        """Sends a frame as it is: the answer to a request of the peer's. Silently nothing when closed."""
        if self._lost is None:
            self._enqueue(encode(frame))

    async def close(self) -> None:
        """Ends the connection; what was submitted is flushed, what is pending fails with `ConnectionLost`."""
        self._flush()
        if self._transport is not None:
            self._fail(ConnectionLost(f"{self.name} was closed by the harness"))
            self._transport.close()
            await self._ended

    def abort(self) -> None:
        """Ends the connection at once, unsent bytes and all."""
        self._fail(ConnectionLost(f"{self.name} was aborted by the harness"))
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        try:
            for frame in self._splitter.feed(data):
                self._dispatch(frame)
        except WireError as error:
            self._fail(error)
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        held = self._splitter.held_bytes
        truncated = f", in the middle of a frame ({held} bytes of it)" if held else ""
        self._fail(ConnectionLost(f"{self.name} closed the connection{truncated}: {exc or 'end of stream'}"))
        if not self._ended.done():
            self._ended.set_result(None)

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._paused = True

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._paused = False
        self._flush()

    def _next_opaque(self) -> int:
        self._opaque = self._opaque + 1 if self._opaque < _OPAQUE_LIMIT else 1
        return self._opaque

    def _enqueue(self, frame: bytes) -> None:
        self._out.append(frame)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._out and not self._paused and self._transport is not None:
            out, self._out = self._out, []
            self._transport.write(b"".join(out))

    def _dispatch(self, frame: Frame) -> None:
        if frame.flag & 1:
            waiting = self._pending.pop(frame.opaque, None)
            if waiting is None:
                self.late_replies += 1
            else:
                self._deliver(waiting[0], frame)
        elif self._on_request is not None:
            self._deliver(self._on_request, frame)

    def _deliver(self, callback: Callable[[T], None], reply: T) -> None:
        try:
            callback(reply)
        except Exception as error:  # noqa: BLE001  one caller's fault must not cost the others their answers
            self._loop.call_exception_handler(
                {"message": f"a reply callback of {self.name} raised", "exception": error}
            )

    def _expire(self) -> None:
        now = self._loop.time()
        overdue = [opaque for opaque, (_, deadline, _) in self._pending.items() if deadline <= now]
        for opaque in overdue:
            on_reply, _, code = self._pending.pop(opaque)
            late = ReplyTimeout(f"{self.name} did not answer {request_name(code)} in time")
            self._deliver(on_reply, late)
        self._sweep = self._loop.call_later(_SWEEP_S, self._expire) if self._pending else None

    def _fail(self, error: WireError) -> None:
        if self._lost is None:
            self._lost = error
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        pending, self._pending = self._pending, {}
        for on_reply, _, code in pending.values():
            self._deliver(on_reply, _renewed(error, code))


def _renewed(error: WireError, code: int) -> WireError:
    # One exception object raised in many tasks would collect all their tracebacks.
    return type(error)(f"{request_name(code)} got no answer: {error}")
