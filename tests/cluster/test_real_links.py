"""Faults of links of a real cluster: not there before, seen in exchanges as its users have them, gone when healed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from harness.cluster import Cluster, ClusterPlan
from harness.cluster.links import connected
from harness.core.errors import CapabilityMissing
from harness.distribution import toxiproxy
from harness.distribution.jre import obtain_jre
from harness.distribution.release import obtain_release
from harness.distribution.store import default_cache
from harness.faults import (
    HalfOpen,
    Injector,
    Latency,
    LinkFault,
    Reset,
    SlowLink,
    master,
    nameserver,
)
from harness.runtime.local import LocalRuntime
from harness.topology import load_topology
from harness.topology.links import KINDS, PORTS

pytestmark = pytest.mark.real

TARGETS = {"clients": master(0), "ha": master(0), "nameservers": nameserver(0)}


def faults(kind: str) -> dict[str, LinkFault]:
    where: dict[str, Any] = {"link": kind, "target": TARGETS[kind], "await_health": False}
    others: dict[str, dict[str, LinkFault]] = {
        "clients": {"reset": Reset(**where)},
        "ha": {"slow-link": SlowLink(kb_per_s=40, **where), "half-open": HalfOpen(**where)},
        "nameservers": {"half-open": HalfOpen(**where)},
    }
    return {"latency": Latency(latency_ms=150, **where), **others[kind]}


@pytest.fixture
def cluster(tmp_path: Path) -> Any:
    cache = default_cache()
    try:
        server = toxiproxy.find(cache)
        runtime = LocalRuntime.open(
            run_id=f"test-{uuid4().hex[:8]}", evidence=tmp_path / "evidence", work_dir=tmp_path / "work"
        )
    except CapabilityMissing as missing:
        pytest.skip(str(missing))
    release, jre = obtain_release("4.9.7", cache, quiet=True), obtain_jre("25", cache)
    plan = ClusterPlan(load_topology("1m-1s-sync"), release, jre, cache=cache, links=frozenset(KINDS), toxiproxy=server)
    with Cluster(plan, runtime, progress=print) as made:
        yield made


def test_each_fault_is_seen_on_each_kind_of_link_and_gone_afterwards(cluster: Cluster) -> None:
    cluster.start()
    for _ in range(4):  # for the master to have something to send to whoever asks as a slave
        topic = (cluster.plan.probe_topic.name, 0)
        assert cluster.admin.send(cluster.address("broker-a-0"), topic, bytes(16_000), timeout_s=10).acknowledged
    told: list[tuple[str, str, Any]] = []
    injector = Injector(cluster, lambda name, action, **more: told.append((name, action, more.get("detail"))))
    every = [(kind, next(iter(faults(kind).values()))) for kind in KINDS]
    for kind in KINDS:
        for name, fault in faults(kind).items():
            injector.inject(f"{name} {kind}", fault)
            injector.heal(f"{name} {kind}")
    cluster.wait_healthy(60)
    assert [cluster.links.passed_by(kind, fault.targets(cluster)[0]) for kind, fault in every] == [(), (), ()]
    table = cluster.runtime.run("broker-a-0", ["cat", "/proc/net/tcp", "/proc/net/tcp6"], 10)[1].decode()
    assert cluster.ip("link-broker-a-0") in connected(table, PORTS["ha"]), "the slave's connection is seen there"
    assert [action for _, action, _ in told].count("recovered") == sum(len(faults(kind)) for kind in KINDS)
    found = {name: (detail["before"], detail["with_it"]) for name, action, detail in told if action == "observed"}
    before, late = (seen["broker-a-0"]["round_trip_ms"] for seen in found["latency ha"])
    assert before < 150 <= late / 2
    names = {file.path for file in cluster.runtime.list_files("link-broker-a-0", "conf")}
    assert names == {"conf/proxies.json", "conf/toxiproxy.json"}
