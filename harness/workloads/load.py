"""What is sent and consumed during a scenario, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.core.expectation import Data


class Produce(Data):
    """Producers, each a process of its own, that share one rate.

    `retries` is the client's own retry count; None leaves the client's default (2), under which a failed send is
    ambiguous. `rate_per_s` is the sum over all producers; None is as fast as the broker answers. `timeout_ms` bounds
    one send with all its retries: it must exceed the broker's replication wait (3 s or 5 s) where statuses are judged.
    Of the messages of mode `transaction` a half is committed (ok) and a half rolled back (fail), and of each a half
    when the broker asks.
    """

    kind: Literal["produce"] = "produce"
    name: str = "p"
    producers: int = 4
    rate_per_s: float | None = 600
    mode: Literal["sync", "async", "oneway", "orderly", "transaction"] = "sync"
    threads: int = 1
    window: int = 64
    retries: int | None = None
    timeout_ms: int = 3000
    body_bytes: int = 200
    max_messages: int | None = None
    topic: int = 0
    client: str | None = None
    poll_nameserver_ms: int | None = None
    only_brokers: tuple[int, ...] = ()
    delay_level: int | None = None
    wait_store: bool = True
    wait_route: bool = True

    @property
    def of_delays(self) -> bool:
        """When its messages are seen depends on the brokers' delay levels."""
        return bool(self.delay_level)


class Consume(Data):
    """One consumer group: `size` members, each a process of its own.

    A `simple` listener asks for messages and acknowledges each: only the gRPC client has it.
    """

    kind: Literal["consume"] = "consume"
    name: str = "c"
    group: str = "g"
    size: int = 1
    model: Literal["clustering", "broadcasting"] = "clustering"
    listener: Literal["concurrent", "orderly", "simple"] = "concurrent"
    topic: int = 0
    client: str | None = None
    fail_every: int | None = None
    fail_attempts: int | None = None
    retry_level: int | None = None
    max_reconsume: int | None = None
    wait_assignment: bool = True
    poll_nameserver_ms: int | None = None

    @property
    def of_delays(self) -> bool:
        """When a refused message comes again depends on the brokers' delay levels."""
        return bool(self.fail_every) and self.model == "clustering"


Load = Annotated[Produce | Consume, Field(discriminator="kind")]


def workers_of(load: Load) -> tuple[str, ...]:
    """The names of the processes of this load."""
    count = load.producers if isinstance(load, Produce) else load.size
    return tuple(f"{load.name}-{n}" for n in range(1, count + 1))


def producer_group(load_name: str) -> str:
    """The producer group of all processes of a load."""
    return f"producers-{load_name}"


def is_called(worker: str, name: str) -> bool:
    """The worker is `name`, or one of the load of that name."""
    return name in (worker, worker.rpartition("-")[0])


def produce(producers: int = 4, rate: float | None = 600, **more: object) -> Produce:
    """Producers at a common rate (messages per second over all of them)."""
    return Produce.model_validate({"producers": producers, "rate_per_s": rate, **more})


def consume(size: int = 1, **more: object) -> Consume:
    """A consumer group."""
    return Consume.model_validate({"size": size, **more})
