"""A cluster that somebody else runs: fake servers on loopback ports, which nobody here starts or configures."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.topology import NodeSpec, Role
from harness.wire.frame import Frame
from tests.cluster.conftest import CREATE_GROUP, CREATE_TOPIC, Broker
from tests.fakes.nameserver import FakeNameServer
from tests.fakes.server import FakeConnection

RUNTIME_INFO, DELETE_GROUP, DELETE_TOPIC, UPDATE_CONFIG = 28, 207, 215, 25


class TheirBroker(Broker):
    """Tells its version; a slave has what its master has, and refuses to be told. `changes` counts configuring."""

    def __init__(self, name: str, broker_id: int, replicas: tuple[TheirBroker, ...], version: str) -> None:
        role = Role.SLAVE if broker_id else Role.MASTER
        super().__init__(NodeSpec(f"{name}-{broker_id}", role, name, broker_id), "", replicas)
        self.their_slaves = replicas
        self.version_text = f"V{version.replace('.', '_')}"
        self.config |= {"brokerRole": "SLAVE" if broker_id else "ASYNC_MASTER", "flushDiskType": "ASYNC_FLUSH"}
        self.refuses_topics = broker_id != 0
        self.changes = 0
        self.born = 1_700_000_000_000

    def again(self) -> None:
        """Ends, and another process listens in its place."""
        port = self.port
        self.stop()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake", daemon=True)
        self._thread.start()
        self.run(self._listen(port))
        self.born += 1000

    def handle(self, connection: FakeConnection, frame: Frame) -> None:
        self.changes += frame.code == UPDATE_CONFIG
        if frame.code == RUNTIME_INFO:
            table = {"brokerVersionDesc": self.version_text, "commitLogMaxOffset": str(self.store.log_end)}
            table |= {"dispatchBehindBytes": "0", "bootTimestamp": str(self.born)}
            connection.reply(frame, 0, body=json.dumps({"table": table}).encode())
        elif frame.code in (DELETE_GROUP, DELETE_TOPIC) and self.broker_id != 0:
            connection.reply(frame, 1, remark="a slave is not told")
        elif frame.code == DELETE_GROUP:
            self.known_groups.discard(frame.ext["groupName"])
            connection.reply(frame, 0)
        else:
            super().handle(connection, frame)
        if frame.code in (CREATE_TOPIC, CREATE_GROUP, DELETE_GROUP, DELETE_TOPIC):
            for slave in self.their_slaves:
                slave.topics, slave.known_groups = dict(self.topics), set(self.known_groups)


class TheirCluster:
    """Name servers and brokers that know each other, up until `stop`."""

    def __init__(self, names: tuple[str, ...], slaves: int, nameservers: int, version: str) -> None:
        self.nameservers = [FakeNameServer() for _ in range(nameservers)]
        self.brokers: dict[str, TheirBroker] = {}
        for name in names:
            replicas = tuple(TheirBroker(name, n, (), version) for n in range(1, slaves + 1))
            for broker in (TheirBroker(name, 0, replicas, version), *replicas):
                self.brokers[f"{name}-{broker.broker_id}"] = broker
        for server in (*self.nameservers, *self.brokers.values()):
            server.start()
        for broker in self.brokers.values():
            broker.nameservers, broker.store.port = self.nameservers, broker.port
            broker.register()

    @property
    def namesrv(self) -> list[str]:
        return [nameserver.address for nameserver in self.nameservers]

    def names(self) -> set[str]:
        """Every topic and group that anybody of it knows."""
        found = {name for nameserver in self.nameservers for name, on in nameserver.topics.items() if on}
        for broker in self.brokers.values():
            found |= set(broker.topics) | broker.known_groups
        return found

    def stop(self) -> None:
        for server in (*self.brokers.values(), *self.nameservers):
            server.stop()


Theirs = Callable[..., TheirCluster]


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    made: list[TheirCluster] = []

    def make(
        *names: str, slaves: int = 0, nameservers: int = 1, version: str = "4.9.7", **changes: Any
    ) -> TheirCluster:
        cluster = TheirCluster(names or ("broker-a",), slaves, nameservers, version)
        for broker in cluster.brokers.values():
            broker.config |= changes
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.stop()
