"""What the worker asks of a client, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol

from harness.clients.config import Config
from harness.clients.pace import Tally
from harness.clients.record import Recorder
from harness.core.errors import UsageError


class Client(Protocol):
    """One producer or one consumer inside a worker. Called from one thread; its own threads are its own business."""

    tally: Tally

    def versions(self) -> dict[str, str]:
        """What it is made of: for the first line of the history. Called after `start`."""
        ...

    def start(self) -> None:
        """Returns once it can work: a producer has a route, a consumer owns queues if it was told to wait for them."""
        ...

    def go(self) -> None:
        """Starts, or goes on, issuing operations."""
        ...

    def pause(self) -> None:
        """Issues nothing new; what is in flight goes on."""
        ...

    def set_rate(self, rate_per_s: float | None) -> None:
        """Changes the rate of new operations."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Issues nothing new and waits for what is in flight, at most so long. Final."""
        ...

    @property
    def done(self) -> bool:
        """It has issued all it was told to, and everything came to an outcome."""
        ...


Factory = Callable[[Config, Recorder], Client]

_KNOWN: Final = {
    ("java", "producer"): "harness.clients.java_producer:make",
    ("java", "consumer"): "harness.clients.java_consumer:make",
    ("cpp", "producer"): "harness.clients.cpp_producer:make",
    ("cpp", "consumer"): "harness.clients.cpp_consumer:make",
    ("grpc", "producer"): "harness.clients.grpc_producer:make",
    ("grpc", "consumer"): "harness.clients.grpc_consumer:make",
    ("remoting", "producer"): "harness.clients.remoting_producer:make",
    ("remoting", "consumer"): "harness.clients.remoting_consumer:make",
}


def make(config: Config, recorder: Recorder) -> Client:
    """The client that `config` names, not started: `java`, `cpp`, `grpc`, `remoting`, or any factory as `module:name`.

    Imports only what that client needs. Raises `UsageError` for a client that does not exist.
    """
    place = config.client if ":" in config.client else _KNOWN.get((config.client, config.role))
    if place is None:
        names = sorted({name for name, _ in _KNOWN})
        raise UsageError(f"client {config.client!r} is not known; use one of {', '.join(names)} or module:factory")
    module, _, name = place.partition(":")
    factory: Any = getattr(import_module(module), name)
    client: Client = factory(config, recorder)
    return client
