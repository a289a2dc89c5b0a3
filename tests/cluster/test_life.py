from __future__ import annotations

import pytest

from harness.cluster import TopicSpec
from harness.core.errors import NodeDied, UsageError, WaitTimeout
from tests.cluster.conftest import MakeCluster, release


def test_a_graceful_stop_tells_how_the_node_ended(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    cluster.start()
    ended = cluster.stop_node("broker-a-0", 1)
    assert not ended.forced
    assert ended.state.exit_code == 143
    assert str(ended).startswith("broker-a-0 exited with code 143 after")


def test_a_node_that_ignores_sigterm_is_killed_and_it_is_said(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    runtime.ignores_sigterm.add("broker-a-0")
    ended = cluster.stop_node("broker-a-0", 0.1)
    assert ended.forced
    assert "had to be killed" in str(ended)
    assert [what for what, node in runtime.log if node == "broker-a-0"][-2:] == ["SIGTERM", "SIGKILL"]


def test_a_killed_node_starts_again_over_its_own_configuration(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    cluster.kill_node("broker-a-0")
    runtime.files["broker-a-0", "conf/broker.conf"] = b"rewritten by the broker\n"
    started = cluster.start_node("broker-a-0")
    assert started.took_s is not None
    assert runtime.files["broker-a-0", "conf/broker.conf"] == b"rewritten by the broker\n"
    cluster.wait_healthy(5)


def test_a_restart_is_a_stop_and_a_start(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    cluster.restart_node("broker-a-0")
    assert [what for what, node in runtime.log if node == "broker-a-0"] == ["start", "SIGTERM", "start"]


def test_starting_what_runs_and_stopping_what_does_not_are_refused(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    cluster.start()
    with pytest.raises(UsageError, match="broker-a-0 is running already"):
        cluster.start_node("broker-a-0")
    cluster.kill_node("broker-a-0")
    for act in (cluster.stop_node, cluster.kill_node, cluster.pause_node, cluster.resume_node):
        with pytest.raises(UsageError, match="broker-a-0 is not running"):
            act("broker-a-0")


def test_a_restart_that_dies_is_told_with_its_last_words(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    cluster.kill_node("broker-a-0")
    runtime.dies["broker-a-0"] = "no space left"
    with pytest.raises(NodeDied, match="no space left"):
        cluster.start_node("broker-a-0")


def test_another_release_renders_the_configuration_anew(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="4.9.7")
    cluster.start()
    with pytest.raises(UsageError, match="stop it before"):
        cluster.install("broker-a-1", release("5.3.3"))
    cluster.kill_node("broker-a-1")
    cluster.install("broker-a-1", release("5.3.3"))
    conf = runtime.files["broker-a-1", "conf/broker.conf"].decode()
    assert "haMasterAddress" not in conf
    assert "inSyncReplicas=2" in conf
    assert str(cluster.outfit("broker-a-1").version) == "5.3.3"


def test_created_topics_are_waited_for_on_4x_slaves(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="4.9.7")
    cluster.start()
    runtime.server("broker-a-1").refuses_topics = True
    with pytest.raises(WaitTimeout, match=r"broker-a-1 to know .* unknown: later, group g2"):
        cluster.create((TopicSpec("later"),), ("g2",), timeout_s=0.5)


def test_created_topics_are_told_to_5x_slaves_unless_not_wanted(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="5.3.3")
    cluster.start()
    cluster.create((TopicSpec("one"),), ("g1",), timeout_s=5, on_slaves=False)
    assert "one" in runtime.server("broker-a-0").topics
    assert "one" not in runtime.server("broker-a-1").topics
    cluster.create((TopicSpec("two"),), ("g2",), timeout_s=5)
    assert "two" in runtime.server("broker-a-1").topics
    assert "g2" in runtime.server("broker-a-1").known_groups


def test_clients_get_a_place_and_lose_it(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    cluster.add_client("p-1")
    assert cluster.clients() == ("p-1",)
    cluster.remove_client("p-1")
    cluster.remove_client("p-1")
    assert cluster.clients() == ()
    assert "p-1" not in runtime.nodes
