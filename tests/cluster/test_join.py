"""A broker name that joins a running cluster: nobody knows it before, and all of it is there afterwards."""

from __future__ import annotations

import pytest

from harness.cluster import TopicSpec
from harness.core.errors import UsageError
from tests.cluster.conftest import MakeCluster

TOPICS = (TopicSpec("t", 4), TopicSpec("u", 4, late=True))


@pytest.mark.parametrize(("topology", "version"), [("2m-noslave", "4.9.7"), ("2m-2s-sync", "5.3.3")])
def test_who_joins_is_unknown_before_and_whole_afterwards(
    make_cluster: MakeCluster, topology: str, version: str
) -> None:
    cluster, runtime = make_cluster(topology, version, joining=frozenset({"broker-b"}), topics=TOPICS)
    cluster.start()
    assert cluster.broker_names() == ("broker-a",)
    assert not [node for _, node in runtime.log if node.startswith("broker-b")]
    assert cluster.health().problems == ()
    cluster.join("broker-b")
    assert cluster.broker_names() == ("broker-a", "broker-b")
    # What was there before is not there yet, and that is no health.
    assert "broker-b-0 does not know t" in cluster.health().problems
    assert set(runtime.server("broker-b-0").topics) == {"rmq-harness-probe"}
    cluster.create(TOPICS[:1], ("g",))
    assert cluster.health().problems == ()
    assert not cluster.is_routed("namesrv-1", "u")
    cluster.create(TOPICS[1:])
    assert cluster.is_routed("namesrv-1", "u")


def test_nobody_joins_twice(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster("2m-noslave", joining=frozenset({"broker-b"}))
    cluster.start()
    cluster.join("broker-b")
    with pytest.raises(UsageError, match="'broker-b' does not join: left to join are none"):
        cluster.join("broker-b")
