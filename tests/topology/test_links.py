"""Where links stand, and what brokers say of themselves because of them."""

from __future__ import annotations

import pytest

from harness.core.version import Version
from harness.topology import Topology, load_topology
from harness.topology.links import KINDS, advertised, behind, link_node, places
from harness.topology.render import Rendered, render_broker

V4, V5 = Version.parse("4.9.7"), Version.parse("5.3.3")


def addresses(topology: Topology) -> dict[str, str]:
    names = [node.name for node in topology.nodes]
    return {name: f"10.0.0.{n}" for n, name in enumerate(names)} | {
        link_node(name): f"10.0.1.{n}" for n, name in enumerate(names)
    }


def rendered(node: str, kinds: tuple[str, ...], version: Version = V4, name: str = "1m-1s-sync") -> Rendered:
    topology = load_topology(name)
    spec, known = topology.node(node), addresses(topology)
    seen = advertised(spec, topology, kinds, known)
    return render_broker(spec, topology, version, known, advertised=seen)


def test_without_links_nobody_says_anything_else():
    topology = load_topology("1m-1s-sync")
    assert advertised(topology.node("broker-a-0"), topology, (), addresses(topology)) == ()
    assert rendered("broker-a-0", ()).conf == render_broker(
        topology.node("broker-a-0"), topology, V4, addresses(topology)
    ).conf  # fmt: skip


def test_a_link_of_clients_is_where_a_broker_says_that_it_is():
    conf = rendered("broker-a-0", ("clients",)).conf
    assert conf["brokerIP1"].startswith("10.0.1.")
    assert conf["brokerIP2"].startswith("10.0.0.")
    assert "10.0.1." not in conf["namesrvAddr"]


def test_a_link_of_slaves_is_where_the_master_is_for_them_alone():
    master, slave = (rendered(node, ("ha",)).conf for node in ("broker-a-0", "broker-a-1"))
    assert (master["brokerIP1"][:7], master["brokerIP2"][:7]) == ("10.0.0.", "10.0.1.")
    assert slave["haMasterAddress"] == f"{master['brokerIP2']}:10912"
    assert (slave["brokerIP1"][:7], slave["brokerIP2"][:7]) == ("10.0.0.", "10.0.0.")
    assert "haMasterAddress" not in rendered("broker-a-1", ("ha",), V5).conf, "5.x stops replicating with it"


def test_a_link_of_nameservers_is_what_brokers_are_told():
    conf = rendered("broker-a-0", ("nameservers",)).conf
    assert all(part.startswith("10.0.1.") and part.endswith(":9876") for part in conf["namesrvAddr"].split(";"))
    assert conf["brokerIP1"].startswith("10.0.0.")


def test_what_is_said_otherwise_is_a_deviation_with_its_reason():
    found = {d.key: d for d in rendered("broker-a-0", ("clients",)).deviations}
    assert found["brokerIP1"].ours.startswith("10.0.1.")
    assert found["brokerIP1"].default.startswith("10.0.0.")
    assert "link" in found["brokerIP1"].why


@pytest.mark.parametrize(
    ("kind", "topology", "nodes"),
    [
        ("clients", "1m-1s-sync", ("broker-a-0", "broker-a-1")),
        ("ha", "1m-1s-sync", ("broker-a-0",)),
        ("ha", "1m", ()),
        ("ha", "2m-2s-async", ("broker-a-0", "broker-b-0")),
        ("nameservers", "1m", ("namesrv-1",)),
        ("clients", "dledger-3", ()),
        ("ha", "controller-1m-2s", ()),
    ],
)
def test_links_stand_before_those_who_keep_their_place(kind, topology, nodes):
    assert behind(kind, load_topology(topology)) == nodes


def test_links_of_one_node_share_a_place():
    topology = load_topology("1m-1s-sync")
    assert set(places(KINDS, topology)) == {node.name for node in topology.nodes}
    assert len(places(KINDS, topology)) == len(topology.nodes)
