from __future__ import annotations

import json

import pytest

from harness.cluster import PROBE_TOPIC, TopicSpec
from harness.core.errors import NodeDied, UsageError, WaitTimeout
from tests.cluster.conftest import MakeCluster, starts


def test_4x_starts_nameservers_then_masters_then_slaves(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="4.9.7")
    cluster.start()
    order = starts(runtime.log)
    assert max(order["namesrv-1"], order["namesrv-2"]) < min(order["broker-a-0"], order["broker-b-0"])
    assert order["broker-a-0"] < order["broker-a-1"]
    assert order["broker-b-0"] < order["broker-b-1"]


def test_5x_starts_slaves_before_their_masters(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="5.3.3")
    cluster.start()
    order = starts(runtime.log)
    assert max(order["namesrv-1"], order["namesrv-2"]) < min(order["broker-a-1"], order["broker-b-1"])
    assert order["broker-a-1"] < order["broker-a-0"]
    assert order["broker-b-1"] < order["broker-b-0"]


def test_naive_starts_all_at_once_without_seeds_or_our_keys(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="4.9.7", haste="naive", timers="documented")
    names = [spec.name for spec in cluster.topology.nodes]
    slaves_learn(cluster, runtime)
    cluster.start()
    assert [node for what, node in runtime.log[:6] if what == "start"] == names
    assert not [path for _, path in runtime.files if "config/" in path]
    conf = runtime.files["broker-a-1", "conf/broker.conf"].decode()
    assert "haMasterAddress" not in conf
    assert "haSendHeartbeatInterval" not in conf
    assert "-Dtls.server.mode=permissive" in runtime.processes["broker-a-0"].argv


def slaves_learn(cluster: object, runtime: object) -> None:
    """Lets each fake slave share its master's table of topics and groups, as a real one does after a while."""
    original = runtime._boot  # type: ignore[attr-defined]

    def boot(node: str, broker: object) -> None:
        original(node, broker)
        for slave in broker.replicas:  # type: ignore[attr-defined]
            slave.topics = broker.topics  # type: ignore[attr-defined]
            slave.known_groups = broker.known_groups  # type: ignore[attr-defined]

    runtime._boot = boot  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", ["4.9.7", "5.3.3"])
def test_every_store_knows_topics_and_groups_before_its_broker_starts(make_cluster: MakeCluster, version: str) -> None:
    cluster, runtime = make_cluster(version=version, topics=(TopicSpec("t", 7),), groups=("g",))
    cluster.start()
    for node in cluster.brokers():
        topics = json.loads(runtime.files[node, "store/config/topics.json"])
        groups = json.loads(runtime.files[node, "store/config/subscriptionGroup.json"])
        assert set(topics["topicConfigTable"]) == {"t", PROBE_TOPIC.name, "%RETRY%g"}
        assert topics["topicConfigTable"]["t"]["readQueueNums"] == 7
        assert set(groups["subscriptionGroupTable"]) == {"g"}
    versions = {runtime.files[node, "store/config/topics.json"] for node in cluster.brokers()}
    assert len(versions) == 1, "a slave whose data version differs would replace its table at its first look"


