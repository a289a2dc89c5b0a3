"""Consumers of a library that can be told little: what those of the C++ and the gRPC client have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Protocol, TypeVar

from harness.clients.config import Config, ConsumerConfig
from harness.clients.pace import Tally
from harness.clients.record import DeliverLines, Recorder
from harness.clients.refusals import Refusals
from harness.core.errors import UsageError


class Library(Protocol):
    """A client library that was imported or loaded."""

    def versions(self) -> dict[str, str]:
        """What was found, by name."""
        ...


B = TypeVar("B", bound=Library)


def tellable(config: Config, client: str, *, broadcasts: bool) -> ConsumerConfig:
    """The configuration. Raises `UsageError` for one of no consumer, and for what such a client cannot be told.

    `broadcasts` says whether it can be told that.
    """
    if not isinstance(config, ConsumerConfig):
        raise UsageError(f"{config.process!r} is no consumer")
    untold = [name for name in ("retry_level", "replica") if getattr(config, name)]
    untold += ["max_reconsume"] * (config.max_reconsume >= 0) + ["batch"] * (config.batch > 1)
    untold += ["broadcasting"] * (config.model == "broadcasting" and not broadcasts)
    untold += ["several topics"] * (len(config.topics) > 1)
    if untold:
        raise UsageError(f"consumer {config.process!r}: the {client} client has no {', '.join(untold)}")
    return config


class Taking(Generic[B]):
    """The part of a `Client` that is the same for both; `client` is what each is called."""

    client: ClassVar[str]

    def __init__(self, config: ConsumerConfig, recorder: Recorder, binding: B) -> None:
        self.tally = Tally()
        self.done = False
        self._config = config
        self._recorder = recorder
        self._binding = binding
        self._lines = DeliverLines(config.group)
        self._refusals = Refusals(config)
        self._consumer: Any = None

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return self._binding.versions()

    def go(self) -> None:
        """Nothing: it consumes from `start` on."""

    def pause(self) -> None:
        """Raises `UsageError`: the library cannot hold its receiving."""
        raise UsageError(f"{self._config.process!r} is a {self.client} consumer, which cannot pause")

    def set_rate(self, rate_per_s: float | None) -> None:
        """Raises `UsageError`: a consumer takes what comes."""
        raise UsageError(f"{self._config.process!r} is a consumer and has no rate (asked for {rate_per_s})")
