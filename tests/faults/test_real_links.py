"""Every fault of links by a real Toxiproxy, before a server of ours that answers at once: seen, measured, and gone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from harness.cluster.links import Links
from harness.cluster.plan import ClusterPlan
from harness.cluster.roster import Roster
from harness.core.errors import CapabilityMissing, FaultError
from harness.distribution import toxiproxy
from harness.distribution.store import default_cache
from harness.faults import HalfOpen, Injector, Latency, LimitData, Reset, SlowClose, SlowLink
from harness.faults import base as faults_base
from harness.faults import links as link_faults
from harness.runtime.base import HUB, Process
from harness.runtime.local import LocalRuntime
from harness.topology import load_topology
from harness.topology.links import KINDS, PORTS
from harness.waiting import wait_for

pytestmark = pytest.mark.real

SERVER = """
import socket, sys, threading

def serve(connection, port):
    with connection:
        if port == 10912:
            if len(connection.recv(8)) == 8:
                connection.sendall(bytes(200_000))
        while head := connection.recv(4, socket.MSG_WAITALL):
            connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            connection.sendall(b"\\0\\0\\0\\4\\0\\0\\0\\0")

def listen(port):
    with socket.create_server(("", port)) as server:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], port), daemon=True).start()

for port in map(int, sys.argv[2:]):
    threading.Thread(target=listen, args=(port,), daemon=True).start()
listen(int(sys.argv[1]))
"""
NODES = {"clients": "broker-a-0", "ha": "broker-a-0", "nameservers": "namesrv-1"}
FAULTS: dict[str, Any] = {
    "latency": lambda **at: Latency(latency_ms=60, **at),
    "one-way": lambda **at: Latency(latency_ms=80, way="downstream", **at),
    "jitter": lambda **at: Latency(latency_ms=60, jitter_ms=40, **at),
    "slow-link": lambda **at: SlowLink(kb_per_s=300, **at),
    "half-open": lambda **at: HalfOpen(**at),
    "half-open-one-way": lambda **at: HalfOpen(way="downstream", **at),
    "reset": lambda **at: Reset(**at),
    "slow-close": lambda **at: SlowClose(delay_ms=300, **at),
    "limit-data": lambda **at: LimitData(limit_bytes=1000, **at),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_faults, "SILENT_S", 0.7)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    place = tmp_path_factory.mktemp("links")
    try:
        server = toxiproxy.find(default_cache())
        runtime = LocalRuntime.open(run_id=f"test-{uuid4().hex[:8]}", evidence=place / "e", work_dir=place / "w")
    except CapabilityMissing as missing:
        pytest.skip(str(missing))
    nothing: Any = None
    topology = load_topology("1m-1s-sync")
    plan = ClusterPlan(topology, nothing, nothing, links=frozenset(KINDS), toxiproxy=server)
    addresses: dict[str, str] = {}
    roster = Roster(topology, addresses, links=KINDS)
    links = Links(plan, runtime, roster)
    with runtime:
        for node in (*(spec.name for spec in topology.nodes), *links.nodes):
            addresses[node] = runtime.add_node(node).address
        for node, ports in (("broker-a-0", (*PORTS["clients"], *PORTS["ha"])), ("namesrv-1", PORTS["nameservers"])):
            runtime.start(node, Process([sys.executable, "-c", SERVER, *map(str, ports)]))
        links.start()
        for kind, node in NODES.items():
            wait_for(links.of(kind, node).ask().answered.__bool__, what=f"{node} to listen", timeout_s=20)
        yield SimpleNamespace(
            runtime=runtime,
            links=links,
            topology=topology,
            nameservers=roster.nameservers,
            masters=roster.masters,
            slaves=roster.slaves,
            brokers=roster.brokers,
            clients=lambda: (),
            evidence=place / "e" / "nodes",
        )


@pytest.mark.parametrize(
    ("kind", "name"),
    [("clients", name) for name in FAULTS]
    + [("ha", name) for name in ("latency", "slow-link", "half-open", "reset")]
    + [("nameservers", name) for name in ("latency", "half-open")],
)
def test_a_fault_is_seen_while_it_is_in_force_and_not_before_or_after(cluster: Any, kind: str, name: str) -> None:
    target = "nameserver/0" if kind == "nameservers" else "master/0"
    told: dict[str, Any] = {}
    injector = Injector(cluster, lambda _name, action, **more: told.update({action: more.get("detail")}))
    fault = FAULTS[name](link=kind, target=target, await_health=False)
    injector.inject("f", fault)
    injector.heal("f")
    node = NODES[kind]
    seen = [told["observed"]["before"][node], told["observed"]["with_it"][node], told["recovered"]["afterwards"][node]]
    assert all(None not in figures.values() for figures in seen), seen
    figure = next(name for name in ("round_trip_ms", "waited_ms", "kb_per_s", "close_ms", "asked") if name in seen[0])
    before, with_it, after = (figures[figure] for figures in seen)
    if name == "slow-link":
        assert with_it <= 375 < min(before, after)
    elif name in ("reset", "limit-data"):
        assert (before, after) == ("answered", "answered")
        assert with_it in ("reset", "closed")
    else:
        assert max(before, after) < with_it


def test_another_link_of_the_same_node_is_left_alone(cluster: Any) -> None:
    fault = HalfOpen(link="clients", target="master/0", await_health=False)
    injector = Injector(cluster, lambda *_words, **_more: None)
    injector.inject("f", fault)
    try:
        assert cluster.links.of("ha", "broker-a-0").ask().answered
    finally:
        injector.heal("f")


def test_a_half_open_link_does_not_tell_who_closes_and_healed_it_does(cluster: Any) -> None:
    fault = HalfOpen(link="clients", target="master/0", await_health=False)
    injector = Injector(cluster, lambda *_words, **_more: None)
    link = cluster.links.of("clients", "broker-a-0")
    injector.inject("f", fault)
    assert link.part(1.0).word == "silent"
    injector.heal("f")
    assert link.part(5.0).word == "closed"


def test_a_damage_that_toxiproxy_was_told_of_and_that_does_not_show_is_no_fault(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults_base, "BITE_TIMEOUT_S", 0.5)
    monkeypatch.setattr(Latency, "damage", lambda self: {"latency": {"latency": 1, "jitter": 0}})
    injector = Injector(cluster, lambda *_words, **_more: None)
    with pytest.raises(FaultError, match=r"fault 'f' did not bite: .*latency of broker-a-0 to bite"):
        injector.inject("f", Latency(link="clients", target="master/0", latency_ms=100, await_health=False))
    assert not injector.heal_all()


def test_what_toxiproxy_refuses_is_told_in_its_own_words(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Latency, "damage", lambda self: {"lateness": {"latency": 1}})
    injector = Injector(cluster, lambda *_words, **_more: None)
    with pytest.raises(FaultError, match=r"toxics at the toxiproxy of link-broker-a-0 was refused with 400: .*toxic"):
        injector.inject("f", Latency(link="clients", target="master/0", latency_ms=100, await_health=False))
    assert not injector.heal_all()


def test_a_link_is_in_the_evidence_with_its_version_and_its_log(cluster: Any) -> None:
    place: Path = cluster.evidence / "link-broker-a-0"
    assert '"sha256"' in (place / "conf/toxiproxy.json").read_text()
    assert "clients-10911" in (place / "conf/proxies.json").read_text()
    assert "Started proxy" in (place / "logs/stdout.log").read_text()
    assert cluster.runtime.passes(HUB, "link-broker-a-0")
