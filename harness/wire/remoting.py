"""Connections by address, dialled where the caller says, kept and made again when lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

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
        self._dialling: dict[str, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="wire-dial")

    async def connection(self, address: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Connection:
        """The kept connection to `address`, or a new one. Raises `Unreachable`."""
        kept = self._connections.get(address)
        if kept is not None and not kept.closed:
            return kept
        async with self._dialling.setdefault(address, asyncio.Lock()):
            kept = self._connections.get(address)
            if kept is None or kept.closed:
                kept = await self._open(address, timeout_s)
                self._connections[address] = kept
            return kept

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
        """Closes every connection. May be called more than once."""
        for address in list(self._connections):
            await self.drop(address)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _open(self, address: str, timeout_s: float) -> Connection:
        on_request = self._on_request
        sock = await self._dial(address, timeout_s)
        return await Connection.over(
            sock,
            address,
            on_request=None if on_request is None else lambda frame: on_request(address, frame),
        )

    async def _dial(self, address: str, timeout_s: float) -> socket.socket:
        abandoned = False

        def dial() -> socket.socket:
            made = self._dialer.dial(address)
            if abandoned:
                made.close()
            return made

        try:
            work = asyncio.get_running_loop().run_in_executor(self._threads, dial)
            return await asyncio.wait_for(work, timeout_s)
        except TimeoutError:
            raise Unreachable(f"no connection to {address} within {timeout_s} s") from None
        except OSError as error:
            raise Unreachable(f"no connection to {address}: {error}") from None
        finally:
            abandoned = True
