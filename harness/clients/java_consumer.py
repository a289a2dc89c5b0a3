"""The Java reference client as a consumer."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from typing import Any

import jpype

from harness.clients.config import Config, ConsumerConfig
from harness.clients.jvm import major_of, new_client, optional_call, start_jvm, thrown, versions
from harness.clients.pace import Tally
from harness.clients.record import DeliverLines, Recorder
from harness.clients.refusals import Refusals
from harness.core.content import examine
from harness.core.errors import UsageError
from harness.wire.message import SYS_COMPRESSED, stored_crc

_ASSIGNMENT_POLL_S = 0.02
_LOOKS_PER_NUDGE = 50
_HEARTBEAT_5X_MS = 1000
_CONSUMER = "org.apache.rocketmq.client.consumer.DefaultMQPushConsumer"
_LISTENER = "org.apache.rocketmq.client.consumer.listener."


def make(config: Config, recorder: Recorder) -> JavaConsumer:
    """A consumer of the Java client, with its JVM started. Raises `ClientError`."""
    if not isinstance(config, ConsumerConfig):
        raise UsageError(f"{config.process!r} is no consumer")
    start_jvm(config.java)
    return JavaConsumer(config, recorder)


class JavaConsumer:
    """A DefaultMQPushConsumer. A delivery is recorded before the listener answers for it.

    It consumes from `start` on: a consumer owns queues only while it does. `pause` suspends its pulling; what it
    has pulled is still delivered.
    """

    def __init__(self, config: ConsumerConfig, recorder: Recorder) -> None:
        self.tally = Tally()
        self.done = False
        self.retry_level = config.retry_level
        self._config = config
        self._recorder = recorder
        self._lines = DeliverLines(config.group)
        self._refusals = Refusals(config)
        self._consumer: Any = None

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return versions(self._config.java)

    def start(self) -> None:
        """Starts the client and, if so configured, waits until it owns queues."""
        config = self._config
        consumer = new_client(_CONSUMER, config, self._heartbeat_ms())
        consumer.setPersistConsumerOffsetInterval(config.persist_offset_ms)
        consumer.setConsumeMessageBatchMaxSize(config.batch)
        consumer.setConsumeThreadMin(config.threads)
        consumer.setConsumeThreadMax(config.threads)
        consumer.setConsumeTimeout(config.consume_timeout_min)
        consumer.setMaxReconsumeTimes(config.max_reconsume)
        where = jpype.JClass("org.apache.rocketmq.common.consumer.ConsumeFromWhere")
        first = where.CONSUME_FROM_FIRST_OFFSET if config.from_first else where.CONSUME_FROM_LAST_OFFSET
        consumer.setConsumeFromWhere(first)
        consumer.setMessageModel(getattr(_message_model(), config.model.upper()))
        for topic in config.topics:
            consumer.subscribe(topic, "*")
        optional_call(consumer, "setAwaitTerminationMillisWhenShutdown", 5000)
        consumer.registerMessageListener(_listener(self, config.listener))
        self._consumer = consumer
        self._begin(consumer)
        if config.wait_assignment:
            self._await_assignment()

    def _begin(self, consumer: Any) -> None:
        """Starts the client; one that need not own queues may start without a name server."""
        try:
            consumer.start()
        except jpype.JException as error:
            # 4.9 throws this when no name server answers, and has by then begun to run: it finds its way later.
            if self._config.wait_assignment or thrown(error)[0] != "IllegalStateException":
                raise
            sys.stderr.write(f"start() threw, the client runs on: {error}\n")

    def go(self) -> None:
        """See `Client`."""
        self._consumer.resume()

    def pause(self) -> None:
        """See `Client`."""
        self._consumer.suspend()

    def set_rate(self, rate_per_s: float | None) -> None:
        """Raises `UsageError`: a consumer takes what comes."""
        raise UsageError(f"{self._config.process!r} is a consumer and has no rate (asked for {rate_per_s})")

    def stop(self, timeout_s: float) -> None:
        """Ends the consumer as an application would: offsets committed, membership given up."""
        ending = threading.Thread(target=self._consumer.shutdown, daemon=True, name="shutdown")
        ending.start()
        ending.join(timeout_s)

    def take(self, messages: Any, queue: Any) -> bool:
        """Records a batch; False if this one is to be consumed again later."""
        now = time.monotonic_ns()
        broker, number = str(queue.getBrokerName()), int(queue.getQueueId())
        refused = self._refusals.refuses(int(message.getReconsumeTimes()) for message in messages)
        lines = [self._line(message, broker, number, now, refused=refused) for message in messages]
        self._recorder.write("".join(lines))
        self.tally.delivered(len(lines), now)
        return not refused

    def _line(self, message: Any, broker: str, queue: int, now_ns: int, *, refused: bool) -> str:
        keys, stored = message.getKeys(), message.getBody()
        body = bytes(stored) if stored is not None else b""
        checksum = int(message.getBodyCRC()) == stored_crc(body) or _compressed(message)
        found, altered = examine(body, str(keys) if keys is not None else None, checksum=checksum)
        place = (broker, queue, int(message.getQueueOffset()))
        message_id = found or f"unidentified@{int(message.getCommitLogOffset())}"
        attempt = int(message.getReconsumeTimes())
        return self._lines.deliver(
            message_id, now_ns, str(message.getTopic()), place, attempt, altered, refused=refused
        )

    def _heartbeat_ms(self) -> int:
        # A 5.x consumer whose first heartbeat meets its own lock would wait 20 s for its next chance.
        if major_of(self._config.java) >= 5:
            return min(self._config.heartbeat_ms, _HEARTBEAT_5X_MS)
        return self._config.heartbeat_ms

    def _await_assignment(self) -> None:
        inner = self._consumer.getDefaultMQPushConsumerImpl()
        table = inner.getRebalanceImpl().getProcessQueueTable()
        never = threading.Event()
        for look in itertools.count(1):
            if not table.isEmpty():
                return
            never.wait(_ASSIGNMENT_POLL_S)
            if look % _LOOKS_PER_NUDGE == 0:
                # A first rebalance that found no route yet is repeated by the client only after 20 s.
                inner.getmQClientFactory().rebalanceImmediately()


def _compressed(message: Any) -> bool:
    """Its checksum is that of other bytes: a client that sends a long message back itself compresses it."""
    return bool(int(message.getSysFlag()) & SYS_COMPRESSED)


def _message_model() -> Any:
    try:
        return jpype.JClass("org.apache.rocketmq.common.protocol.heartbeat.MessageModel")
    except TypeError:
        return jpype.JClass("org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel")


def _listener(consumer: JavaConsumer, kind: str) -> Any:
    orderly = kind == "orderly"
    status = jpype.JClass(_LISTENER + ("ConsumeOrderlyStatus" if orderly else "ConsumeConcurrentlyStatus"))
    done = status.SUCCESS if orderly else status.CONSUME_SUCCESS
    again = status.SUSPEND_CURRENT_QUEUE_A_MOMENT if orderly else status.RECONSUME_LATER

    @jpype.JImplements(_LISTENER + ("MessageListenerOrderly" if orderly else "MessageListenerConcurrently"))
    class Listener:
        @jpype.JOverride  # type: ignore[untyped-decorator]
        def consumeMessage(self, messages: Any, context: Any) -> Any:
            if consumer.take(messages, context.getMessageQueue()):
                return done
            if not orderly and consumer.retry_level:
                context.setDelayLevelWhenNextConsume(consumer.retry_level)
            return again

    return Listener()