def test_a_broker_that_dies_at_start_is_named_with_its_last_words(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster()
    runtime.dies["broker-b-0"] = "Unrecognized VM option 'Nonsense'"
    runtime.files["broker-b-0", "logs/rocketmqlogs/broker.log"] = b"started\nfell over\n"
    with pytest.raises(NodeDied, match=r"broker-b-0 exited with code 1 while its port 10912 was waited for") as died:
        cluster.start()
    assert "Unrecognized VM option 'Nonsense'" in str(died.value)
    assert "fell over" in str(died.value)


def test_a_broker_that_never_registers_is_named_with_its_nameservers(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="4.9.7", deadline_s=0.5)
    runtime.unregistered.add("broker-a-1")
    with pytest.raises(WaitTimeout, match=r"absent: broker-a-1 on namesrv-1, broker-a-1 on namesrv-2"):
        cluster.start()


def test_a_5x_broker_that_missed_its_registration_is_made_to_register(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="5.3.3")
    runtime.unregistered |= {"broker-a-0", "broker-a-1"}
    cluster.start()
    assert all(cluster.is_registered(ns, "broker-a-1") for ns in cluster.nameservers())


def test_a_write_that_no_slave_acknowledges_is_not_ready(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="4.9.7", deadline_s=0.5)
    boot = runtime._boot

    def boot_without_replication(node: str, broker: object) -> None:
        boot(node, broker)  # type: ignore[arg-type]
        broker.misbehaviour.answers[310] = (11, "no slave")  # type: ignore[attr-defined]

    runtime._boot = boot_without_replication  # type: ignore[method-assign,assignment]
    with pytest.raises(WaitTimeout, match=r"a write to broker-.-0 .* was answered 11 SLAVE_NOT_AVAILABLE"):
        cluster.start()


def test_a_slave_that_copies_nothing_is_not_ready(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="4.9.7", deadline_s=0.5)
    boot = runtime._boot

    def boot_without_copies(node: str, broker: object) -> None:
        boot(node, broker)  # type: ignore[arg-type]
        broker.misbehaviour.skip_replica_every = 1  # type: ignore[attr-defined]

    runtime._boot = boot_without_copies  # type: ignore[method-assign,assignment]
    with pytest.raises(WaitTimeout, match=r"broker-a-1 to have what was written to broker-a-0; .* its log ends at 0"):
        cluster.start()


def test_what_was_hastened_is_put_back_or_listed(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(version="4.9.7")
    brought = cluster.start()
    assert ("broker-a-1", "haSendHeartbeatInterval", "5000") in brought.restored
    assert {(left.node, left.key) for left in brought.unrestored} == {
        ("broker-a-1", "haMasterAddress"),
        ("broker-b-1", "haMasterAddress"),
    }


def test_5x_lists_what_stays_hastened(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m", version="5.3.3")
    brought = cluster.start()
    assert brought.restored == ()
    assert {left.key for left in brought.unrestored} == {"transactionMetricFlushInterval", "timerFlushIntervalMs"}


def test_a_key_the_caller_asked_for_is_left_alone(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(version="4.9.7", broker_conf={"haSendHeartbeatInterval": "-1"})
    brought = cluster.start()
    assert brought.restored == ()
    assert "haSendHeartbeatInterval" not in {left.key for left in brought.unrestored}


def test_steps_are_timed_and_told(make_cluster: MakeCluster) -> None:
    told: list[str] = []
    cluster, _ = make_cluster(topology="1m", version="4.9.7", progress=told.append)
    brought = cluster.start()
    assert brought.wall_s > 0
    assert brought.waited_s("written") > 0
    assert any("registered broker-a-0" in line for line in told)
    assert brought.waited_s("no such step") == 0


@pytest.mark.parametrize(("topology", "slaves"), [("1m", False), ("1m-1s-sync", True)])
def test_slaves_are_spoken_of_only_where_there_are_any(make_cluster: MakeCluster, topology: str, slaves: bool) -> None:
    told: list[str] = []
    cluster, _ = make_cluster(topology=topology, version="5.3.3", progress=told.append)
    cluster.start()
    assert any("slaves attached to broker-a" in line for line in told) is slaves
    assert any("copied" in line for line in told) is slaves
    assert any("written" in line for line in told)


def test_jvm_options_of_a_role_come_last_and_reach_that_role_alone(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m", jvm_opts={"broker": ("-Xmx300m",), "namesrv": ("-Xmx99m",)})
    cluster.start()
    broker, nameserver = runtime.processes["broker-a-0"].argv, runtime.processes["namesrv-1"].argv
    assert "-Xmx99m" not in broker
    assert list(broker).index("-Xmx300m") > list(broker).index("-Xmx256m")
    assert "-Xmx99m" in nameserver


def test_a_cluster_starts_once(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    cluster.start()
    with pytest.raises(UsageError, match="started before"):
        cluster.start()


def test_close_is_idempotent_and_closes_the_runtime_also_after_a_failed_start(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    runtime.dies["namesrv-1"] = "no"
    with pytest.raises(NodeDied):
        cluster.start()
    cluster.close()
    cluster.close()
    assert runtime.closed == 1


def test_addresses_are_unknown_before_the_start(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    with pytest.raises(UsageError, match="start the cluster first"):
        cluster.address("broker-a-0")
    with pytest.raises(UsageError, match="no node broker-x-0"):
        cluster.address("broker-x-0")


def test_what_was_put_back_is_no_deviation_any_more(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(version="4.9.7")
    cluster.start()
    keys = {deviation.key for deviation in cluster.deviations()}
    assert "haMasterAddress" in keys
    assert "haSendHeartbeatInterval" not in keys


def test_a_5x_slave_that_registered_before_its_master_is_made_to_ask_again(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="5.3.3")
    cluster.start()
    # It registered at its own start, before its master's: only a later registration tells it where its master is.
    assert runtime.server("broker-a-1").kicks == 1
    assert runtime.server("broker-a-0").kicks == 0
