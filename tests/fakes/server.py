"""A server that speaks the remoting protocol over real loopback sockets, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from harness.core.errors import WireError
from harness.wire.frame import FLAG_REPLY, Frame, FrameSplitter, encode


class FakeConnection(asyncio.Protocol):
    """One client's connection to a fake."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.splitter = FrameSplitter()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.server.on_disconnect(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self.splitter.feed(data):
                self.server.requests += 1
                self.server.handle(self, frame)
        except WireError:
            self.drop()

    def send(self, frame: Frame) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(encode(frame))

    def reply(
        self, to: Frame, code: int, ext: dict[str, str] | None = None, body: bytes = b"", remark: str | None = None
    ) -> None:
        if not to.is_oneway:
            self.send(Frame(code, ext or {}, body, to.opaque, FLAG_REPLY, remark, "JAVA", 409))

    def raw(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class FakeServer:
    """Listens on 127.0.0.1, port 0. Use as a context manager, or `start` and `stop`."""

    def __init__(self) -> None:
        self.connections: set[FakeConnection] = set()
        self.requests = 0
        self.address = ""
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    def handle(self, connection: FakeConnection, frame: Frame) -> None:
        """Answers one request; runs in the server's thread."""
        raise NotImplementedError

    def on_disconnect(self, connection: FakeConnection) -> None:
        """Called in the server's thread when a client is gone."""

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake", daemon=True)
        self._thread.start()
        self.run(self._listen(0))

    def stop(self) -> None:
        """Ends the server and its connections, as kill -9 would."""
        if self._loop is None or self._thread is None:
            return
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs something in the server's thread."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def later(self, delay_s: float, callback: Any, *args: Any) -> None:
        """Calls back in the server's thread."""
        assert self._loop is not None
        self._loop.call_later(delay_s, callback, *args)

    def push(self, frame: Frame) -> None:
        """Sends an unsolicited frame to every client."""

        async def send() -> None:
            for connection in self.connections:
                connection.send(frame)

        self.run(send())

    def disconnect_all(self) -> None:
        """Cuts every client off, but goes on listening."""

        async def drop() -> None:
            for connection in list(self.connections):
                connection.drop()

        self.run(drop())

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _listen(self, port: int) -> None:
        assert self._loop is not None
        self._server = await self._loop.create_server(lambda: FakeConnection(self), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        # A connection may be being accepted, or half closed, in the very turn of the loop that ends the server.
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
        for _ in range(5):
            for connection in list(self.connections):
                connection.drop()
            await asyncio.sleep(0)
