"""Real brokers: the recipe comes up, says what is wrong when hurt, and is read back message by message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from harness.cluster import Cluster, ClusterPlan, Oracle, TopicSpec
from harness.core.errors import CapabilityMissing, NodeDied
from harness.distribution.jre import obtain_jre
from harness.distribution.release import obtain_release
from harness.distribution.store import default_cache
from harness.runtime.local import LocalRuntime
from harness.topology import load_topology
from harness.waiting import wait_for

pytestmark = pytest.mark.real

Make = Callable[..., Cluster]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Cluster] = []

    def new(topology: str, version: str, **options: Any) -> Cluster:
        cache = default_cache()
        defaults: dict[str, Any] = {"topics": (TopicSpec("t", 4),), "groups": ("g",), "cache": cache}
        release, jre = obtain_release(version, cache, quiet=True), obtain_jre("25", cache)
        plan = ClusterPlan(load_topology(topology), release, jre, **(defaults | options))
        try:
            runtime = LocalRuntime.open(
                run_id=f"test-{uuid4().hex[:8]}", evidence=tmp_path / "evidence", work_dir=tmp_path / "work"
            )
        except CapabilityMissing as missing:
            pytest.skip(str(missing))
        made.append(Cluster(plan, runtime, progress=print))
        return made[-1]

    yield new
    for cluster in made:
        cluster.close()


def send(cluster: Cluster, count: int, first: int = 0) -> set[str]:
    ids = set()
    for number in range(first, first + count):
        master = cluster.masters()[number % len(cluster.masters())]
        reply = cluster.admin.send(cluster.address(master), ("t", number % 4), f"s-{number}|x".encode(), timeout_s=10)
        assert reply.acknowledged, reply
        ids.add(f"s-{number}")
    return ids


def read_per_replica(cluster: Cluster) -> dict[str, set[str]]:
    lines: list[Any] = []
    summary = Oracle(cluster, lines.extend).read_all("final", ["t"])
    assert summary.complete, summary.incomplete
    assert not summary.skipped
    found: dict[str, set[str]] = {node: set() for node in cluster.brokers()}
    for line in lines:
        if line["f"] == "read":
            found[line["r"]].add(line["id"])
    return found


def test_one_master_of_4_9_7(make: Make) -> None:
    cluster = make("1m", "4.9.7")
    brought = cluster.start()
    assert brought.cpu_s is not None
    assert cluster.health().ok
    sent = send(cluster, 40)
    assert read_per_replica(cluster) == {"broker-a-0": sent}
    assert not cluster.stop_node("broker-a-0").forced
    assert "broker-a-0 is not running: exited with code 143" in cluster.health().problems
    cluster.start_node("broker-a-0")
    cluster.wait_healthy()
    assert read_per_replica(cluster) == {"broker-a-0": sent}


def test_two_masters_with_slaves_of_5_3_3(make: Make) -> None:
    cluster = make("2m-2s-sync", "5.3.3")
    cluster.start()
    assert cluster.health().ok
    sent = send(cluster, 40)
    cluster.wait_in_sync("broker-a")
    cluster.wait_in_sync("broker-b")
    found = read_per_replica(cluster)
    assert found["broker-a-0"] | found["broker-b-0"] == sent
    assert found["broker-a-0"] == found["broker-a-1"]
    assert found["broker-b-0"] == found["broker-b-1"]
    cluster.kill_node("broker-a-1")
    assert "broker-a-1 is not running: killed by SIGKILL" in cluster.health().problems
    cluster.start_node("broker-a-1")
    cluster.wait_healthy()


def test_a_jvm_that_refuses_its_options_is_named_with_what_it_said(make: Make) -> None:
    cluster = make("1m", "4.9.7", jvm_opts={"broker": ("-XX:+NoSuchOption",)})
    with pytest.raises(NodeDied, match=r"broker-a-0 exited with code 1 ") as died:
        cluster.start()
    assert "Unrecognized VM option 'NoSuchOption'" in str(died.value)


def test_a_broken_start_cache_fails_no_start(make: Make, tmp_path: Path) -> None:
    for _ in range(2):
        cluster = make("1m", "4.9.7", cache=tmp_path)
        cluster.start()
        cluster.close()
    archives = list((tmp_path / "archives").iterdir())
    assert len(archives) == 2, "the first bring-up makes a start cache for each kind of node"
    for archive in archives:
        archive.write_bytes(b"broken" + archive.read_bytes()[6:])
    assert make("1m", "4.9.7", cache=tmp_path).start().trained


@pytest.mark.parametrize(("topology", "version"), [("dledger-3", "4.9.7"), ("controller-1m-2s", "5.3.3")])
def test_a_killed_leader_is_replaced_and_follows_when_it_returns(make: Make, topology: str, version: str) -> None:
    cluster = make(topology, version)
    cluster.start()
    assert cluster.health().ok
    sent = send(cluster, 20)
    (old,) = cluster.masters()
    cluster.kill_node(old)
    wait_for(lambda: cluster.leader("broker-a") not in (None, old), what="another leader", timeout_s=60)
    (new,) = cluster.masters()
    # A new master takes writes once another replica has been seen to be in step with it.
    wait_for(lambda: cluster.looks.probe_write(new).ok, what=f"{new} to take a write", timeout_s=60)
    assert cluster.masters() == (new,)
    sent |= send(cluster, 20, first=20)
    cluster.start_node(old)
    cluster.wait_healthy()
    assert old in cluster.slaves("broker-a")
    Oracle(cluster, list[Any]().extend).open_slaves()
    assert read_per_replica(cluster) == dict.fromkeys(cluster.brokers(), sent)
