"""A mistake in a file: what the node makes of it is seen, and the file is put back as it was."""

from __future__ import annotations

from typing import Any

import pytest

from harness.core.errors import FaultError, NodeDied
from harness.faults import Misconfigure
from harness.runtime.base import DiskUsage, ProcessState
from harness.topology import load_topology

CONF = "conf/broker.conf"
BEFORE = b"brokerId=0\n# by the broker\nnamesrvAddr=10.0.0.2\\:9876\n"


class Cluster:
    """One master. It ends by itself when its file says `dies`; `ratio` is how full its disk is."""

    def __init__(self) -> None:
        self.topology = load_topology("1m")
        self.runtime = self
        self.files = {CONF: BEFORE}
        self.alive = True
        self.dies = b""
        self.ratio = 0.3
        self.log: list[str] = []

    def masters(self) -> tuple[str, ...]:
        return ("broker-a-0",)

    def nameservers(self) -> tuple[str, ...]:
        return ()

    slaves = brokers = clients = nameservers

    def spec(self, node: str) -> Any:
        return self.topology.node(node)

    def read_file(self, node: str, path: str) -> bytes:
        if path not in self.files:
            raise FaultError(f"no {path}")
        return self.files[path]

    def write_file(self, node: str, path: str, data: bytes) -> None:
        self.files[path] = data

    def state(self, node: str) -> ProcessState:
        return ProcessState("running") if self.alive else ProcessState("exited", exit_code=253)

    def disk_usage(self, node: str) -> DiskUsage:
        return DiskUsage(int(self.ratio * 1000) << 30, int((1 - self.ratio) * 1000) << 30)

    def stop_node(self, node: str) -> None:
        self.log.append("stop")
        self.alive = False

    def start_node(self, node: str) -> None:
        self.log.append("start")
        self.alive = not (self.dies and self.dies in self.files[CONF])
        if not self.alive:
            raise NodeDied("Slave's brokerId must be > 0")

    def wait_healthy(self, timeout_s: float) -> None:
        self.log.append("healthy")


MISTAKE = Misconfigure(target="master/0", conf={"brokerId": "5"})


def test_a_file_is_changed_and_put_back() -> None:
    cluster: Any = Cluster()
    assert not MISTAKE.bites(cluster)
    assert MISTAKE.inject(cluster) == {"conf": {"brokerId": "5"}, "refused": {}}
    assert cluster.files[CONF] == b"brokerId=5\nnamesrvAddr=10.0.0.2:9876\n"
    assert MISTAKE.bites(cluster)
    assert MISTAKE.heal(cluster) == {}
    MISTAKE.await_recovery(cluster)
    assert cluster.files[CONF] == BEFORE
    assert not MISTAKE.bites(cluster)
    assert cluster.log == ["stop", "start", "stop", "start", "healthy"]


def test_a_node_that_refuses_its_file_is_what_was_to_be_seen() -> None:
    cluster: Any = Cluster()
    cluster.dies = b"brokerId=5"
    assert MISTAKE.inject(cluster)["refused"] == {"broker-a-0": "Slave's brokerId must be > 0"}
    assert MISTAKE.bites(cluster)
    assert not cluster.alive
    assert MISTAKE.heal(cluster) == {}
    assert cluster.alive


def test_one_that_may_have_ended_for_want_of_disk_says_nothing_of_its_file() -> None:
    cluster: Any = Cluster()
    cluster.dies, cluster.ratio = b"brokerId=5", 0.95
    with pytest.raises(FaultError, match="for want of memory or disk"):
        MISTAKE.inject(cluster)


def test_a_dead_node_is_started_with_the_file_too() -> None:
    cluster: Any = Cluster()
    cluster.alive = False
    MISTAKE.inject(cluster)
    assert cluster.log == ["start"]


def test_healing_what_was_never_injected_does_nothing() -> None:
    cluster: Any = Cluster()
    assert MISTAKE.heal(cluster) == {}
    assert cluster.log == []
