"""The same calls for synchronous code: one event loop in one background thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from harness.core.errors import WireError
from harness.wire.admin import AsyncAdmin
from harness.wire.frame import Frame
from harness.wire.remoting import DEFAULT_TIMEOUT_S, Dialer, OnPeerRequest

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    method: Callable[Concatenate[AsyncAdmin, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Admin, P], T]:
    @wraps(method)
    def call(self: Admin, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(method(self.calls, *args, **kwargs))

    return call


class Admin:
    """`AsyncAdmin` made blocking; safe to use from several threads. Every call takes `timeout_s`.

    Each method is documented where it is written, in `AsyncAdmin`. `on_request` is called in the background
    thread and must not block.
    """

    def __init__(self, dialer: Dialer | None = None, on_request: OnPeerRequest | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self.calls = self.run(_made(dialer, on_request))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs any coroutine over `calls` in the background loop and waits for it, for as long as it takes."""
        if self._loop.is_closed():
            work.close()
            raise WireError("this Admin is closed; make a new one")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(
        self,
        address: str,
        code: int,
        ext: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Frame:
        """Any request at all; the answer whatever its code. Raises `WireError`."""
        return self.run(self.calls.remoting.call(address, code, ext, body, timeout_s=timeout_s))

    def drop(self, address: str) -> None:
        """Closes the kept connection to an address, as when its node was cut off; the next call dials again."""
        self.run(self.calls.remoting.drop(address))

    def close(self) -> None:
        """Closes every connection and ends the thread. May be called more than once."""
        if self._loop.is_closed():
            return
        self.run(self.calls.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    route = _blocking(AsyncAdmin.route)
    cluster_info = _blocking(AsyncAdmin.cluster_info)
    topics = _blocking(AsyncAdmin.topics)
    wipe_write_perm = _blocking(AsyncAdmin.wipe_write_perm)
    add_write_perm = _blocking(AsyncAdmin.add_write_perm)
    delete_route = _blocking(AsyncAdmin.delete_route)

    create_topic = _blocking(AsyncAdmin.create_topic)
    delete_topic = _blocking(AsyncAdmin.delete_topic)
    create_group = _blocking(AsyncAdmin.create_group)
    delete_group = _blocking(AsyncAdmin.delete_group)
    broker_config = _blocking(AsyncAdmin.broker_config)
    update_broker_config = _blocking(AsyncAdmin.update_broker_config)
    kick_registration = _blocking(AsyncAdmin.kick_registration)
    runtime_info = _blocking(AsyncAdmin.runtime_info)
    ha_status = _blocking(AsyncAdmin.ha_status)
    delete_expired_files = _blocking(AsyncAdmin.delete_expired_files)

    send = _blocking(AsyncAdmin.send)
    pull = _blocking(AsyncAdmin.pull)
    max_offset = _blocking(AsyncAdmin.max_offset)
    min_offset = _blocking(AsyncAdmin.min_offset)
    offset_at = _blocking(AsyncAdmin.offset_at)
    consumer_offset = _blocking(AsyncAdmin.consumer_offset)
    commit_offset = _blocking(AsyncAdmin.commit_offset)
    view_message = _blocking(AsyncAdmin.view_message)
    query_by_key = _blocking(AsyncAdmin.query_by_key)
    consumer_ids = _blocking(AsyncAdmin.consumer_ids)
    producers = _blocking(AsyncAdmin.producers)
    heartbeat = _blocking(AsyncAdmin.heartbeat)
    unregister = _blocking(AsyncAdmin.unregister)

    read_queue = _blocking(AsyncAdmin.read_queue)
    read_queues = _blocking(AsyncAdmin.read_queues)


async def _made(dialer: Dialer | None, on_request: OnPeerRequest | None) -> AsyncAdmin:
    return AsyncAdmin(dialer, on_request)
