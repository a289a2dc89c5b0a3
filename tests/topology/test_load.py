"""Topology files are read strictly, and refused in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.topology import Role, known_topologies, load_topology, parse_topology
from harness.topology.load import topology_directory

VALID = """
name: mine
description: A pair.
nameservers: 2
brokers:
  - name: broker-a
    replicas: [{role: master, id: 0}, {role: slave, id: 1}]
replication: sync
flush: async
"""

SHIPPED = {
    "1m": (1, 1, 0),
    "1m-1s-sync": (2, 1, 1),
    "1m-2s-sync": (2, 1, 2),
    "2m-2s-async": (2, 2, 2),
    "2m-2s-async-stock": (2, 2, 2),
    "2m-2s-async-syncflush": (2, 2, 2),
    "2m-2s-sync": (2, 2, 2),
    "2m-2s-sync-proxy": (2, 2, 2),
    "2m-2s-sync-stock": (2, 2, 2),
    "2m-2s-sync-syncflush": (2, 2, 2),
    "2m-4s-sync": (2, 2, 4),
    "2m-noslave": (2, 2, 0),
    "2m-noslave-stock": (2, 2, 0),
    "3m-noslave": (2, 3, 0),
    "controller-1m-2s": (3, 1, 2),
    "dledger-3": (2, 1, 2),
}


def test_every_shipped_topology_loads_with_the_nodes_its_name_says():
    assert set(known_topologies()) == set(SHIPPED)
    for name, (nameservers, masters, slaves) in SHIPPED.items():
        topology = load_topology(name)
        assert topology.name == name
        counts = (len(topology.of_role(Role.NAMESERVER)), topology.masters, topology.slaves)
        assert counts == (nameservers, masters, slaves), name
        assert topology.stock == name.endswith("-stock")
        assert (topology.flush == "sync") == name.endswith("-syncflush")
        assert (topology.proxies > 0) == name.endswith("-proxy")
        assert name.removesuffix("-stock").removesuffix("-syncflush").removesuffix("-proxy") in topology.shapes


def test_nodes_are_named_by_broker_and_id():
    names = [node.name for node in load_topology("2m-2s-sync").nodes]
    assert names == ["namesrv-1", "namesrv-2", "broker-a-0", "broker-a-1", "broker-b-0", "broker-b-1"]


def test_proxies_come_last_and_are_no_brokers():
    *_, first, second = load_topology("2m-2s-sync-proxy").nodes
    assert (first.name, second.name, first.is_broker, first.broker_name) == ("proxy-1", "proxy-2", False, None)


def test_a_node_is_found_by_name_and_by_group():
    topology = load_topology("2m-4s-sync")
    assert topology.node("broker-a-1").role is Role.SLAVE
    assert [node.broker_id for node in topology.group("broker-b")] == [0, 1, 2]
    with pytest.raises(KeyError, match="broker-a-0"):
        topology.node("broker-z-0")


def test_shapes_follow_the_nodes_and_not_the_name():
    assert parse_topology(VALID, "mine.yaml").shapes == {"1m-1s-sync"}
    assert "2m-2s-sync" in load_topology("2m-4s-sync").shapes
    assert "2m-2s-sync" in load_topology("2m-2s-sync-stock").shapes
    assert load_topology("1m").shapes == {"1m"}
    misnamed = VALID.replace("name: mine", "name: 2m-noslave")
    assert parse_topology(misnamed, "mine.yaml").shapes == {"1m-1s-sync"}


def test_a_path_is_read(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(VALID)
    assert load_topology(str(path)).name == "mine"


def test_a_topology_cannot_be_changed():
    topology = load_topology("1m")
    with pytest.raises(ValueError, match="frozen"):
        topology.nameservers = 2


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (("flush: async", "flsh: async"), "flsh = 'async': there is no such key; did you mean flush?"),
        (("flush: async", "disks: 3"), "disks = 3: there is no such key; known are name, description, nameservers"),
        (("{role: slave, id: 1}", "{role: slave, id: 1, port: 2}"), "brokers.0.replicas.1.port = 2"),
        (("{role: slave, id: 1}", "{rule: slave, id: 1}"), "brokers.0.replicas.1.rule = 'slave': there is no such key"),
        (("    replicas:", "    replica:"), "did you mean replicas?"),
        (("nameservers: 2", "nameserver: 2"), "nameserver = 2: there is no such key; did you mean nameservers?"),
        (("nameservers: 2", "nameserver: 2\ndisks: 3"), "did you mean nameservers? (and 1 more)"),
        (("{role: slave, id: 1}", "{role: master, id: 0}"), "broker-a has 2 masters"),
        (("{role: master, id: 0}", "{role: slave, id: 2}"), "no master"),
        (("{role: slave, id: 1}", "{role: slave, id: 1}, {role: slave, id: 1}"), "two replicas with id 1"),
        (("{role: slave, id: 1}", "{role: slave, id: 0}"), "a slave an id above 0"),
        (("{role: master, id: 0}", "{role: master, id: 5}"), "a master has id 0"),
        (("replication: sync", "replication: quorum"), "replication = 'quorum'"),
        ((", {role: slave, id: 1}", ""), "has no slave"),
        (("replication: sync", "replication: none"), "say async or sync"),
        (("replication: sync", ""), "replication: Field required; add it"),
        (("nameservers: 2", "nameservers: 0"), "nameservers = 0"),
        (("nameservers: 2", "nameservers: '2'"), "nameservers = '2'"),
        (("flush: async", "flush: sometimes"), "flush = 'sometimes'"),
        (("flush: async", "stock: true"), "base is missing"),
        (("flush: async", "base: 2m-2s-sync"), "only stock topologies"),
        (("name: mine", "name: Mine/Yours"), "name = 'Mine/Yours'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(edit: tuple[str, str], says: str):
    with pytest.raises(UsageError) as refused:
        parse_topology(VALID.replace(*edit), "mine.yaml")
    message = str(refused.value)
    assert message.startswith("mine.yaml: ")
    assert says in message
    assert "\n" not in message


def test_what_is_missing_because_it_is_misspelt_is_no_second_trouble():
    with pytest.raises(UsageError) as refused:
        parse_topology(VALID.replace("nameservers: 2", "nameserver: 2"), "mine.yaml")
    assert "more" not in str(refused.value)
    assert "required" not in str(refused.value)


def test_a_file_of_ones_own_has_a_name_of_its_own(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(VALID.replace("name: mine", "name: 1m"))
    with pytest.raises(UsageError) as refused:
        load_topology(str(path))
    message = str(refused.value)
    assert message.startswith(f"{path}: name = '1m' ")
    assert "give yours another one" in message
    shipped = topology_directory() / "1m.yaml"
    assert load_topology(str(shipped)) == load_topology("1m")


def test_two_groups_of_one_name_are_refused():
    twice = VALID.replace("replication:", "  - name: broker-a\n    replicas: [{role: master, id: 0}]\nreplication:")
    with pytest.raises(UsageError, match="two masters are named broker-a"):
        parse_topology(twice, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "says"), [("", "empty"), ("- a\n", "a list"), ("a: [", "is not YAML"), ("just text", "a str")]
)
def test_what_is_no_mapping_is_refused(text: str, says: str):
    with pytest.raises(UsageError, match=says) as refused:
        parse_topology(text, "mine.yaml")
    assert "\n" not in str(refused.value)


def test_an_unknown_name_is_told_the_near_one_and_all_known():
    with pytest.raises(UsageError, match="did you mean 2m-2s-sync") as refused:
        load_topology("2m-2s-snyc")
    assert "3m-noslave" in str(refused.value)
    with pytest.raises(UsageError) as refused:
        load_topology("kafka")
    assert "did you mean" not in str(refused.value)


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="does not exist"):
        load_topology(str(tmp_path / "none.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        load_topology(str(tmp_path / "binary.yaml"))
    with pytest.raises(UsageError, match="cannot be read"):
        load_topology(f"{tmp_path}/")


GROUP = """
name: mine
description: A group that elects.
nameservers: 2
brokers:
  - name: broker-a
    replicas: [{role: member, id: 0}, {role: member, id: 1}, {role: member, id: 2}]
