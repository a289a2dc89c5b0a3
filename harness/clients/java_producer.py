"""The Java reference client as a producer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jpype

from harness.clients import java_sends, java_transactions, outcome
from harness.clients.config import Config, ProducerConfig
from harness.clients.jvm import new_client, start_jvm, thrown, versions
from harness.clients.pace import Pacer, Tally
from harness.clients.record import Recorder, SendLines
from harness.clients.senders import Senders, Sending
from harness.core.content import body_of
from harness.core.errors import ClientError, UsageError

_ROUTE_POLL_S = 0.05
_ROUTE_LOOK_S = 0.2


def make(config: Config, recorder: Recorder) -> JavaProducer:
    """A producer of the Java client, with its JVM started. Raises `ClientError`."""
    if not isinstance(config, ProducerConfig):
        raise UsageError(f"{config.process!r} is no producer")
    start_jvm(config.java)
    return JavaProducer(config, recorder)


class JavaProducer(Sending):
    """A DefaultMQProducer whose every send is recorded before it is made and when it is answered."""

    def __init__(self, config: ProducerConfig, recorder: Recorder) -> None:
        self.tally = Tally()
        self._config = config
        self._recorder = recorder
        self._lines = SendLines(config.process, config.topic)
        self._pacer = Pacer(config.rate_per_s)
        self._only = config.only_attempt
        self._message_handle = java_sends.message(
            config.topic,
            wait=config.properties.get("WAIT", "true") != "false",
            delay_level=config.delay_level,
            properties=[(k, v) for k, v in config.properties.items() if k != "WAIT"],
        )
        self._made: Callable[[str, str], Any]
        self._producer: Any = None
        self._pins: list[Any] = []
        self._sends: list[java_sends.Send] = []
        sends = {
            "sync": self._sync,
            "orderly": self._sync,
            "oneway": self._oneway,
            "async": self._async,
            "transaction": self._transaction,
        }
        self._senders = Senders(config, self._pacer, self.tally, sends[config.mode])
        self._window = threading.Semaphore(config.window)
        self._open: dict[int, Any] = {}
        self._callback: Any = None
        self._decided: set[int] = set()

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return versions(self._config.java)

    def start(self) -> None:
        """Starts the client and, if so configured, waits until a name server gives it a route with queues."""
        config = self._config
        plain = "org.apache.rocketmq.client.producer.DefaultMQProducer"
        kind = java_transactions.PRODUCER if config.mode == "transaction" else plain
        producer = new_client(kind, config, config.heartbeat_ms)
        producer.setSendMsgTimeout(config.timeout_ms)
        producer.setRetryTimesWhenSendFailed(config.retries)
        producer.setRetryTimesWhenSendAsyncFailed(config.retries)
        producer.setRetryAnotherBrokerWhenNotStoreOK(config.retry_on_not_ok)
        producer.setSendLatencyFaultEnable(config.latency_fault)
        # A recorded body must be the stored body: the id is read from it.
        producer.setCompressMsgBodyOverHowmuch(1 << 30)
        if config.mode == "transaction":
            producer.setTransactionListener(java_transactions.listener(self._settled))
        producer.start()
        self._producer = producer
        queue_class = jpype.JClass("org.apache.rocketmq.common.message.MessageQueue")
        self._pins = [queue_class(config.topic, pin.broker, pin.queue) for pin in config.pins]
        self._prepare_mode()
        if config.wait_route:
            self._await_route()
        threading.Thread(target=self._follow_route, daemon=True, name="route").start()
        self._senders.start()

    def _prepare_mode(self) -> None:
        if self._config.mode == "async":
            self._told = java_sends.told()
            self._callback = _callback_class(self)
        if self._config.mode in ("sync", "orderly"):
            self._sends = self._ways_to_send()
        else:
            self._made = java_sends.made(self._message_handle)

    def _ways_to_send(self) -> list[java_sends.Send]:
        """One for each place that a send may be meant for; message n takes number n modulo how many there are."""
        producer, message = self._producer, self._message_handle
        if self._pins:
            return [java_sends.pinned(producer, message, pin) for pin in self._pins]
        if self._config.mode == "orderly":
            by_hash = jpype.JClass("org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash")()
            integer = jpype.JClass("java.lang.Integer")
            keys = map(integer.valueOf, range(self._config.keys))
            return [java_sends.selected(producer, message, by_hash, key) for key in keys]
        return [java_sends.plain(producer, message)]

    def _await_route(self) -> None:
        never = threading.Event()
        while True:
            try:
                if not self._producer.fetchPublishMessageQueues(self._config.topic).isEmpty():
                    return
            except jpype.JException as error:
                if thrown(error)[0] != "MQClientException":
                    raise
            never.wait(_ROUTE_POLL_S)

    def _follow_route(self) -> None:
        """Writes down where the client sends to whenever that changes, as long as it can.

        The client makes a new object of a route that changed: to look whether it is another one costs two crossings.
        """
        client = self._producer.getDefaultMQProducerImpl()
        routes, addresses = client.getTopicPublishInfoTable(), client.getmQClientFactory()
        never, topic, seen, told = threading.Event(), self._config.topic, None, None
        while self._recorder.failed is None:
            with suppress(ClientError, jpype.JException):  # of a look that failed the next one tells
                route = routes.get(topic)
                if route is not None and (seen is None or not route.equals(seen)):
                    queues = [str(queue.getBrokerName()) for queue in route.getMessageQueueList()]
                    found = {name: str(addresses.findBrokerAddressInPublish(name)) for name in sorted(set(queues))}
                    if (found, len(queues)) != told:
                        self._recorder.route(topic, found, len(queues))
                        told = found, len(queues)
                    seen = route
            never.wait(_ROUTE_LOOK_S)

    def _content(self, n: int) -> tuple[str, str]:
        """Keys and body of message n."""
        message_id = f"{self._config.process}-{n}"
        return message_id, body_of(message_id, self._config.body_bytes).decode("latin-1")

    def _message(self, n: int) -> Any:
        return self._made(*self._content(n))

    def _where(self, n: int) -> tuple[Any, ...]:
        """The arguments of a send that say where to, where it is not one of `_sends`."""
        return (self._pins[n % len(self._pins)],) if self._pins else ()

    def _sync(self, n: int) -> None:
        (keys, body), send = self._content(n), self._sends[n % len(self._sends)]
        self._invoke(n)
        try:
            told = send(keys, body)
        except jpype.JException as error:
            self._failed(n, time.monotonic_ns(), error)
            return
        self._answered(n, time.monotonic_ns(), told)

    def _oneway(self, n: int) -> None:
        message, where = self._message(n), self._where(n)
        self._invoke(n)
        try:
            self._producer.sendOneway(message, *where)
        except jpype.JException as error:
            self._failed(n, time.monotonic_ns(), error)
            return
        self._end(n, time.monotonic_ns(), outcome.of_status("ONEWAY"), "ONEWAY")

    def _async(self, n: int) -> None:
        message, where = self._message(n), self._where(n)
        self._window.acquire()
        self._invoke(n)
        callback = self._callback(n)
        self._open[n] = callback
        try:
            self._producer.send(message, *where, callback)
        except jpype.JException as error:
            if n in self._open:  # else the callback was told already, and what is thrown says no more
                self.settle(n, None, error)

    def _transaction(self, n: int) -> None:
        """A half message; its completion is recorded by the local transaction, which runs if and when it was stored."""
        message = self._message(n)
        self._invoke(n)
        try:
            result = self._producer.sendMessageInTransaction(message, None)
        except jpype.JException as error:
            if n in self._decided:
                self._decided.discard(n)
                return
            self._failed(n, time.monotonic_ns(), error)
            return
        if n in self._decided:
            self._decided.discard(n)
            return
        # Stored less safely than asked for: the client rolls it back, and may be asked about it all the same.
        self._end(n, time.monotonic_ns(), outcome.INFO, str(result.getSendStatus().name()))

    def _settled(self, n: int, now_ns: int, verdict: outcome.Outcome, status: str) -> None:
        self._decided.add(n)
        self._end(n, now_ns, verdict, status)

    def settle(self, n: int, result: Any, error: Any) -> None:
        """The answer to an asynchronous send, and every further one: whether there was one alone is judged."""
        now = time.monotonic_ns()
        if self._open.pop(n, None) is not None:
            self._window.release()
        if error is None:
            self._answered(n, now, self._told(result))
        else:
            self._failed(n, now, error)

    def _answered(self, n: int, now_ns: int, told: str) -> None:
        status, place = java_sends.read_told(told)
        verdict = outcome.of_status(status)
        self._recorder.write(self._lines.done(n, now_ns, verdict, status, place))
        self.tally.completed(verdict, now_ns)

    def _failed(self, n: int, now_ns: int, error: Any) -> None:
        name, code, text = thrown(error)
        verdict = outcome.of_error(name, code, text, only_attempt=self._only)
        self._recorder.write(self._lines.failed(n, now_ns, verdict, name, text, code))
        self.tally.completed(verdict, now_ns)


def _callback_class(producer: JavaProducer) -> Any:
    @jpype.JImplements("org.apache.rocketmq.client.producer.SendCallback")
    class Callback:
        def __init__(self, n: int) -> None:
            self.n = n

        @jpype.JOverride  # type: ignore[untyped-decorator]
        def onSuccess(self, result: Any) -> None:
            producer.settle(self.n, result, None)

        @jpype.JOverride  # type: ignore[untyped-decorator]
        def onException(self, error: Any) -> None:
            producer.settle(self.n, None, error)

    return Callback
