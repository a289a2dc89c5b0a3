"""What a cluster of others is, by its own word, and what is refused before anything is made there."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from harness.cluster import discovery, notes
from harness.cluster.discovery import discover, try_topic
from harness.core.errors import UsageError
from tests.existing.conftest import CREATE_TOPIC, DELETE_TOPIC, Theirs
from tests.fakes.nameserver import FakeNameServer


def test_shape_release_and_places(theirs: Theirs) -> None:
    cluster = theirs("broker-a", "broker-b", slaves=1, nameservers=2)
    for name in ("broker-a-0", "broker-b-0"):
        cluster.brokers[name].config["brokerRole"] = "SYNC_MASTER"
    for broker in cluster.brokers.values():
        broker.config["flushDiskType"] = "SYNC_FLUSH"
    found = discover(cluster.namesrv)
    assert found.topology.shapes == {"2m-2s-sync"}
    assert (found.topology.flush, found.topology.nameservers, str(found.version)) == ("sync", 2, "4.9.7")
    assert found.places["namesrv-2"] == cluster.namesrv[1]
    assert found.places["broker-b-1"] == cluster.brokers["broker-b-1"].address
    assert not found.closed


def test_a_slave_of_5_that_refuses_reads_is_known(theirs: Theirs) -> None:
    cluster = theirs(slaves=1, version="5.3.3")
    cluster.brokers["broker-a-1"].config["slaveReadEnable"] = "false"
    assert list(discover(cluster.namesrv).closed) == ["broker-a-1"]


@pytest.mark.parametrize(
    ("version", "in_sync", "shape"),
    [("4.9.7", "1", "1m-1s-sync"), ("5.3.3", "1", "1m-1s-async"), ("5.3.3", "", "1m-1s-async"),
     ("5.3.3", "2", "1m-1s-sync")],
)  # fmt: skip
def test_a_sync_master_that_waits_for_no_slave_is_not_held_to_dual_write(
    theirs: Theirs, version: str, in_sync: str, shape: str
) -> None:
    cluster = theirs(slaves=1, version=version)
    cluster.brokers["broker-a-0"].config |= {"brokerRole": "SYNC_MASTER", "inSyncReplicas": in_sync}
    found = discover(cluster.namesrv)
    assert found.topology.shapes == {shape}
    assert found.waits_for_nobody is (shape == "1m-1s-async")


def test_a_broker_that_gives_no_permission_to_write(theirs: Theirs) -> None:
    assert "broker-a has brokerPermission=4" in refused(theirs(brokerPermission="4").namesrv)


def test_looking_changes_nothing(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs(slaves=1)
    before = cluster.names()
    try_topic(discover(cluster.namesrv), tmp_path)
    assert list(notes.notes(tmp_path)) == []
    assert cluster.names() == before
    assert [broker.changes for broker in cluster.brokers.values()] == [0, 0]


def refused(namesrv: list[str]) -> str:
    with pytest.raises(UsageError) as error:
        discover(namesrv)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_nameserver_that_does_not_answer(theirs: Theirs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASK_S", 0.3)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert f"--namesrv {place!r} does not answer as a nameserver" in refused([place])
    cluster = theirs(nameservers=2)
    cluster.nameservers[1].hang = True
    assert cluster.namesrv[1] in refused(cluster.namesrv)


def test_nameservers_that_disagree(theirs: Theirs) -> None:
    one, other = theirs("broker-a"), theirs("broker-b")
    assert "do not tell the same brokers (broker-a:0; broker-b:0)" in refused([*one.namesrv, *other.namesrv])


def test_a_cluster_without_brokers(theirs: Theirs) -> None:
    cluster = theirs()
    cluster.nameservers[0].unregister("broker-a", 0)
    assert "knows no broker" in refused(cluster.namesrv)


def test_a_broker_that_does_not_answer(theirs: Theirs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASK_S", 0.3)
    cluster = theirs()
    cluster.brokers["broker-a-0"].stop()
    assert "does not tell its configuration" in refused(cluster.namesrv)


def test_mixed_releases(theirs: Theirs) -> None:
    cluster = theirs("broker-a", "broker-b")
    cluster.brokers["broker-b-0"].version_text = "V5_3_3"
    assert "several releases (4.9.7 on " in refused(cluster.namesrv)


def test_a_slave_without_its_master(theirs: Theirs) -> None:
    cluster = theirs(slaves=1)
    cluster.nameservers[0].unregister("broker-a", 0)
    assert "broker-a has no master registered (there are ids 1)" in refused(cluster.namesrv)


def test_roles_and_flushes_that_differ(theirs: Theirs) -> None:
    cluster = theirs("broker-a", "broker-b", slaves=1)
    cluster.brokers["broker-a-0"].config["brokerRole"] = "SYNC_MASTER"
    assert "brokerRole must be one of SYNC_MASTER, ASYNC_MASTER, the same for all" in refused(cluster.namesrv)
    cluster.brokers["broker-a-0"].config["brokerRole"] = "ASYNC_MASTER"
    cluster.brokers["broker-a-1"].config["flushDiskType"] = "SYNC_FLUSH"
    assert "flushDiskType must be" in refused(cluster.namesrv)


@pytest.mark.parametrize("key", ["enableDLegerCommitLog", "enableControllerMode"])
def test_groups_that_elect_are_not_supported(theirs: Theirs, key: str) -> None:
    assert "fixed roles only" in refused(theirs(**{key: "true"}).namesrv)


def test_a_name_that_does_not_fit(theirs: Theirs) -> None:
    assert "'Broker_A'" in refused(theirs("Broker_A").namesrv)


def test_a_topic_that_can_be_made_and_not_removed_is_told_of_and_noted(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs()
    cluster.brokers["broker-a-0"].misbehaviour.answers[DELETE_TOPIC] = (16, "no permission")
    with pytest.raises(UsageError, match=r"cannot be removed again \(rmqh-try-.*`rmq-harness clean`"):
        try_topic(discover(cluster.namesrv), tmp_path, timeout_s=0.1)
    (note,) = notes.notes(tmp_path)
    assert [name for name in cluster.names() if name.startswith(note.prefix)]


def test_a_topic_that_is_being_tried_is_noted_before_it_is_there(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = discover(theirs().namesrv)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(discovery, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        try_topic(found, tmp_path)
    assert len(list(notes.notes(tmp_path))) == 1


def test_nameservers_of_several_clusters(theirs: Theirs, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = theirs("orders", "payments")
    both = b'"clusterAddrTable":{"one":["orders"],"other":["orders","payments"],"gone":["was-here"]}'
    whole = FakeNameServer._cluster
    monkeypatch.setattr(
        FakeNameServer, "_cluster", lambda self: re.sub(rb'"clusterAddrTable":\{[^}]*\}', both, whole(self))
    )
    text = refused(cluster.namesrv)
    assert "serve 2 clusters (one: orders; other: orders, payments)" in text
    assert "load on all of them" in text


def test_more_nameservers_than_were_named_and_fewer(theirs: Theirs) -> None:
    cluster = theirs()
    config = cluster.brokers["broker-a-0"].config
    config["namesrvAddr"] = f"{cluster.namesrv[0]};10.0.0.6:9876"
    assert "registers with 2 nameservers" in refused(cluster.namesrv)
    assert "name every one of them" in refused(cluster.namesrv)
    port = cluster.namesrv[0].rpartition(":")[2]
    config["namesrvAddr"] = cluster.namesrv[0]
    assert "under one name" in refused([*cluster.namesrv, f"localhost:{port}"])
    config |= {"namesrvAddr": "ns.example:9876;b:1", "fetchNameSrvAddrByDnsLookup": "true"}
    assert discover(cluster.namesrv).topology.nameservers == 1


@pytest.mark.parametrize(("version", "refuses"), [("4.9.7", True), ("5.3.3", False)])
def test_a_master_that_waits_for_a_slave_that_is_not_there(theirs: Theirs, version: str, refuses: bool) -> None:
    cluster = theirs(version=version, brokerRole="SYNC_MASTER")
    if refuses:
        assert "broker-a is a SYNC_MASTER and no slave of it is registered" in refused(cluster.namesrv)
    else:
        assert discover(cluster.namesrv).topology.shapes == {"1m"}


def test_a_broker_that_refuses_topics_is_told_of_at_once(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs("broker-a", "broker-b")
    found = discover(cluster.namesrv)
    cluster.brokers["broker-b-0"].misbehaviour.answers[CREATE_TOPIC] = (16, "no permission")
    cluster.brokers["broker-b-0"].refuses_topics = True
    with pytest.raises(UsageError, match=r"refuses to make a topic .* ask its owner"):
        try_topic(found, tmp_path)
    assert list(notes.notes(tmp_path)) == []
    assert not [name for name in cluster.names() if name.startswith("rmqh-")]
