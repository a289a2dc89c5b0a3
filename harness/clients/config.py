"""What a worker is told before it starts: plain data that goes over the pipe and into the history's first line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from harness.core.errors import UsageError

Mode = Literal["sync", "async", "oneway", "orderly", "transaction"]


@dataclass(frozen=True, slots=True)
class JavaSetup:
    """Where the Java client comes from. Paths are those that the worker sees.

    `classpath` must be jars only: a directory on it forbids a class data archive. `jvm_flags` come last and win.
    """

    classpath: tuple[str, ...] = ()
    libjvm: str = ""
    version: str = ""
    jvm_flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CppSetup:
    """Where the C++ client comes from. `path` is what the worker puts on `sys.path`.

    `library` is `bundled`, or the librocketmq of the machine. `broker` is the one broker name of the cluster: no answer
    of this client tells it.
    """

    path: str = ""
    version: str = ""
    library: str = ""
    broker: str = ""


@dataclass(frozen=True, slots=True)
class GrpcSetup:
    """Where the gRPC client comes from, and whom it asks. `path` is what the worker puts on `sys.path`.

    `endpoints` are the proxies, `ip:port;ip:port`. `broker` is the cluster's broker name if it has one alone: no answer
    to a send tells it; of several it is empty.
    """

    path: str = ""
    version: str = ""
    endpoints: str = ""
    broker: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """One queue of one broker, for sends that must not be routed. `address` is needed by the remoting client alone."""

    broker: str
    queue: int
    address: str = ""


@dataclass(frozen=True, slots=True)
class ProducerConfig:
    """One producer. Message ids are `<process>-<n>`; the id is the message's key and begins its body.

    `rate_per_s` None is as fast as possible. `threads` send in all modes but async, in which `window` bounds what is in
    flight. In mode orderly the key of message n is `n % keys`, all messages of a key are sent by one thread, and the
    queue is chosen by the key's hash over the queues of the moment. In mode transaction the local transaction of
    message n comes to `Decision(n % 4)` of `decisions`. `pins` replaces routing by these queues, in turn,
    without retry. The defaults are the product's own, but `timeout_ms`: 3 s would hide the statuses of slow
    replication. `properties` may hold WAIT = "false". `wait_route` makes `ready` wait until there is a route.
    """

    process: str
    namesrv: str
    topic: str
    client: str = "java"
    group: str = "rmq-harness-producer"
    mode: Mode = "sync"
    rate_per_s: float | None = None
    threads: int = 1
    window: int = 256
    keys: int = 8
    retries: int = 2
    timeout_ms: int = 5000
    body_bytes: int = 100
    max_messages: int | None = None
    pins: tuple[Pin, ...] = ()
    delay_level: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    poll_nameserver_ms: int = 30_000
    heartbeat_ms: int = 30_000
    latency_fault: bool = False
    retry_on_not_ok: bool = False
    wait_route: bool = True
    java: JavaSetup = JavaSetup()
    cpp: CppSetup = CppSetup()
    grpc: GrpcSetup = GrpcSetup()
    history_path: str = ""
    role: Literal["producer"] = "producer"

    def __post_init__(self) -> None:
        """Raises `UsageError` for what cannot be sent."""
        if self.mode == "orderly" and not 1 <= self.threads <= self.keys:
            raise UsageError(
                f"producer {self.process!r}: {self.threads} threads for {self.keys} keys; use threads <= keys"
            )
        if self.mode not in get_args(Mode):
            raise UsageError(f"producer {self.process!r}: mode {self.mode!r} is none of {', '.join(get_args(Mode))}")
        if self.mode == "transaction" and self.client not in ("java", "cpp", "grpc"):
            raise UsageError(
                f"producer {self.process!r}: the {self.client} client has no transactions; use the java client"
            )
        if self.rate_per_s is not None and self.rate_per_s <= 0:
            raise UsageError(
                f"producer {self.process!r}: rate_per_s {self.rate_per_s} is not above 0; pause it instead"
            )
        _positive(self, "threads", "window", "keys", "timeout_ms", "poll_nameserver_ms", "heartbeat_ms")

    @property
    def only_attempt(self) -> bool:
        """True if no message can be sent twice by the client: what makes a refusal a proof."""
        # The Java client retries what it sends asynchronously also where the queue is given.
        pinned = bool(self.pins) and self.mode == "sync"
        return self.retries == 0 or pinned or self.mode in ("oneway", "orderly")


@dataclass(frozen=True, slots=True)
class ConsumerConfig:
    """One consumer. Every delivery to the listener is a line; a retried message is one per attempt.

    `fail_every` n answers RECONSUME_LATER to each n-th batch (0 = never), and with `fail_attempts` m only to one whose
    messages all came less than m times before (0 = however often they came). `retry_level` is the delay level that it
    then asks for (0 = the ladder's own). `from_first` starts a new group at the first
    message. `wait_assignment` makes `ready` wait until the consumer owns queues. The remoting client has no group: it
    pulls every queue of the topics from `replica` (`address` of one broker), and records `replica_name` as broker. A
    `simple` listener is the gRPC client's: it asks for messages and acknowledges each, and nothing is pushed to it.
    """

    process: str
    namesrv: str
    topics: tuple[str, ...]
    group: str = ""
    client: str = "java"
    model: Literal["clustering", "broadcasting"] = "clustering"
    listener: Literal["concurrent", "orderly", "simple"] = "concurrent"
    from_first: bool = True
    batch: int = 1
    threads: int = 4
    fail_every: int = 0
    fail_attempts: int = 0
    retry_level: int = 0
    consume_timeout_min: int = 15
    max_reconsume: int = -1
    wait_assignment: bool = True
    poll_nameserver_ms: int = 30_000
    heartbeat_ms: int = 30_000
    persist_offset_ms: int = 5_000
    replica: str = ""
    replica_name: str = ""
    java: JavaSetup = JavaSetup()
    cpp: CppSetup = CppSetup()
    grpc: GrpcSetup = GrpcSetup()
    history_path: str = ""
    role: Literal["consumer"] = "consumer"

    def __post_init__(self) -> None:
        """Raises `UsageError` for what cannot be consumed."""
        if not self.topics:
            raise UsageError(f"consumer {self.process!r} has no topics; name at least one")
        if self.client in ("java", "cpp", "grpc") and not self.group:
            raise UsageError(f"consumer {self.process!r} has no group; the {self.client} client needs one")
        _positive(self, "batch", "threads", "poll_nameserver_ms", "heartbeat_ms")


Config = ProducerConfig | ConsumerConfig


def to_json(config: Config) -> dict[str, Any]:
    """The configuration as JSON values; `from_json` gives it back."""
    fields = dataclasses.asdict(config)
    if isinstance(config, ProducerConfig):
        fields["properties"] = dict(config.properties)
    return fields


def from_json(fields: Mapping[str, Any]) -> Config:
    """The configuration in `fields`. Raises `UsageError` for an unknown key or a role that is neither."""
    known = {"producer": ProducerConfig, "consumer": ConsumerConfig}
    role = fields.get("role")
    if role not in known:
        raise UsageError(f"role {role!r} is neither producer nor consumer")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    java: dict[str, Any] = dict(values.get("java") or {})
    cpp: dict[str, Any] = dict(values.get("cpp") or {})
    grpc: dict[str, Any] = dict(values.get("grpc") or {})
    try:
        java = {key: tuple(value) if isinstance(value, list) else value for key, value in java.items()}
        values["java"] = JavaSetup(**java)
        values["cpp"] = CppSetup(**cpp)
        values["grpc"] = GrpcSetup(**grpc)
        if role == "producer":
            values["pins"] = tuple(Pin(**pin) for pin in values.get("pins") or ())
        config: Config = known[role](**values)
    except TypeError as error:
        raise UsageError(f"a {role} cannot be configured: {error}") from None
    return config


def _positive(config: Config, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value <= 0:
            raise UsageError(f"{config.role} {config.process!r}: {name} {value} is not above 0")
