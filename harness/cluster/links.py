"""The links of a running cluster: a Toxiproxy in a place of its own before each node that has one."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from harness.cluster.exchange import Exchange, exchange, farewell
from harness.cluster.plan import ClusterPlan
from harness.cluster.roster import Roster
from harness.cluster.toxiproxy import API_PORT, Api, Stream, Toxic
from harness.core.errors import FaultError, SetupError, UsageError
from harness.distribution.toxiproxy import FILE
from harness.runtime.base import HUB, Process, Runtime
from harness.topology.links import KINDS, PORTS, LinkKind, behind, link_node, places
from harness.waiting import wait_for

STREAMS: Final[tuple[Stream, ...]] = ("upstream", "downstream")
ANSWER_S: Final = 5.0
"""An answer over a link to which nothing was done comes sooner, on a busy machine too."""
_START_S: Final = 20.0
_LOOK_S: Final = 10.0
_ASKED_TIMES: Final = 3
_ESTABLISHED: Final = "01"


class Link:
    """The way to one node for one purpose. What is done to it, is done to all of its ports."""

    def __init__(self, kind: LinkKind, node: str, ip: str, topic: str, runtime: Runtime) -> None:
        self.kind = kind
        self.node = node
        self._ip = ip
        self._topic = topic
        self._runtime = runtime
        self._api = Api(runtime, link_node(node))

    def __str__(self) -> str:
        return f"the {self.kind} link of {self.node}"

    def add(self, toxics: Iterable[Toxic]) -> None:
        """Raises `FaultError`; what was added before stays, for `remove`."""
        for toxic in toxics:
            for port in PORTS[self.kind]:
                self._api.add(_proxy(self.kind, port), toxic)

    def remove(self, toxics: Iterable[Toxic]) -> None:
        """Idempotent. Raises `FaultError`."""
        for toxic in toxics:
            for port in PORTS[self.kind]:
                self._api.remove(_proxy(self.kind, port), toxic)

    def ask(self, size_bytes: int = 0, timeout_s: float = ANSWER_S) -> Exchange:
        """One exchange over the link, on a connection of its own."""
        try:
            connection = self._dial()
        except OSError:
            return Exchange("refused", 0.0)
        return exchange(connection, self.kind, self._topic, size_bytes, timeout_s)

    def part(self, timeout_s: float) -> Exchange:
        """Connects, says nothing more, and waits for the other side to close."""
        try:
            connection = self._dial()
        except OSError:
            return Exchange("refused", 0.0)
        return farewell(connection, timeout_s)

    def _dial(self) -> socket.socket:
        return self._runtime.dial(HUB, self._ip, PORTS[self.kind][0], ANSWER_S)


class Links:
    """All of a cluster's; without any it does nothing."""

    def __init__(self, plan: ClusterPlan, runtime: Runtime, roster: Roster) -> None:
        self._plan = plan
        self._runtime = runtime
        self._roster = roster

    @property
    def nodes(self) -> tuple[str, ...]:
        """The places before nodes, by their names in the runtime."""
        return tuple(map(link_node, places(self._plan.links, self._plan.topology)))

    def of(self, kind: LinkKind, node: str) -> Link:
        """The link of that kind before a node. Raises `UsageError` where none stands."""
        there = [name for name in behind(kind, self._plan.topology) if kind in self._plan.links]
        if node not in there:
            raise UsageError(
                f"no {kind} link stands before {node}; there are such before {', '.join(there) or 'none'}: the cluster "
                f"needs links=({kind!r},)"
            )
        return Link(kind, node, self._roster.ip(link_node(node)), self._plan.probe_topic.name, self._runtime)

    def passed_by(self, kind: LinkKind, node: str) -> tuple[str, ...]:
        """Who is connected to the node for that purpose without going through its link, now; the harness is not meant.

        Of a nameserver's link these are brokers alone: clients go to it directly.
        """
        _code, said, _ = self._runtime.run(node, ["cat", "/proc/net/tcp", "/proc/net/tcp6"], _LOOK_S)
        peers = set(connected(said.decode(errors="replace"), PORTS[kind]))
        mean = self._roster.brokers() if kind != "clients" else tuple(self._runtime.nodes)
        own = (node, *self.nodes)
        return tuple(name for name in mean if name not in own and self._runtime.nodes[name].address in peers)

    def refuse_mute(self, hurt: Collection[str]) -> None:
        """Raises `FaultError` for a link that does not work though nothing is done to it, those of `hurt` nodes aside.

        What its users met may have been its doing: the harness itself goes past links, and sees a whole cluster.
        """
        for kind in KINDS:
            for node in behind(kind, self._plan.topology) if kind in self._plan.links else ():
                link = self.of(kind, node)
                if node not in hurt and not any(link.ask().answered for _ in range(_ASKED_TIMES)):
                    raise FaultError(
                        f"{link} does not answer, nobody knows since when: {self._runtime.tail(link_node(node))}"
                    )

    def start(self) -> None:
        """Starts every server and waits until its proxies listen. Raises `SetupError`, `WaitTimeout`."""
        server = self._plan.toxiproxy
        if not self.nodes:
            return
        if server is None:
            raise SetupError("links need a toxiproxy-server, and none was obtained: run `make toxiproxy`")
        program = f"{self._runtime.provide(server.home, 'toxiproxy')}/{FILE}"
        for node in places(self._plan.links, self._plan.topology):
            link = link_node(node)
            listed = json.dumps(self._proxies(node), indent=1)
            self._runtime.write_file(link, "conf/proxies.json", listed.encode())
            self._runtime.write_file(link, "conf/toxiproxy.json", json.dumps(server.facts, indent=1).encode())
            where = ("-host", "0.0.0.0", "-port", str(API_PORT), "-config", f"/rmq/{link}/conf/proxies.json")
            self._runtime.start(link, Process([program, *where], {"LOG_LEVEL": "info"}))
        for node in places(self._plan.links, self._plan.topology):
            self._await(link_node(node), {proxy["name"] for proxy in self._proxies(node)})

    def _proxies(self, node: str) -> list[dict[str, object]]:
        plan = self._plan
        kinds = [kind for kind in KINDS if kind in plan.links and node in behind(kind, plan.topology)]
        return [
            {
                "name": _proxy(kind, port),
                "listen": f"{self._roster.ip(link_node(node))}:{port}",
                "upstream": f"{self._roster.ip(node)}:{port}",
                "enabled": True,
            }
            for kind in kinds
            for port in PORTS[kind]
        ]

    def _await(self, link: str, wanted: set[object]) -> None:
        def listens() -> bool:
            if not self._runtime.state(link).alive:
                raise SetupError(f"the toxiproxy of {link} ended: {self._runtime.tail(link)}")
            try:
                found = Api(self._runtime, link).proxies()
            except FaultError:
                return False
            return wanted == {name for name, proxy in found.items() if proxy.get("enabled")}

        wait_for(
            listens,
            what=f"the proxies of {link} to listen",
            timeout_s=_START_S,
            last_seen=lambda: self._runtime.tail(link),
        )


def connected(table: str, ports: Collection[int]) -> Iterator[str]:
    """The IPv4 addresses at the other ends of what is connected to these ports, of the kernel's own table."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == _ESTABLISHED and int(fields[1].rpartition(":")[2], 16) in ports:
            # In the order of the machine's bytes; of an address of IPv6 that is one of IPv4 the last word.
            word = bytes.fromhex(fields[2].rpartition(":")[0][-8:])
            yield socket.inet_ntoa(word if sys.byteorder == "big" else word[::-1])


def _proxy(kind: LinkKind, port: int) -> str:
    return f"{kind}-{port}"
