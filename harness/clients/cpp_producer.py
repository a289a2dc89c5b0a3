"""The C++ client, through `rocketmq-client-python`, as a producer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from harness.clients import outcome
from harness.clients.callbacks import answering
from harness.clients.config import Config, ProducerConfig
from harness.clients.cpp_binding import Binding
from harness.clients.decisions import decision_of
from harness.clients.pace import Pacer, Tally
from harness.clients.record import Recorder, SendLines
from harness.clients.senders import Senders, Sending
from harness.core.content import body_of
from harness.core.errors import ClientError, UsageError, WireError
from harness.wire import Admin

_ROUTE_POLL_S: Final = 0.05
_ROUTE_TIMEOUT_S: Final = 3.0
_LARGEST_BYTES: Final = 4 << 20
"""What a broker takes: the client's own limit is 128 KiB."""
_NEVER_BYTES: Final = 1 << 30


def make(config: Config, recorder: Recorder) -> CppProducer:
    """A producer of the C++ client, with its library loaded.

    Raises `UsageError` for what it cannot be told, `ClientError` if the library cannot be loaded.
    """
    if not isinstance(config, ProducerConfig):
        raise UsageError(f"{config.process!r} is no producer")
    if config.mode == "async" or config.pins or (config.mode == "transaction" and config.threads > 1):
        what = "pins" if config.pins else f"mode {config.mode} with {config.threads} threads"
        raise UsageError(f"producer {config.process!r}: the cpp client has no {what}; see harness/workloads/abilities")
    return CppProducer(config, recorder, Binding(config.cpp))


