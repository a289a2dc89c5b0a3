"""The built-in reader: pulls every queue of its topics from one replica, without a group. For reads from slaves."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final

from harness.clients.config import Config, ConsumerConfig
from harness.clients.looped import Loop
from harness.clients.pace import Tally
from harness.clients.record import DeliverLines, Recorder
from harness.core.content import examine
from harness.core.errors import UsageError, WireError
from harness.wire import AsyncAdmin, QueueRef, ResponseCode, Route, StoredMessage

_IDLE_S: Final = 0.05
_ERROR_S: Final = 0.2
_PULL_TIMEOUT_S: Final = 3.0


def make(config: Config, recorder: Recorder) -> RemotingConsumer:
    """A remoting consumer, not started."""
    if not isinstance(config, ConsumerConfig):
        raise UsageError(f"{config.process!r} is no consumer")
    return RemotingConsumer(config, recorder)


def queues_at(route: Route, replica: str) -> tuple[tuple[str, QueueRef], ...]:
    """Broker name and queue of everything readable at `replica`, or at every master if that is empty.

    A replica that is in no route any more is taken to hold the queues of every broker name: asking is harmless.
    """
    found = []
    known = {address for ids in route.brokers.values() for address in ids.values()}
    for queues in route.queues:
        ids = route.brokers.get(queues.broker, {})
        here = replica in ids.values() or replica not in known
        address = replica if replica and here else None if replica else ids.get(0)
        if address is not None:
            found += [(queues.broker, QueueRef(address, route.topic, q)) for q in range(queues.read_queues)]
    return tuple(found)


class RemotingConsumer:
    """Reads each queue from its first (or its present last) offset on; a message is delivered once and never retried.

    A replica that refuses or is silent is asked again; each change of its answer is an event in the history. Nothing
    is committed, so that it takes part in no group.
    """

    def __init__(self, config: ConsumerConfig, recorder: Recorder) -> None:
        self.tally = Tally()
        self.done = False
        self._config = config
        self._recorder = recorder
        self._lines = DeliverLines(config.group)
        self._loop = Loop()
        self._running = threading.Event()
        self._running.set()
        self._told: dict[str, str] = {}

    def versions(self) -> dict[str, str]:
        """See `Client`."""
        return {"protocol": "remoting"}

    def start(self) -> None:
        """Returns once a name server told which queues there are."""
        self._loop.run(self._start())

    def go(self) -> None:
        """See `Client`."""
        self._running.set()

    def pause(self) -> None:
        """See `Client`."""
        self._running.clear()

    def set_rate(self, rate_per_s: float | None) -> None:
        """Raises `UsageError`: a consumer takes what comes."""
        raise UsageError(f"{self._config.process!r} is a consumer and has no rate (asked for {rate_per_s})")

    def stop(self, timeout_s: float) -> None:
        """See `Client`. What a pull has brought is delivered in the same turn of the loop: nothing is in flight."""
        self._running.clear()
        self._loop.run(asyncio.wait_for(asyncio.sleep(0), timeout_s))

    async def _start(self) -> None:
        self._admin = AsyncAdmin()
        for topic in self._config.topics:
            for broker, queue in await self._queues(topic):
                self._loop.keep(self._follow(broker, queue))

    async def _queues(self, topic: str) -> tuple[tuple[str, QueueRef], ...]:
        while True:
            for nameserver in filter(None, self._config.namesrv.split(";")):
                try:
                    route = await self._admin.route(nameserver, topic)
                except WireError as error:
                    self._tell(f"route of {topic}", str(error))
                    continue
                queues = queues_at(route, self._config.replica) if route is not None else ()
                if queues:
                    return queues
            await asyncio.sleep(_IDLE_S)

    async def _follow(self, broker: str, queue: QueueRef) -> None:
        offset = -1
        while True:
            if not self._running.is_set():
                await asyncio.sleep(_IDLE_S)
                continue
            try:
                if offset < 0:
                    ask = self._admin.min_offset if self._config.from_first else self._admin.max_offset
                    offset = await ask(queue, timeout_s=_PULL_TIMEOUT_S)
                offset, found = await self._pull(broker, queue, offset)
            except WireError as error:
                self._tell(str(queue), str(error))
                await asyncio.sleep(_ERROR_S)
                continue
            if not found:
                await asyncio.sleep(_IDLE_S)

    async def _pull(self, broker: str, queue: QueueRef, offset: int) -> tuple[int, bool]:
        """The next offset, and whether there was anything: deliveries are recorded before the offset moves."""
        reply = await self._admin.pull(queue, offset, timeout_s=_PULL_TIMEOUT_S)
        self._tell(str(queue), f"{reply.code} {reply.remark}".strip())
        if not reply.found:
            return (reply.next_offset if reply.code == ResponseCode.PULL_OFFSET_MOVED else offset), False
        now = time.monotonic_ns()
        name = self._config.replica_name or broker
        lines = [self._line(message, name, now) for message in reply.messages if message.queue_offset >= offset]
        self._recorder.write("".join(lines))
        self.tally.delivered(len(lines), now)
        return reply.next_offset, True

    def _line(self, message: StoredMessage, broker: str, now_ns: int) -> str:
        found, altered = examine(message.body, message.properties.get("KEYS"), checksum=message.crc_matches)
        message_id = found or f"unidentified@{message.physical_offset}"
        place = (broker, message.queue_id, message.queue_offset)
        return self._lines.deliver(message_id, now_ns, message.topic, place, message.reconsume_times, altered)

    def _tell(self, what: str, answer: str) -> None:
        """Records what a replica answers whenever that changes; found and nothing new are the same."""
        said = "served" if answer.startswith(("0", "19 ")) or answer == "19" else answer
        if self._told.get(what) != said:
            self._told[what] = said
            self._recorder.event("pull", {"what": what, "answer": said})
