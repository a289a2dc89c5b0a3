"""The gRPC client, `rocketmq-python-client`, as a producer: it talks to proxies alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from harness.clients import outcome
from harness.clients.callbacks import answering
from harness.clients.config import Config, ProducerConfig
from harness.clients.decisions import decision_of
from harness.clients.grpc_binding import Binding, await_route, due_s, told
from harness.clients.pace import Pacer, Tally
from harness.clients.record import Recorder, SendLines
from harness.clients.senders import Senders, Sending
from harness.core.content import body_of
from harness.core.errors import UsageError
from harness.core.names import TOLD

DELAYS_S: Final = (1, 5, 10, 30, *(60 * m for m in range(1, 11)), 1200, 1800, 3600, 7200)
"""Of the delay levels, from 1 on, as every broker has them: this client says when, and not which level."""
NO_RECEIPT: Final = "NO_RECEIPT"


def make(config: Config, recorder: Recorder) -> GrpcProducer:
    """A producer of the gRPC client, with its library imported.

    Raises `UsageError` for what it cannot be told, `ClientError` if the library cannot be imported.
    """
    if not isinstance(config, ProducerConfig):
        raise UsageError(f"{config.process!r} is no producer")
    if config.mode == "oneway" or config.pins:
        what = "pins" if config.pins else f"mode {config.mode}"
        raise UsageError(f"producer {config.process!r}: the grpc client has no {what}; see harness/workloads/abilities")
    return GrpcProducer(config, recorder, Binding(config.grpc))


class GrpcProducer(Sending):
    """One Producer whose every send is recorded before it is made and when it is answered.

    How often it tries a send is told it by the proxy (three times). A receipt tells an offset, but neither broker nor
    queue: it is the proxy that chooses them. A receipt is given for SEND_OK alone: whatever weaker status a broker
    answers is tried again, and raised in the end, with the message stored.
    """

    def __init__(self, config: ProducerConfig, recorder: Recorder, binding: Binding) -> None:
        self.tally = Tally()
        self._config = config
        self._recorder = recorder
        self._binding = binding
        self._lines = SendLines(config.process, config.topic)
        self._pacer = Pacer(config.rate_per_s)
        self._window = threading.Semaphore(config.window)
        self._producer: Any = None
        sends: dict[str, Callable[[int], None]] = {
            "sync": self._sync,
            "orderly": self._sync,
            "async": self._async,
            "transaction": self._transaction,
        }
        self._senders = Senders(config, self._pacer, self.tally, sends[config.mode])

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return self._binding.versions()

    def start(self) -> None:
        """Starts the client and, if so configured, waits until a proxy has a route with queues.

        Raises `ClientError`.
        """
        config, sdk = self._config, self._binding.sdk
        checker = _checker_class(sdk)() if config.mode == "transaction" else None
        topics = (config.topic,) if config.wait_route else ()
        self._producer = sdk.Producer(self._binding.configuration(config.timeout_ms), topics, checker=checker)
        self._binding.startup(self._producer, "producer")
        if config.wait_route:
            await_route(self._producer, config.topic)
            self._binding.await_settings(self._producer)
        self._senders.start()

    def _message(self, n: int) -> Any:
        config = self._config
        message_id = f"{config.process}-{n}"
        message = self._binding.sdk.Message()
        message.topic = config.topic
        message.keys = message_id
        message.body = body_of(message_id, config.body_bytes)
        if config.mode == "orderly":
            message.message_group = str(n % config.keys)
        for name, value in config.properties.items():
            message.add_property(name, value)
        return message

    def _begin(self, n: int, message: Any) -> None:
        """Records that the message is about to be sent, and only then says when it is to come: it must not come sooner.

        Delays are counted from what was recorded, however long this thread stood still before or after.
        """
        self._invoke(n)
        if self._config.delay_level:
            message.delivery_timestamp = due_s(DELAYS_S[self._config.delay_level - 1])

    def _sync(self, n: int) -> None:
        message = self._message(n)
        self._begin(n, message)
        try:
            receipt = self._producer.send(message)
        except Exception as error:  # noqa: BLE001  the client raises whatever was raised below it
            self._failed(n, time.monotonic_ns(), error)
            return
        self._answered(n, time.monotonic_ns(), receipt)

    def _async(self, n: int) -> None:
        message = self._message(n)
        self._window.acquire()
        self._begin(n, message)
        try:
            future = self._producer.send_async(message)
        except Exception as error:  # noqa: BLE001  see `_sync`
            self._window.release()
            self._failed(n, time.monotonic_ns(), error)
            return
        future.add_done_callback(lambda done: answering(partial(self._settled, n, done)))

    def _settled(self, n: int, future: Any) -> None:
        now = time.monotonic_ns()
        self._window.release()
        error = future.exception()
        if error is None:
            self._answered(n, now, future.result())
        else:
            self._failed(n, now, error)

    def _transaction(self, n: int) -> None:
        """A half message, whose completion is recorded before the broker is told its end, if it is told at all."""
        message, transaction = self._message(n), self._producer.begin_transaction()
        self._begin(n, message)
        try:
            receipt = self._producer.send(message, transaction)
        except Exception as error:  # noqa: BLE001  see `_sync`
            self._failed(n, time.monotonic_ns(), error)
            return
        if not _is_one(receipt):
            self._answered(n, time.monotonic_ns(), receipt)
            return
        decision = decision_of(f"{self._config.process}-{n}")
        status = "COMMIT_MESSAGE" if decision.commits else "ROLLBACK_MESSAGE"
        self._end(n, time.monotonic_ns(), outcome.of_status(status), status)
        if decision.at_once:
            self._tell(n, transaction.commit if decision.commits else transaction.rollback)

    def _tell(self, n: int, end: Callable[[], Any]) -> None:
        """Ends the transaction of message n. What the broker was not told it asks for: the decision stands."""
        try:
            end()
        except Exception:  # noqa: BLE001  see `_sync`
            return
        self._recorder.event(TOLD, {"id": f"{self._config.process}-{n}"})

    def _answered(self, n: int, now_ns: int, receipt: Any) -> None:
        """A receipt is SEND_OK; whatever else the client returns where one is due says nothing, and is unknown."""
        status = "SEND_OK" if _is_one(receipt) else NO_RECEIPT
        self._end(n, now_ns, outcome.of_status(status), status, self._config.grpc.broker)

    def _failed(self, n: int, now_ns: int, error: Exception) -> None:
        name, code, text = told(error)
        verdict = outcome.of_error(name, code, text, only_attempt=False)
        self._recorder.write(self._lines.failed(n, now_ns, verdict, name, text, code))
        self.tally.completed(verdict, now_ns)


def _is_one(receipt: Any) -> bool:
    """Only what was stored, flushed and replicated as it was to be is given a message id by a proxy."""
    return bool(getattr(receipt, "message_id", None))


def _checker_class(sdk: Any) -> Any:
    class Checker(sdk.TransactionChecker):  # type: ignore[misc]
        """The broker asks what became of a message, of this producer or of another one of its topic."""

        def check(self, message: Any) -> Any:
            return answering(partial(self._resolution, message))

        def _resolution(self, message: Any) -> Any:
            commits = decision_of(next(iter(message.keys))).commits
            return sdk.TransactionResolution.COMMIT if commits else sdk.TransactionResolution.ROLLBACK

    return Checker