class CppProducer(Sending):
    """One Producer or TransactionMQProducer whose every send is recorded before it is made and when it is answered.

    How often it tries a send, asks for the route and sends heartbeats cannot be set. An answer tells an offset, but
    neither broker nor queue; the broker is taken from the set-up. Sends are made one at a time until one was
    acknowledged: while one thread asks for the route, the library tells every other one that there is none.
    """

    def __init__(self, config: ProducerConfig, recorder: Recorder, binding: Binding) -> None:
        self.tally = Tally()
        self._config = config
        self._recorder = recorder
        self._binding = binding
        self._lines = SendLines(config.process, config.topic)
        self._pacer = Pacer(config.rate_per_s)
        self._producer: Any = None
        self._decided: set[int] = set()
        sends: dict[str, Callable[[int], None]] = {
            "sync": self._sync,
            "orderly": self._sync,
            "oneway": self._oneway,
            "transaction": self._transaction,
        }
        self._send_one = sends[config.mode]
        self._first = threading.Lock()
        self._routed = threading.Event()
        self._senders = Senders(config, self._pacer, self.tally, self._send)

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return self._binding.versions()

    def start(self) -> None:
        """Starts the client and, if so configured, waits until a name server has a route with queues.

        The library does not tell its route: the name servers are asked here what it will be told. Raises `ClientError`.
        """
        config, client = self._config, self._binding.client
        group = config.group
        if config.mode == "transaction":
            producer = client.TransactionMQProducer(group, lambda message: answering(lambda: self._checked(message)))
        else:
            producer = client.Producer(group, orderly=config.mode == "orderly")
        self._producer = producer
        try:
            producer.set_namesrv_addr(config.namesrv)
            producer.set_timeout(config.timeout_ms)
            producer.set_max_message_size(_LARGEST_BYTES)
            self._binding.call("SetProducerInstanceName", producer._handle, config.process.encode())
            # A recorded body must be the stored body: the id is read from it.
            self._binding.call("SetProducerCompressMsgBodyOverHowmuch", producer._handle, _NEVER_BYTES)
            producer.start()
        except self._binding.error as error:
            raise ClientError(f"the cpp producer did not start: {type(error).__name__}: {error}") from None
        if config.wait_route:
            _await_route(config)
        self._senders.start()

    def _send(self, n: int) -> None:
        if not self._routed.is_set():
            with self._first:
                if not self._routed.is_set():
                    self._send_one(n)
                    if self._config.mode == "oneway" or self.tally.snapshot()["ok"]:
                        self._routed.set()
                    return
        self._send_one(n)

    def _message(self, n: int) -> Any:
        config = self._config
        message_id = f"{config.process}-{n}"
        message = self._binding.client.Message(config.topic)
        message.set_keys(message_id)
        message.set_body(body_of(message_id, config.body_bytes))
        if config.delay_level:
            message.set_delay_time_level(config.delay_level)
        for name, value in config.properties.items():
            message.set_property(name, value)
        return message

    def _sync(self, n: int) -> None:
        config, message = self._config, self._message(n)
        self._invoke(n)
        try:
            if config.mode == "orderly":
                result = self._producer.send_orderly_with_sharding_key(message, str(n % config.keys))
            else:
                result = self._producer.send_sync(message)
        except self._binding.error as error:
            self._failed(n, time.monotonic_ns(), error)
        else:
            status = _status(result)
            self._end(n, time.monotonic_ns(), outcome.of_status(status), status, config.cpp.broker)
        finally:
            message.destroy()

    def _oneway(self, n: int) -> None:
        message = self._message(n)
        self._invoke(n)
        try:
            self._producer.send_oneway(message)
        except self._binding.error as error:
            self._failed(n, time.monotonic_ns(), error)
        else:
            self._end(n, time.monotonic_ns(), outcome.of_status("ONEWAY"), "ONEWAY", self._config.cpp.broker)
        finally:
            message.destroy()

    def _transaction(self, n: int) -> None:
        """A half message; its completion is recorded by the local transaction, which runs if and when it was stored."""
        message = self._message(n)
        self._invoke(n)
        try:
            result = self._producer.send_message_in_transaction(
                message, lambda _message, _argument: answering(lambda: self._settle(n))
            )
        except self._binding.error as error:
            if n not in self._decided:
                self._failed(n, time.monotonic_ns(), error)
        else:
            if n not in self._decided:
                self._end(n, time.monotonic_ns(), outcome.INFO, _status(result))
        finally:
            self._decided.discard(n)
            message.destroy()

    def _settle(self, n: int) -> Any:
        """The local transaction of message n: recorded before the broker is told its end, if it is told at all."""
        decision, states = decision_of(f"{self._config.process}-{n}"), self._binding.client.TransactionStatus
        self._decided.add(n)
        status = "COMMIT_MESSAGE" if decision.commits else "ROLLBACK_MESSAGE"
        self._end(n, time.monotonic_ns(), outcome.of_status(status), status)
        if not decision.at_once:
            return states.UNKNOWN
        return states.COMMIT if decision.commits else states.ROLLBACK

    def _checked(self, message: Any) -> Any:
        """The broker asks what became of a message, of this producer or of another one of its group."""
        states = self._binding.client.TransactionStatus
        return states.COMMIT if decision_of(message.keys.decode()).commits else states.ROLLBACK

    def _failed(self, n: int, now_ns: int, error: Exception) -> None:
        name = type(error).__name__
        verdict = outcome.of_error(name, None, str(error), only_attempt=False)
        self._recorder.write(self._lines.failed(n, now_ns, verdict, name, str(error)))
        self.tally.completed(verdict, now_ns)


_STATUSES: Final = ("SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE")
"""By the number that the library gives them."""


def _status(result: Any) -> str:
    return _STATUSES[int(result.status)]


def _await_route(config: ProducerConfig) -> None:
    never = threading.Event()
    with Admin() as admin:
        while True:
            for nameserver in filter(None, config.namesrv.split(";")):
                try:
                    route = admin.route(nameserver, config.topic, timeout_s=_ROUTE_TIMEOUT_S)
                except WireError:
                    continue
                if route is not None and route.writable_masters:
                    return
            never.wait(_ROUTE_POLL_S)
