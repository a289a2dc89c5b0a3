"""What a cluster of others is, by its own word, and what is refused before anything is made there."""

from __future__ import annotations

import socket

import pytest

from harness.cluster import discovery
from harness.cluster.discovery import discover, try_topic
from harness.core.errors import UsageError
from tests.existing.conftest import CREATE_TOPIC, Theirs


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


def test_looking_changes_nothing(theirs: Theirs) -> None:
    cluster = theirs(slaves=1)
    before = cluster.names()
    try_topic(discover(cluster.namesrv))
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


def test_a_broker_that_refuses_topics_is_told_of_at_once(theirs: Theirs) -> None:
    cluster = theirs("broker-a", "broker-b")
    found = discover(cluster.namesrv)
    cluster.brokers["broker-b-0"].misbehaviour.answers[CREATE_TOPIC] = (16, "no permission")
    cluster.brokers["broker-b-0"].refuses_topics = True
    with pytest.raises(UsageError, match=r"refuses to make a topic .* ask its owner"):
        try_topic(found)
    assert not [name for name in cluster.names() if name.startswith("rmqh-")]
