"""Whether a proxy does its work, as seen from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.cluster.roster import Roster
from harness.core.errors import WireError
from harness.runtime.base import HUB, Runtime
from harness.topology import layout
from harness.wire.sync import Admin

_LOOK_TIMEOUT_S: Final = 2.0


class Proxies:
    """Asks proxies for what every client of theirs asks first.

    A route is asked for by the remoting protocol. What answers that is the same for both protocols inside a proxy; of
    gRPC it is seen that its port takes connections.
    """

    def __init__(self, runtime: Runtime, admin: Admin, roster: Roster) -> None:
        self._runtime = runtime
        self._admin = admin
        self._roster = roster

    def problems(self, proxy: str, topics: Iterable[str], brokers: Iterable[str]) -> list[str]:
        """What is wrong, one line each: a port that refuses, or a topic that is not routed to these broker names."""
        ip = self._roster.ip(proxy)
        for port in (layout.PROXY_PORT, layout.PROXY_REMOTING_PORT):
            try:
                self._runtime.dial(HUB, ip, port, _LOOK_TIMEOUT_S).close()
            except OSError:
                return [f"{proxy} takes no connections on {ip}:{port}"]
        wanted = tuple(brokers)
        return [problem for topic in topics if (problem := self._unrouted(proxy, ip, topic, wanted))]

    def _unrouted(self, proxy: str, ip: str, topic: str, brokers: tuple[str, ...]) -> str:
        address = f"{ip}:{layout.PROXY_REMOTING_PORT}"
        try:
            route = self._admin.route(address, topic, timeout_s=_LOOK_TIMEOUT_S)
        except WireError as error:
            self._admin.drop(address)
            return f"{proxy} does not answer for the route of {topic}: {error}"
        there = {queues.broker for queues in route.queues} if route is not None else set()
        absent = [broker for broker in brokers if broker not in there]
        return f"{proxy} does not route {topic} to {', '.join(absent)}" if absent else ""
