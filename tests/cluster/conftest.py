"""A machine in memory: nodes are fake servers, so that bring-up, waits and health run without a process."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import Cluster, ClusterPlan, TopicSpec
from harness.core.errors import SetupError, WaitTimeout
from harness.core.version import Version
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.runtime.base import Disk, FileEntry, Node, Process, ProcessState
from harness.topology import NodeSpec, Role, Topology, load_topology
from harness.wire.frame import Frame
from tests.fakes.broker import FakeBroker
from tests.fakes.nameserver import FakeNameServer, Registration
from tests.fakes.server import FakeConnection

GET_ALL_TOPICS, GET_ALL_GROUPS, CREATE_GROUP, CREATE_TOPIC, UPDATE_CONFIG = 21, 201, 200, 17, 25


class Broker(FakeBroker):
    """A fake broker that also tells its topics and groups; a slave keeps its own."""

    def __init__(self, spec: NodeSpec, address: str, replicas: tuple[FakeBroker, ...]) -> None:
        place = int(spec.broker_id or 0)
        super().__init__(str(spec.broker_name), place + 1 if spec.role is Role.MEMBER else place, replicas)
        self.node = spec.name
        self.config["brokerId"] = str(self.broker_id)
        self.virtual = address
        self.known_groups: set[str] = set()
        self.config["slaveReadEnable"] = "true"
        self.refuses_topics = False
        self.kicks = 0

    def handle(self, connection: FakeConnection, frame: Frame) -> None:
        if self.misbehaviour.hang:
            return
        self.kicks += frame.code == UPDATE_CONFIG and b"brokerPermission" in frame.body
        if frame.code == GET_ALL_TOPICS:
            table = {t: {"readQueueNums": r.read_queues, "writeQueueNums": r.write_queues, "perm": r.perm}
                     for t, r in self.topics.items()}  # fmt: skip
            connection.reply(frame, 0, body=json.dumps({"topicConfigTable": table}).encode())
        elif frame.code == GET_ALL_GROUPS:
            table = {group: {} for group in self.known_groups}
            connection.reply(frame, 0, body=json.dumps({"subscriptionGroupTable": table}).encode())
        elif frame.code == UPDATE_CONFIG and self.broker_id != 0:
            # The shared fake has any registration replace its name's topics; a slave's never touches them.
            for line in frame.body.decode().splitlines():
                key, _, value = line.partition("=")
                self.config[key] = value
            self.register()
            connection.reply(frame, 0)
        elif frame.code in (CREATE_TOPIC, CREATE_GROUP) and self.refuses_topics:
            connection.reply(frame, 1, remark="Can't modify topic or subscription group from slave broker")
        elif frame.code == CREATE_GROUP:
            self.known_groups.add(json.loads(frame.body)["groupName"])
            connection.reply(frame, 0)
        elif frame.code == CREATE_TOPIC:
            self.create_topic(frame.ext["topic"], int(frame.ext["readQueueNums"]))
            connection.reply(frame, 0)
        else:
            super().handle(connection, frame)


class MemoryRuntime:
    """What the cluster asks of a runtime. `log` has (what, node) in order; `dies` are nodes that end at once."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.nodes: dict[str, Node] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.servers: dict[str, Broker | FakeNameServer] = {}
        self.states: dict[str, ProcessState] = {}
        self.processes: dict[str, Process] = {}
        self.log: list[tuple[str, str]] = []
        self.dies: dict[str, str] = {}
        self.unregistered: set[str] = set()
        self.ignores_sigterm: set[str] = set()
        self.cut_pairs: set[tuple[str, str]] = set()
        self.closed = 0
        self.elects = True

    def add_node(self, name: str, disk: Disk | None = None) -> Node:
        self.nodes[name] = Node(name, f"198.18.0.{len(self.nodes) + 2}", disk or Disk())
        return self.nodes[name]

    def provide(self, directory: Path, name: str) -> str:
        return f"/rmq/.lib/{name}"

    def remove_node(self, name: str) -> None:
        self.nodes.pop(name, None)

    def server(self, node: str) -> Any:
        """The node's fake, made when it is first asked for and kept over restarts."""
        if node not in self.servers:
            spec = self.topology.node(node)
            if not spec.is_broker:
                self.servers[node] = FakeNameServer()
            else:
                group = self.topology.group(str(spec.broker_name))
                plain = spec.role is not Role.MEMBER
                slaves = tuple(self.server(s.name) for s in group[1:]) if plain and spec.broker_id == 0 else ()
                self.servers[node] = Broker(spec, f"{self.nodes[node].address}:10911", slaves)
        return self.servers[node]

    def start(self, node: str, process: Process) -> int:
        self.log.append(("start", node))
        self.processes[node] = process
        if node in self.dies:
            self.states[node] = ProcessState("exited", exit_code=1)
            return 1
        server = self.server(node)
        server.start()
        self.states[node] = ProcessState("running")
        if isinstance(server, Broker):
            self._boot(node, server)
        elif self.topology.node(node).role is Role.PROXY:  # it knows what the nameservers know
            for broker in (b for n, b in self.servers.items() if isinstance(b, Broker) and self.state(n).alive):
                server.register(broker.name, broker.broker_id, broker.virtual, broker.topics)
        return 1

    def _boot(self, node: str, broker: Broker) -> None:
        broker.address = broker.virtual
        seeded = self.files.get((node, "store/config/topics.json"))
        if seeded is not None:
            for name, config in json.loads(seeded)["topicConfigTable"].items():
                broker.topics[name] = Registration(config["readQueueNums"], config["writeQueueNums"], config["perm"])
            groups = json.loads(self.files[node, "store/config/subscriptionGroup.json"])
            broker.known_groups |= set(groups["subscriptionGroupTable"])
        names = [spec.name for spec in self.topology.nodes if not spec.is_broker]
        broker.nameservers = [self.server(ns) for ns in names]
        if node not in self.unregistered:
            for ns in names:
                if self.state(ns).kind == "running":
                    self.server(ns).register(broker.name, broker.broker_id, broker.virtual, broker.topics)
        members = [spec.name for spec in self.topology.nodes if spec.role is Role.MEMBER]
        if members and all(self.state(name).kind == "running" for name in members) and self.elects:
            self.elect(members[1])

    def elect(self, node: str | None) -> None:
        """Makes this member the master of its group (None: nobody), and everyone registers anew."""
        members = [spec for spec in self.topology.nodes if spec.role is Role.MEMBER]
        for spec in members:
            broker = self.server(spec.name)
            broker.broker_id = 0 if spec.name == node else int(spec.broker_id or 0) + 1
            broker.config["brokerId"] = str(broker.broker_id)
            others = (self.server(other.name) for other in members if other.name != node)
            broker.replicas = tuple(others) if spec.name == node else ()
        for nameserver in (self.server(spec.name) for spec in self.topology.of_role(Role.NAMESERVER)):
            for spec in members:
                for broker_id in range(len(members) + 1):
                    nameserver.unregister(str(spec.broker_name), broker_id)
            for broker in (self.server(spec.name) for spec in members if self.state(spec.name).kind == "running"):
                nameserver.register(broker.name, broker.broker_id, broker.virtual, broker.topics)

    def signal(self, node: str, signum: int) -> None:
        self.log.append((signal.Signals(signum).name, node))
        server = self.server(node)
        if signum == signal.SIGSTOP:
            self.states[node] = ProcessState("stopped")
            self._hang(server, hang=True)
        elif signum == signal.SIGCONT:
            self.states[node] = ProcessState("running")
            self._hang(server, hang=False)
        elif signum == signal.SIGKILL or node not in self.ignores_sigterm:
            server.stop()
            killed = signum == signal.SIGKILL
            self.states[node] = ProcessState("exited", None if killed else 143, signum if killed else None)

    @staticmethod
    def _hang(server: Broker | FakeNameServer, *, hang: bool) -> None:
        if isinstance(server, Broker):
            server.misbehaviour.hang = hang
        else:
            server.hang = hang

    def state(self, node: str) -> ProcessState:
        return self.states.get(node, ProcessState("absent"))

    def wait_exit(self, node: str, timeout_s: float) -> ProcessState:
        if self.state(node).alive:
            raise WaitTimeout(f"waited {timeout_s} s for the end of {node}")
        return self.state(node)

    def host_pid(self, node: str) -> int:
        return -1

    def tail(self, node: str, lines: int = 20) -> str:
        return self.dies.get(node, "")

    def cuts(self) -> frozenset[tuple[str, str]]:
        return frozenset(self.cut_pairs)

    def dial(self, from_node: str, host: str, port: int, timeout_s: float) -> socket.socket:
        node = next(node.name for node in self.nodes.values() if node.address == host)
        server = self.server(node)
        if self.state(node).kind not in ("running", "stopped"):
            raise ConnectionRefusedError(111, "Connection refused")
        return socket.create_connection(("127.0.0.1", server.port), timeout_s)

    def write_file(self, node: str, path: str, data: bytes) -> None:
        self.files[node, path] = data

    def read_file(self, node: str, path: str) -> bytes:
        if (node, path) not in self.files:
            raise SetupError(f"{node} has no {path}")
        return self.files[node, path]

    def list_files(self, node: str, subdir: str = "") -> tuple[FileEntry, ...]:
        return tuple(
            FileEntry(path, len(data), 0)
            for (of, path), data in self.files.items()
            if of == node and path.startswith(subdir)
        )

    def close(self) -> None:
        self.closed += 1
        for node, server in self.servers.items():
            if self.state(node).kind in ("running", "stopped"):
                server.stop()
                self.states[node] = ProcessState("exited", signal=9)


JRE = Jre("25", 25, "25", "test", Path("/j"), Path("/j/bin/java"), Path("/j/lib/libjvm.so"))


def release(version: str) -> Release:
    jars = (Path("/jars/a.jar"), Path("/jars/b.jar"))
    return Release(version, Version.parse(version), jars, proxy=(Path("/proxy/c.jar"),))


MakeCluster = Callable[..., tuple[Cluster, MemoryRuntime]]


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    made: list[Cluster] = []

    def make(topology: str = "2m-2s-sync", version: str = "4.9.7", **options: Any) -> tuple[Cluster, MemoryRuntime]:
        declared = load_topology(topology)
        progress = options.pop("progress", None)
        runtime = MemoryRuntime(declared)
        defaults: dict[str, Any] = {"topics": (TopicSpec("t", 4),), "groups": ("g",), "deadline_s": 5.0}
        plan = ClusterPlan(declared, release(version), JRE, **(defaults | options))
        cluster = Cluster(plan, runtime, progress)  # type: ignore[arg-type]
        made.append(cluster)
        return cluster, runtime

    yield make
    for cluster in made:
        cluster.close()


def starts(log: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """Node -> its place in the order of starts."""
    return {node: place for place, (what, node) in enumerate(log) if what == "start"}
