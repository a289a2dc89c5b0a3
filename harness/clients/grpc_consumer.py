"""The gRPC client, `rocketmq-python-client`, as a consumer: pushed to, or one that asks and acknowledges."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Final

from harness.clients.callbacks import answering
from harness.clients.config import Config, ConsumerConfig
from harness.clients.grpc_binding import Binding, await_route, place_of, shut_down, told
from harness.clients.record import MAX_ERROR_CHARS, Recorder
from harness.clients.taking import Taking, tellable
from harness.core.content import examine
from harness.core.errors import ClientError
from harness.core.names import RAISED

_POLL_S: Final = 0.05
_REQUEST_MS: Final = 3_000
_AT_ONCE: Final = 32
_LONG_POLL_S: Final = 5
"""The shortest that a proxy grants."""
_INVISIBLE_S: Final = 30
"""How long a simple consumer has for its acknowledgement, before the message comes again."""
_AFTER_ERROR_S: Final = 0.2


def make(config: Config, recorder: Recorder) -> GrpcConsumer:
    """A consumer of the gRPC client, with its library imported.

    Raises `UsageError` for what it cannot be told, `ClientError` if the library cannot be imported.
    """
    asked = tellable(config, "grpc", broadcasts=False)
    kind = SimpleConsumer if asked.listener == "simple" else PushConsumer
    return kind(asked, recorder, Binding(asked.grpc))


class GrpcConsumer(Taking[Binding]):
    """What both kinds have in common: a delivery is recorded before it is answered for.

    Where a new group begins cannot be told it: at the last message, unless the broker still has the first one of a
    queue in memory. A queue is given to a group, and not to one of its members.
    """

    client = "grpc"

    def __init__(self, config: ConsumerConfig, recorder: Recorder, binding: Binding) -> None:
        super().__init__(config, recorder, binding)
        self._said: dict[str, tuple[str, int | None, str] | None] = {}

    def start(self) -> None:
        """Starts the client, and returns once proxies know it. Raises `ClientError`."""
        self._consumer = self._made({self._config.topics[0]: self._binding.sdk.FilterExpression()})
        self._binding.startup(self._consumer, "consumer")
        if self._config.wait_assignment:
            await_route(self._consumer, self._config.topics[0])
            self._binding.await_settings(self._consumer)
        self._begin()

    def _made(self, subscription: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _begin(self) -> None:
        """Once it is known."""

    def stop(self, timeout_s: float) -> None:
        """Ends the consumer as an application would: what it has is acknowledged, and proxies are told."""
        shut_down(self._consumer, timeout_s, partial(self._raised, "shutdown"))

    def _raised(self, call: str, error: Exception | None) -> None:
        """Puts on the time axis what a call of the client raised (None: nothing), once for what it raises in a row."""
        said = None if error is None else told(error)
        before, self._said[call] = self._said.get(call), said
        if said is not None and (before is None or before[:2] != said[:2]):
            name, code, text = said
            self._recorder.event(RAISED, {"call": call, "error": name, "code": code, "text": text[:MAX_ERROR_CHARS]})

    def take(self, message: Any) -> bool:
        """Records a message; False if it is to be consumed again later."""
        now = time.monotonic_ns()
        came_before = max(0, int(message.delivery_attempt or 1) - 1)
        refused = self._refusals.refuses([came_before])
        self._recorder.write(self._line(message, now, came_before, refused=refused))
        self.tally.delivered(1, now)
        return not refused

    def _line(self, message: Any, now_ns: int, came_before: int, *, refused: bool) -> str:
        key = next(iter(message.keys), None)
        found, altered = examine(message.body or b"", key)
        place = place_of(message.receipt_handle or "")
        message_id = found or f"unidentified@{message.message_id}"
        return self._lines.deliver(message_id, now_ns, message.topic, place, came_before, altered, refused=refused)


class PushConsumer(GrpcConsumer):
    """One PushConsumer: its listener is given messages by the client's own threads."""

    def _made(self, subscription: dict[str, Any]) -> Any:
        config, sdk = self._config, self._binding.sdk
        return sdk.PushConsumer(
            self._binding.configuration(_REQUEST_MS),
            config.group,
            _listener_class(sdk)(self),
            subscription,
            consumption_thread_count=config.threads,
        )

    def _begin(self) -> None:
        if self._config.listener == "orderly" and not self._consumer.fifo:
            raise ClientError(
                f"the proxies of {self._config.grpc.endpoints} do not give group {self._config.group} its messages in "
                "order: it was not made with consumeMessageOrderly, or they have not heard of it"
            )
        if not self._config.wait_assignment:
            return
        # What it owns it does not tell.
        owned, never = self._consumer._PushConsumer__process_queues, threading.Event()
        while not owned.keys():
            never.wait(_POLL_S)


class SimpleConsumer(GrpcConsumer):
    """One SimpleConsumer: a thread asks for messages, records each, and acknowledges it."""

    def __init__(self, config: ConsumerConfig, recorder: Recorder, binding: Binding) -> None:
        super().__init__(config, recorder, binding)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def _made(self, subscription: dict[str, Any]) -> Any:
        sdk, configuration = self._binding.sdk, self._binding.configuration(_REQUEST_MS)
        return sdk.SimpleConsumer(configuration, self._config.group, subscription, await_duration=_LONG_POLL_S)

    def _begin(self) -> None:
        for number in range(self._config.threads):
            thread = threading.Thread(target=self._receive, daemon=True, name=f"receiver-{number}")
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Asks for no more, acknowledges what it has, and says goodbye."""
        self._ended.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        super().stop(max(0.0, deadline - time.monotonic()))

    def _receive(self) -> None:
        while not self._ended.is_set():
            try:
                messages = self._consumer.receive(_AT_ONCE, _INVISIBLE_S)
            except Exception as error:  # noqa: BLE001  no proxy now: an application would ask again
                self._raised("receive", error)
                self._ended.wait(_AFTER_ERROR_S)
                continue
            self._raised("receive", None)
            for message in messages:
                if self.take(message):
                    self._acknowledge(message)

    def _acknowledge(self, message: Any) -> None:
        try:
            self._consumer.ack(message)
        except Exception as error:  # noqa: BLE001  one that is not acknowledged comes again
            self._raised("ack", error)
        else:
            self._raised("ack", None)


def _listener_class(sdk: Any) -> Any:
    class Listener(sdk.MessageListener):  # type: ignore[misc]
        """What the client calls. It would take an exception for a refusal."""

        def __init__(self, consumer: GrpcConsumer) -> None:
            self._consumer = consumer

        def consume(self, message: Any) -> Any:
            return answering(partial(self._consumed, message))

        def _consumed(self, message: Any) -> Any:
            return sdk.ConsumeResult.SUCCESS if self._consumer.take(message) else sdk.ConsumeResult.FAILURE

    return Listener
