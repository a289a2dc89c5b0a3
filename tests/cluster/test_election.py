"""Groups that elect their master: who it is is asked, never assumed, and nobody is nobody."""

from __future__ import annotations

import pytest

from harness.core.errors import FaultError, WaitTimeout
from harness.faults import Kill, Partition
from tests.cluster.conftest import MakeCluster

MEMBERS = {"broker-a-n0", "broker-a-n1", "broker-a-n2"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cluster.health.COPY_S", 0.2)
    monkeypatch.setattr("harness.cluster.looks.LOOK_TIMEOUT_S", 0.3)
    monkeypatch.setattr("harness.cluster.looks.PROBE_TIMEOUT_S", 0.3)


@pytest.mark.parametrize("version", ["4.9.7", "5.3.3"])
def test_the_elected_member_is_the_master_and_the_others_are_its_slaves(
    make_cluster: MakeCluster, version: str
) -> None:
    cluster, runtime = make_cluster("dledger-3", version)
    cluster.start()
    assert cluster.masters() == ("broker-a-n1",)
    assert cluster.slaves() == ("broker-a-n0", "broker-a-n2")
    assert cluster.health().problems == ()
    runtime.elect("broker-a-n2")
    assert (cluster.master("broker-a"), set(cluster.brokers())) == ("broker-a-n2", MEMBERS)
    assert cluster.health().problems == ()


def test_a_bring_up_waits_for_the_election(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster("dledger-3", deadline_s=0.5)
    runtime.elects = False
    with pytest.raises(WaitTimeout, match="broker-a has no master by its own word and a nameserver's"):
        cluster.start()


def test_a_member_is_the_master_only_if_it_says_so_itself(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster("dledger-3")
    cluster.start()
    runtime.server("broker-a-n1").config["brokerId"] = "2"
    assert cluster.leader("broker-a") is None


def test_nameservers_that_disagree_are_told(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster("dledger-3")
    cluster.start()
    runtime.server("namesrv-2").unregister("broker-a", 0)
    runtime.server("namesrv-2").unregister("broker-a", 3)
    assert cluster.leader("broker-a") == "broker-a-n1"
    assert set(cluster.health().problems) >= {
        "namesrv-2 has nobody for the master of broker-a, which is broker-a-n1",
        "namesrv-2 does not have broker-a-n1",
        "namesrv-2 does not have broker-a-n2",
    }


def test_a_dead_leader_that_nobody_followed_is_no_health(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster("dledger-3")
    cluster.start()
    cluster.kill_node("broker-a-n1")
    problems = cluster.health().problems
    assert "broker-a-n1 is not running: killed by SIGKILL" in problems
    assert "namesrv-1 has broker-a-n1 for the master of broker-a, which is nobody" in problems
    runtime.elect("broker-a-n0")
    assert cluster.health().problems == ("broker-a-n1 is not running: killed by SIGKILL",)


def test_a_fault_stays_with_the_nodes_that_it_hit(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster("dledger-3")
    cluster.start()
    kill = Kill(target="master/0").pinned(cluster)
    cut = Partition(sources="master/0", sinks="slave/*").pinned(cluster)
    runtime.elect("broker-a-n0")
    assert kill.targets(cluster) == ("broker-a-n1",)
    assert set(cut.targets(cluster)) == MEMBERS
    assert cut.sources == "node/broker-a-n1"


def test_where_roles_are_fixed_a_fault_keeps_its_words(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster("1m-1s-sync")
    kill = Kill(target="master/0")
    assert kill.pinned(cluster) is kill


def test_a_nameserver_that_has_the_deposed_master_is_no_health(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster("dledger-3")
    cluster.start()
    runtime.server("namesrv-2").addresses["broker-a"] = {
        0: cluster.address("broker-a-n0"),
        2: cluster.address("broker-a-n1"),
        3: cluster.address("broker-a-n2"),
    }
    assert cluster.leader("broker-a") == "broker-a-n1"
    told = "namesrv-2 has broker-a-n0 for the master of broker-a, which is broker-a-n1"
    assert told in cluster.health().problems


def test_no_fault_is_of_a_master_that_nobody_is(make_cluster: MakeCluster) -> None:
    """The first member in its place would be anybody, and a kill of it the kill of a follower."""
    cluster, runtime = make_cluster("dledger-3")
    cluster.start()
    runtime.elect(None)
    for fault in (Kill(target="master/0"), Kill(target="slave/*"), Partition(sources="master/0", sinks="broker/*")):
        with pytest.raises(FaultError, match="broker-a has no master now"):
            fault.pinned(cluster)
    assert Kill(target="node/broker-a-n0").pinned(cluster).targets(cluster) == ("broker-a-n0",)
