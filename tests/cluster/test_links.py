"""Whether a link is what its users go through: who is connected behind it and is not the link."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.cluster.exchange import Exchange
from harness.cluster.links import Link, Links, connected
from harness.cluster.plan import ClusterPlan
from harness.cluster.roster import Roster
from harness.core.errors import FaultError
from harness.faults import Latency
from harness.topology import load_topology
from harness.topology.links import KINDS, PORTS, link_node

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
V4 = "   0: 0300120A:2A9F {peer}:C350 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20\n"
V6 = "   1: 0000000000000000FFFF00000300120A:2A9F 0000000000000000FFFF0000{peer}:C351 {state} 00000000:00000000\n"
PLACES = ("namesrv-1", "namesrv-2", "broker-a-0", "broker-a-1")
NODES = (*PLACES, *map(link_node, PLACES), "client-p-1")
ADDRESSES = {name: f"10.18.0.{number}" for number, name in enumerate(NODES, 3)}


def hexed(name: str) -> str:
    return bytes(map(int, reversed(ADDRESSES[name].split(".")))).hex().upper()


def links_with(*peers: str, state: str = "01", line: str = V6) -> Any:
    table = HEAD + "".join(line.format(peer=hexed(peer), state=state) for peer in peers)
    nodes = {name: SimpleNamespace(address=address) for name, address in ADDRESSES.items()}
    runtime: Any = SimpleNamespace(run=lambda *_words: (1, table.encode(), b"no tcp6"), nodes=nodes)
    topology, nothing = load_topology("1m-1s-sync"), Any
    plan = ClusterPlan(topology, nothing, nothing, links=frozenset(KINDS))  # type: ignore[arg-type]
    return Links(plan, runtime, Roster(topology, ADDRESSES, links=KINDS))


@pytest.mark.parametrize("line", [V4, V6])
def test_the_kernel_s_table_is_read(line: str) -> None:
    table = HEAD + line.format(peer=hexed("client-p-1"), state="01") + line.format(peer="00000000", state="0A")
    assert list(connected(table, PORTS["clients"])) == [ADDRESSES["client-p-1"]]
    assert list(connected(table, PORTS["ha"])) == []


def test_who_comes_by_the_link_passes_nobody_by() -> None:
    assert links_with("link-broker-a-0").passed_by("clients", "broker-a-0") == ()
    assert links_with("client-p-1", state="06").passed_by("clients", "broker-a-0") == ()


def test_who_goes_another_way_is_named() -> None:
    strays = links_with("link-broker-a-0", "client-p-1", "broker-a-1").passed_by("clients", "broker-a-0")
    assert set(strays) == {"client-p-1", "broker-a-1"}


def test_a_fault_of_a_link_that_is_passed_by_is_none() -> None:
    links = links_with("client-p-1")
    named: Any = {
        "brokers": tuple,
        "masters": lambda: ("broker-a-0",),
        "clients": lambda: (),
        "nameservers": tuple,
        "slaves": tuple,
    }
    cluster: Any = SimpleNamespace(links=links, **named)
    with pytest.raises(FaultError, match="client-p-1 reached broker-a-0 without the clients link of broker-a-0"):
        Latency(link="clients", target="master/0", latency_ms=100).inject(cluster)


def test_a_link_that_works_no_more_though_nothing_is_done_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    links, mute = links_with(), {"broker-a-0"}
    links._runtime.tail = lambda _node: "accept: too many open files"
    answers = {node: Exchange("silent" if node in mute else "answered", 0.1) for node in ADDRESSES}
    monkeypatch.setattr(Link, "ask", lambda self: answers.get(self.node, Exchange("answered", 0.1)))
    with pytest.raises(FaultError, match=r"the clients link of broker-a-0 does not answer.*too many open files"):
        links.refuse_mute(())
    links.refuse_mute(mute)
    answers.clear()
    links.refuse_mute(())
