from __future__ import annotations

import pytest

from harness.cluster import health
from harness.core.errors import WaitTimeout
from tests.cluster.conftest import MakeCluster


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "COPY_S", 0.2)
    monkeypatch.setattr("harness.cluster.looks.LOOK_TIMEOUT_S", 0.3)
    monkeypatch.setattr("harness.cluster.looks.PROBE_TIMEOUT_S", 0.3)


@pytest.mark.parametrize("version", ["4.9.7", "5.3.3"])
def test_a_fresh_cluster_is_healthy(make_cluster: MakeCluster, version: str) -> None:
    cluster, _ = make_cluster(version=version)
    cluster.start()
    assert cluster.health().ok
    assert str(cluster.health()) == "healthy"


def test_a_killed_slave_and_its_lonely_master_are_named(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(version="4.9.7")
    cluster.start()
    cluster.kill_node("broker-a-1")
    assert cluster.health().problems == (
        "broker-a-1 is not running: killed by SIGKILL",
        "broker-a-0 has no slave to acknowledge a write",
    )


def test_everything_wrong_is_listed_not_only_the_first(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(version="4.9.7")
    cluster.start()
    cluster.kill_node("namesrv-1")
    cluster.kill_node("broker-b-0")
    runtime.cut_pairs.add(("broker-a-0", "broker-a-1"))
    runtime.server("broker-a-0").misbehaviour.answers[310] = (12, "slow")
    problems = cluster.health().problems
    assert "namesrv-1 is not running: killed by SIGKILL" in problems
    assert "broker-b-0 is not running: killed by SIGKILL" in problems
    assert "the network from broker-a-0 to broker-a-1 is cut" in problems
    assert "a write to broker-a-0 was answered 12 FLUSH_SLAVE_TIMEOUT slow" in problems


def test_a_lost_registration_is_named_with_its_nameserver(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster()
    cluster.start()
    runtime.server("namesrv-2").unregister("broker-a", 1)
    wanted = cluster.address("broker-a-1")
    assert cluster.health().problems == (f"namesrv-2 has broker-a-1 at no address instead of {wanted}",)


def test_a_broker_that_is_not_of_the_cluster_is_named(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster()
    cluster.start()
    runtime.server("namesrv-1").register("broker-z", 0, "10.0.0.9:10911", {})
    assert cluster.health().problems == ("namesrv-1 has a stranger broker-z id 0 at 10.0.0.9:10911",)


def test_a_wiped_write_permission_is_named(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    cluster.start()
    cluster.admin.wipe_write_perm(cluster.address("namesrv-1"), "broker-a")
    assert "namesrv-1 has permission 4 for t on broker-a instead of permission 6" in cluster.health().problems


def test_what_is_read_a_second_after_it_was_written_is_written(make_cluster: MakeCluster) -> None:
    """A broker that acknowledges from its transient store pool commits once a second."""
    cluster, runtime = make_cluster()
    cluster.start()
    runtime.server("broker-a-0").misbehaviour.unreadable_s = 1.0
    assert cluster.health().ok


def test_what_is_never_read_is_named(make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cluster.looks.READ_BACK_S", 0.5)
    cluster, runtime = make_cluster()
    cluster.start()
    runtime.server("broker-a-0").misbehaviour.unreadable_s = 60.0
    (problem,) = cluster.health().problems
    assert problem.startswith("a write to broker-a-0 was acknowledged and cannot be read back in ")


def test_a_topic_a_slave_does_not_know_is_named(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster()
    cluster.start()
    del runtime.server("broker-b-1").topics["t"]
    runtime.server("broker-b-1").known_groups.clear()
    assert cluster.health().problems == ("broker-b-1 does not know t", "broker-b-1 does not know group g")


def test_a_slave_that_stopped_copying_is_named_with_its_lag(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="4.9.7")
    cluster.start()
    runtime.server("broker-a-0").misbehaviour.skip_replica_every = 1
    (problem,) = cluster.health().problems
    assert problem.startswith("broker-a-1 lacks what was written to broker-a-0")
    assert cluster.lag_bytes("broker-a")["broker-a-1"] > 0  # type: ignore[operator]


def test_a_paused_node_does_not_count_as_running(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m-1s-sync")
    cluster.start()
    cluster.pause_node("broker-a-1")
    assert "broker-a-1 is not running: stopped" in cluster.health().problems
    assert "broker-a-1" not in cluster.live()
    cluster.resume_node("broker-a-1")
    cluster.wait_healthy(5)


def test_a_node_that_runs_and_answers_nothing_is_named(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    runtime.server("broker-a-0").misbehaviour.hang = True
    problems = cluster.health().problems
    assert f"broker-a-0 does not answer on {cluster.address('broker-a-0')}" in problems
    assert any(problem.startswith("a write to broker-a-0 was not answered") for problem in problems)


def test_waiting_for_health_ends_with_everything_that_was_wrong(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    cluster.start()
    cluster.kill_node("broker-a-0")
    with pytest.raises(WaitTimeout, match=r"cluster to be healthy; last seen: broker-a-0 is not running"):
        cluster.wait_healthy(0.5)