replication: sync
election: dledger
"""


def test_a_group_that_elects_has_members_and_no_fixed_master():
    topology = parse_topology(GROUP, "mine.yaml")
    assert [node.name for node in topology.nodes][2:] == ["broker-a-n0", "broker-a-n1", "broker-a-n2"]
    assert {node.role for node in topology.group("broker-a")} == {Role.MEMBER}
    assert topology.elects
    assert topology.replicates_itself
    assert topology.shapes == {"dledger-3"}
    assert not load_topology("2m-2s-sync").elects


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (("election: dledger", "election: none"), "has members but nothing elects"),
        (("{role: member, id: 2}", "{role: slave, id: 2}"), "has members and others"),
        ((", {role: member, id: 2}", ""), "has 2 members"),
        (("{role: member, id: 2}", "{role: member, id: 1}"), "two replicas with id 1"),
        (("replication: sync", "replication: async"), "election is dledger, so replication is sync, not async"),
        (("election: dledger", "election: dledger\nstock: true\nbase: 2m-2s-sync"), "no stock folder is known for it"),
        (
            (
                "{role: member, id: 0}, {role: member, id: 1}, {role: member, id: 2}",
                "{role: master, id: 0}, {role: slave, id: 1}",
            ),
            "so every replica is a member",
        ),
    ],
)
def test_a_wrong_group_is_refused_in_one_line(edit: tuple[str, str], says: str):
    with pytest.raises(UsageError) as refused:
        parse_topology(GROUP.replace(*edit), "mine.yaml")
    assert says in str(refused.value)
