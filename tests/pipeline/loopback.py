"""Machines without namespaces: fake brokers on loopback addresses of their own, real workers as plain processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.clients.spawn import PlainSpawner
from harness.core.errors import SetupError
from harness.core.version import Version
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.lodging import Equipment
from harness.runtime.base import CAPABILITIES, HUB, Disk, Node, Process, ProcessState
from harness.topology import Topology
from harness.topology.layout import BROKER_PORT, HA_PORT, NAMESERVER_PORT
from harness.wire.codes import RequestCode
from harness.wire.frame import Frame
from harness.workloads.crew import ClientKit
from tests.cluster.conftest import Broker, MemoryRuntime
from tests.fakes.server import FakeConnection, FakeServer

_NETS = itertools.count(1)
Misbehave = Callable[["LoopbackRuntime"], None]


class LoopbackRuntime(MemoryRuntime):
    """`misbehave` is called when the first worker starts: the cluster was well until its load began."""

    def __init__(self, topology: Topology, root: Path, misbehave: Misbehave | None = None) -> None:
        super().__init__(topology)
        # A /24 of 127/8 for each cluster: real ports, and no clash with other tests of this or another process.
        self._net = f"127.{64 + os.getpid() % 128}.{next(_NETS) % 254}"
        self._spawner = PlainSpawner(root)
        self._workers: set[str] = set()
        self._misbehave = misbehave

    def add_node(self, name: str, disk: Disk | None = None) -> Node:
        node = super().add_node(name, disk)
        self.nodes[name] = Node(name, f"{self._net}.{node.address.rpartition('.')[2]}", node.disk)
        return self.nodes[name]

    def server(self, node: str) -> Any:
        new = node not in self.servers
        server = super().server(node)
        if new:
            port = BROKER_PORT if isinstance(server, Broker) else NAMESERVER_PORT
            _bind(server, self.nodes[node].address, port)
        return server

    def broker(self, node: str = "broker-a-0") -> Broker:
        server = self.server(node)
        assert isinstance(server, Broker)
        return server

    def start(self, node: str, process: Process) -> int:
        if node in {spec.name for spec in self.topology.nodes}:
            return super().start(node, process)
        if not self._workers and self._misbehave is not None:
            self._misbehave(self)
        self._workers.add(node)
        return self._spawner.spawn(node, process.argv, process.env, process.fds)

    def state(self, node: str) -> ProcessState:
        if node not in self._workers:
            return super().state(node)
        ended = self._spawner.ended(node)
        if ended is None:
            return ProcessState("running")
        code = ended.rpartition(" ")[2]
        return ProcessState("exited", int(code)) if code.isdigit() else ProcessState("exited", signal=signal.SIGKILL)

    def signal(self, node: str, signum: int) -> None:
        if node not in self._workers:
            super().signal(node, signum)
        else:
            assert signum == signal.SIGKILL
            self._spawner.kill(node)

    def tail(self, node: str, lines: int = 20) -> str:
        return self._spawner.tail(node, lines) if node in self._workers else super().tail(node, lines)

    def dial(self, from_node: str, host: str, port: int, timeout_s: float) -> socket.socket:
        assert from_node == HUB
        port = BROKER_PORT if port == HA_PORT else port  # a fake master has no replication of its own
        return socket.create_connection((host, port), timeout_s)

    def close(self) -> None:
        for name in self._workers:
            self._spawner.kill(name)
        super().close()


def _bind(server: FakeServer, host: str, port: int) -> None:
    async def listen(_: int) -> None:
        loop = asyncio.get_running_loop()
        server._server = await loop.create_server(lambda: FakeConnection(server), host, port)
        server.port, server.address = port, f"{host}:{port}"

    server._listen = listen  # type: ignore[method-assign]


def switch(*nodes: str, **switches: Any) -> Misbehave:
    """Sets switches of `Misbehaviour` on these brokers (broker-a-0)."""

    def misbehave(runtime: LoopbackRuntime) -> None:
        for node in nodes or ("broker-a-0",):
            for name, value in switches.items():
                assert hasattr(runtime.broker(node).misbehaviour, name)
                setattr(runtime.broker(node).misbehaviour, name, value)

    return misbehave


def store_and_answer(code: int, *, to: str) -> Misbehave:
    """The first master stores what has such a key, and answers with this code all the same."""

    class Erring:
        def __init__(self, connection: FakeConnection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def reply(self, frame: Frame, *_answer: Any, **_more: Any) -> None:
            self._connection.reply(frame, code, remark="busy")

    def misbehave(runtime: LoopbackRuntime) -> None:
        broker = runtime.broker()
        handle = broker.handle

        def erring(connection: FakeConnection, frame: Frame) -> None:
            sends = frame.code in (RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2)
            named = any(f"KEYS\x01{to}" in value for value in frame.ext.values())
            handle(Erring(connection) if sends and named else connection, frame)  # type: ignore[arg-type]

        broker.handle = erring  # type: ignore[method-assign]

    return misbehave


def hang_after(sends: int) -> Misbehave:
    """The first master takes so many sends and then answers nothing any more."""

    def misbehave(runtime: LoopbackRuntime) -> None:
        broker = runtime.broker()
        handle = broker.handle

        def hanging(connection: FakeConnection, frame: Frame) -> None:
            if broker.sends >= sends:
                broker.misbehaviour.hang = True
            handle(connection, frame)

        broker.handle = hanging  # type: ignore[method-assign]

    return misbehave


def slave_misses(every: int) -> Misbehave:
    """Each `every`-th message of the slave is in its log and in none of its queues: nobody can read it there."""

    def misbehave(runtime: LoopbackRuntime) -> None:
        store = runtime.broker("broker-a-1").store
        append_raw = store.append_raw
        count = itertools.count(1)

        def forgetful(topic: str, number: int, raw: bytes) -> None:
            append_raw(topic, number, raw)
            if topic == "topic-0" and next(count) % every == 0:
                store.queue(topic, number).entries[-1] = None

        store.append_raw = forgetful  # type: ignore[method-assign]

    return misbehave


class Machines:
    """Opens loopback runtimes for `run_scenario`, and keeps them to be looked into afterwards."""

    def __init__(self, topology: Topology, root: Path, misbehave: Misbehave | None = None, version: str = "4.9.7"):
        self.opened: list[LoopbackRuntime] = []
        self.before_start: Callable[[LoopbackRuntime], None] = lambda runtime: None
        jars = tuple(root / name for name in ("a.jar", "b.jar"))
        for jar in jars:
            jar.write_bytes(b"no jar")
        jre = Jre("25", 25, "25", "test", root / "j", root / "j/bin/java", root / "j/lib/libjvm.so")
        self._make = lambda: LoopbackRuntime(topology, root / f"workers-{len(self.opened)}", misbehave)
        self.equipment = Equipment(
            release=Release(version, Version.parse(version), jars),
            jre=jre,
            kit=ClientKit("remoting", "4.9.7", (), jre),
            capabilities=dict.fromkeys(CAPABILITIES) | {"power-cut": "a fake has no disk"},
            open_runtime=self.open,
        )

    def open(self, **asked: Any) -> Any:
        assert set(asked) == {"run_id", "evidence", "work_dir", "state_dir"}
        runtime = self._make()
        (asked["evidence"] / "nodes").mkdir(parents=True, exist_ok=True)
        self.before_start(runtime)
        self.opened.append(runtime)
        return runtime

    @property
    def last(self) -> LoopbackRuntime:
        return self.opened[-1]


def no_machines(**_: Mapping[str, Any]) -> Any:
    raise SetupError("no machine is to be had")
