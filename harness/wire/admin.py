"""Every call to name servers and brokers behind one object, for asyncio code."""

from __future__ import annotations

from types import TracebackType

from harness.wire.brokeradmin import BrokerAdminCalls
from harness.wire.nameserver import NameServerCalls
from harness.wire.reader import ReaderCalls
from harness.wire.remoting import Dialer, OnPeerRequest, Remoting


class AsyncAdmin(NameServerCalls, BrokerAdminCalls, ReaderCalls):
    """All calls, over kept connections made by one dialer. Belongs to one event loop; `close` it there."""

    def __init__(self, dialer: Dialer | None = None, on_request: OnPeerRequest | None = None) -> None:
        super().__init__(Remoting(dialer, on_request))

    async def close(self) -> None:
        """Closes every connection. May be called more than once."""
        await self.remoting.close()

    async def __aenter__(self) -> AsyncAdmin:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
