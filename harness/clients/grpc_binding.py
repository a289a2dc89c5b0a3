"""What both kinds of gRPC client need of `rocketmq-python-client`. Imported only by workers of the gRPC client."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from harness.clients.config import GrpcSetup
from harness.core.errors import ClientError

SETTINGS_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.05


class Binding:
    """The client's classes."""

    def __init__(self, setup: GrpcSetup) -> None:
        """Imports the client. Raises `ClientError` naming where it was looked for, or that there is no proxy."""
        if not setup.endpoints:
            raise ClientError("the grpc client has no proxy to talk to: take a topology with proxies")
        if not (Path(setup.path) / "rocketmq").is_dir():
            raise ClientError(f"the grpc client is not at {setup.path!r}; it is what `obtain_grpc` puts there")
        sys.path.insert(0, setup.path)
        try:
            self.sdk: Any = import_module("rocketmq")
            self._grpc: Any = import_module("grpc")
        except ImportError as error:
            raise ClientError(f"the grpc client at {setup.path!r} could not be imported: {error}") from None
        self._setup = setup

    def versions(self) -> dict[str, str]:
        """Of the client and of the gRPC library below it."""
        return {"rocketmq-python-client": self._setup.version, "grpcio": str(self._grpc.__version__)}

    def configuration(self, timeout_ms: int) -> Any:
        """Who the proxies are; `timeout_ms`, rounded up to whole seconds, bounds one request and no retries."""
        timeout_s = max(1, math.ceil(timeout_ms / 1000))
        return self.sdk.ClientConfiguration(self._setup.endpoints, self.sdk.Credentials(), "", timeout_s)

    def startup(self, client: Any, what: str) -> None:
        """Starts the client. Raises `ClientError` with the first that went wrong: to clean up fails where little is."""
        try:
            client.startup()
        except Exception as error:  # noqa: BLE001  the client raises whatever was raised below it
            first: BaseException = error
            while first.__context__ is not None:
                first = first.__context__
            raise ClientError(
                f"the grpc {what} did not start with {self._setup.endpoints}: {type(first).__name__}: {first}"
            ) from None

    def await_settings(self, client: Any) -> None:
        """Returns once a proxy has told the client how often to try, and knows what it is. Raises `ClientError`.

        Until then a proxy refuses what a consumer asks for, and a producer tries as often as it likes.
        """
        # The client waits for it by itself only where it pushes.
        if not client._init_settings_event.wait(SETTINGS_TIMEOUT_S):
            proxies = self._setup.endpoints
            raise ClientError(f"no proxy of {proxies} sent its settings within {SETTINGS_TIMEOUT_S:.0f} s")


def await_route(client: Any, topic: str) -> None:
    """Returns once a proxy has told the client where the topic can be written."""
    never = threading.Event()
    while True:
        route = client.route_manager.update_topic_route(topic)
        queues = route.message_queues if route is not None else ()
        if any(queue.is_writable() and queue.is_master_broker() for queue in queues):
            return
        never.wait(_POLL_S)


def told(error: Exception) -> tuple[str, int | None, str]:
    """Simple class name, number and text of what the client raised: of gRPC's own errors the number of its status."""
    code: Any = getattr(error, "code", None)
    if callable(code):
        code = code().value[0]
    details = getattr(error, "details", None)
    text = str(details()) if callable(details) else str(error)
    return type(error).__name__, code if isinstance(code, int) else None, text


def place_of(receipt_handle: str) -> tuple[str, int, int]:
    """Broker name, queue and offset of a message, of the retry topic if it came again.

    The client does not tell them, but hands on what the broker wants to see again in an acknowledgement
    (`org.apache.rocketmq.common.consumer.ReceiptHandle`). Raises `ClientError` for anything else.
    """
    parts = receipt_handle.split(" ")
    try:
        return parts[5], int(parts[6]), int(parts[7])
    except (IndexError, ValueError):
        raise ClientError(f"receipt handle {receipt_handle!r} does not say where its message lies") from None


def shut_down(client: Any, timeout_s: float, raised: Callable[[Exception], None]) -> None:
    """Ends the client as an application would, for at most so long: it says goodbye to each proxy in turn.

    What it raises is told to `raised`: all that it had done is recorded by then.
    """

    def end() -> None:
        try:
            client.shutdown()
        except Exception as error:  # noqa: BLE001  the client raises whatever was raised below it
            raised(error)

    ending = threading.Thread(target=end, daemon=True, name="shutdown")
    ending.start()
    ending.join(timeout_s)


def due_s(delay_s: int) -> int:
    """The first whole second, of wall time, at which so many seconds have passed."""
    return -(-time.time_ns() // 1_000_000_000) + delay_s
