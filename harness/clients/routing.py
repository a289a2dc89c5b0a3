"""Where the remoting client may send: the route of one topic, asked for again and again."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass

from harness.clients.config import ProducerConfig
from harness.clients.record import Recorder
from harness.core.errors import WireError
from harness.wire import AsyncAdmin, Route

_FIRST_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """One writable queue and the address of its master."""

    broker: str
    queue: int
    address: str


def targets_of(route: Route) -> tuple[Target, ...]:
    """Every queue that a client obeying the route may write, broker by broker in the order of their names."""
    masters = route.writable_masters
    return tuple(
        Target(queues.broker, number, masters[queues.broker])
        for queues in sorted(route.queues, key=lambda q: q.broker)
        if queues.broker in masters
        for number in range(queues.write_queues)
    )


class Routing:
    """The latest route that any name server told. A name server that does not answer changes nothing."""

    def __init__(self, config: ProducerConfig, recorder: Recorder, admin: AsyncAdmin) -> None:
        self.targets: tuple[Target, ...] = tuple(Target(p.broker, p.queue, p.address) for p in config.pins)
        self._pinned = bool(config.pins)
        self._nameservers = [address for address in config.namesrv.split(";") if address]
        self._topic = config.topic
        self._poll_s = config.poll_nameserver_ms / 1000
        self._recorder = recorder
        self._admin = admin
        self._key_count = config.keys if config.mode == "orderly" else 0
        self._turn = itertools.count()

    def choose(self, n: int, before: Target | None) -> Target | None:
        """Where to send message `n`: in turn, orderly by its key, and preferably to another broker than `before`."""
        targets = self.targets
        if not targets:
            return None
        if self._key_count:
            return targets[n % self._key_count % len(targets)]
        first = targets[next(self._turn) % len(targets)]
        if before is None or first.broker != before.broker:
            return first
        others = [target for target in targets if target.broker != before.broker]
        return others[next(self._turn) % len(others)] if others else first

    async def first(self) -> None:
        """Returns once there is somewhere to send to."""
        while not self.targets:
            await self._look()
            if not self.targets:
                await asyncio.sleep(_FIRST_POLL_S)

    async def follow(self) -> None:
        """Polls for ever."""
        while not self._pinned:
            await asyncio.sleep(self._poll_s)
            await self._look()

    async def _look(self) -> None:
        for _ in range(len(self._nameservers)):
            try:
                route = await self._admin.route(self._nameservers[0], self._topic, timeout_s=3.0)
            except WireError:
                # Like the product's client: stay with one name server until it fails, then try the next.
                self._nameservers.append(self._nameservers.pop(0))
                continue
            self._adopt(targets_of(route) if route is not None else ())
            return

    def _adopt(self, targets: tuple[Target, ...]) -> None:
        if targets == self.targets:
            return
        self.targets = targets
        writable = {broker: address for broker, address in sorted({(t.broker, t.address) for t in targets})}
        self._recorder.route(self._topic, writable, len(targets))
