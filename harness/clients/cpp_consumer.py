"""The C++ client, through `rocketmq-client-python`, as a consumer."""

from __future__ import annotations

import re
import threading
import time
from typing import Any, Final

from harness.clients.callbacks import answering
from harness.clients.config import Config
from harness.clients.cpp_binding import Binding, log_text
from harness.clients.record import Recorder
from harness.clients.taking import Taking, tellable
from harness.core.content import examine
from harness.core.errors import ClientError

_ASSIGNMENT_POLL_S: Final = 0.1


def make(config: Config, recorder: Recorder) -> CppConsumer:
    """A consumer of the C++ client, with its library loaded.

    Raises `UsageError` for what it cannot be told, `ClientError` if the library cannot be loaded.
    """
    return CppConsumer(tellable(config, "cpp", broadcasts=True), recorder, Binding(config.cpp))


class CppConsumer(Taking[Binding]):
    """One PushConsumer. A delivery is recorded before the listener answers for it.

    Where a new group begins cannot be told it: at the last message, unless the broker says otherwise, as it does of a
    queue whose first message is still in memory. Nor can how often it rebalances and how often it commits offsets.
    """

    client = "cpp"

    def start(self) -> None:
        """Starts the client and, if so configured, waits until it logs that it owns queues. Raises `ClientError`."""
        config, client = self._config, self._binding.client
        model = getattr(self._binding.ffi.MessageModel, config.model.upper())
        consumer = client.PushConsumer(config.group, orderly=config.listener == "orderly", message_model=model)
        self._consumer = consumer
        try:
            consumer.set_namesrv_addr(config.namesrv)
            consumer.set_thread_count(config.threads)
            consumer.set_message_batch_max_size(1)
            consumer.set_instance_name(config.process)
            consumer.subscribe(config.topics[0], self._consumed)
            consumer.start()
        except self._binding.error as error:
            raise ClientError(f"the cpp consumer did not start: {type(error).__name__}: {error}") from None
        if config.wait_assignment:
            _await_assignment(config.topics[0])

    def stop(self, timeout_s: float) -> None:
        """Ends the consumer as an application would: offsets committed, membership given up."""
        ending = threading.Thread(target=self._consumer.shutdown, daemon=True, name="shutdown")
        ending.start()
        ending.join(timeout_s)

    def take(self, message: Any) -> bool:
        """Records a message; False if it is to be consumed again later."""
        now = time.monotonic_ns()
        refused = self._refusals.refuses([int(message.reconsume_times)])
        self._recorder.write(self._line(message, now, refused=refused))
        self.tally.delivered(1, now)
        return not refused

    def _consumed(self, message: Any) -> Any:
        """What the library calls."""
        status = self._binding.client.ConsumeStatus
        return answering(lambda: status.CONSUME_SUCCESS if self.take(message) else status.RECONSUME_LATER)

    def _line(self, message: Any, now_ns: int, *, refused: bool) -> str:
        keys = message.keys
        # The library gives the body as text that ends at the first NUL, and not the checksum that was stored.
        found, altered = examine(message.body or b"", keys.decode(errors="replace") if keys is not None else None)
        place = (self._config.cpp.broker, int(message.queue_id), int(message.queue_offset))
        message_id = found or f"unidentified@{int(message.commit_log_offset)}"
        attempt = int(message.reconsume_times)
        return self._lines.deliver(message_id, now_ns, message.topic, place, attempt, altered, refused=refused)


def _await_assignment(topic: str) -> None:
    """Returns once the library has logged from which offsets it pulls the topic, and the end of that rebalance."""
    never = threading.Event()
    pulls = rf"CONSUME_FROM_LAST_OFFSET, (last|max)Offset\s+of mq:[^\n]*\b{re.escape(topic)}\b[^\n]* is:\d+"
    begun = re.compile(rf"{pulls}.*finish dorebalance", re.DOTALL)
    while begun.search(log_text()) is None:
        never.wait(_ASSIGNMENT_POLL_S)
