"""Connections by address, dialled where the caller says, kept and made again when lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from harness.core.errors import WireError
from harness.wire.connection import Connection
from harness.wire.errors import Unreachable
from harness.wire.frame import Frame

DEFAULT_TIMEOUT_S = 5.0

OnPeerRequest = Callable[[str, Frame], None]


class Dialer(Protocol):
    """Makes connected sockets: the one place that knows in which network namespace."""

    def dial(self, address: str) -> socket.socket:
        """A connected stream socket to `host:port`; blocks, with a timeout of its own. Raises `OSError`."""
        ...


class PlainDialer:
    """Dials from the namespace that the harness itself is in."""

    def __init__(self, timeout_s: float = 3.0) -> None:
        self._timeout_s = timeout_s

    def dial(self, address: str) -> socket.socket:
        """A connected socket. Raises `OSError`."""
        return socket.create_connection(split_address(address), timeout=self._timeout_s)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`. Raises `Unreachable` for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise Unreachable(f"{address!r} is no address; write host:port")
    return host.strip("[]"), int(port)


class Remoting:
    """Requests to any number of peers over one kept connection each. Belongs to one event loop."""

    def __init__(self, dialer: Dialer | None = None, on_request: OnPeerRequest | None = None) -> None:
        self._dialer: Dialer = dialer or PlainDialer()
        self._on_request = on_request
        self._connections: dict[str, Connection] = {}
        self._opening: dict[str, asyncio.Task[Connection]] = {}
        self._closed = False
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="wire-dial")

    async def connection(self, address: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Connection:
        """The kept connection to `address`, or a new one; all who ask meanwhile share one dial.

        Raises `Unreachable`: refused, or not made within `timeout_s` (it may still be made for a later call).
        """
        kept = self._connections.get(address)
        if kept is not None and not kept.closed:
            return kept
        opening = self._opening.get(address)
        if opening is None:
            opening = asyncio.get_running_loop().create_task(self._open(address))
            opening.add_done_callback(lambda _: self._opening.pop(address, None))
            self._opening[address] = opening
        await asyncio.wait({opening}, timeout=timeout_s)
        if not opening.done():
            raise Unreachable(f"no connection to {address} within {timeout_s} s")
        try:
            return opening.result()
        except (OSError, WireError, asyncio.CancelledError) as error:
            raise Unreachable(f"no connection to {address}: {error}") from None

    async def call(
        self,
        address: str,
        code: int,
        ext: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Frame:
        """The peer's answer, whatever its code. `timeout_s` covers dialling and answering together.

        Raises `Unreachable` where nothing was sent; `ReplyTimeout` or `ConnectionLost` where it may have been.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        connection = await self.connection(address, timeout_s)
        return await connection.request(code, ext or {}, body, max(0.0, deadline - loop.time()))

    async def oneway(self, address: str, code: int, ext: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Sends without an answer. Raises `Unreachable`; success proves nothing about the peer."""
        (await self.connection(address)).oneway(code, ext or {}, body)

    async def drop(self, address: str) -> None:
        """Closes the connection to `address`, if there is one; the next call dials again."""
        connection = self._connections.pop(address, None)
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        """Closes every connection and stops dialling. May be called more than once."""
        self._closed = True
        for opening in list(self._opening.values()):
            opening.cancel()
        for address in list(self._connections):
            await self.drop(address)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _open(self, address: str) -> Connection:
        on_request = self._on_request
        sock = await asyncio.get_running_loop().run_in_executor(self._threads, self._dial, address)
        made = await Connection.over(
            sock,
            address,
            on_request=None if on_request is None else lambda frame: on_request(address, frame),
        )
        self._connections[address] = made
        return made

    def _dial(self, address: str) -> socket.socket:
        made = self._dialer.dial(address)
        if self._closed:
            made.close()
        return made
