"""What topics and groups are made for where the gRPC client sends and consumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cluster.seed import seed_files
from harness.core.version import Version
from harness.distribution import Jre, Release
from harness.planning import cluster_plan, message_type_of
from harness.scenario import ClusterNeeds, Scenario
from harness.settings import Settings
from harness.topology import load_topology
from harness.workloads.load import Load, consume, produce

JRE = Jre("25", 25, "25", "test", Path("/j"), Path("/j/bin/java"), Path("/j/lib/libjvm.so"))


@pytest.mark.parametrize(
    ("loads", "kind"),
    [
        ((), None),
        ((produce(), consume()), None),
        ((produce(mode="async"),), None),
        ((produce(mode="orderly"),), "+message.type=FIFO"),
        ((produce(mode="transaction"),), "+message.type=TRANSACTION"),
        ((produce(delay_level=3), produce(name="q", delay_level=4)), "+message.type=DELAY"),
        ((produce(), produce(name="q", delay_level=4)), "+message.type=MIXED"),
    ],
    ids=str,
)
def test_a_topic_is_made_for_what_is_sent_to_it(loads: tuple[Load, ...], kind: str | None) -> None:
    assert message_type_of(Scenario(name="s", load=loads), 0) == kind
    assert message_type_of(Scenario(name="s", load=loads, cluster=ClusterNeeds(topics=2)), 1) is None


def planned(client: str):
    loads = (
        produce(mode="orderly"),
        consume(group="in-order", listener="orderly"),
        consume(name="d", group="any"),
    )
    settings = Settings(topology=load_topology("2m-2s-sync-proxy"), client=client)
    return cluster_plan(Scenario(name="s", load=loads), settings, Release("5.3.3", Version(5, 3, 3)), JRE)


def test_only_the_grpc_client_needs_it() -> None:
    plan, other = planned("grpc"), planned("java")
    assert [topic.attributes for topic in plan.topics] == ["+message.type=FIFO"]
    assert plan.fifo_groups == {"in-order"}
    assert [topic.attributes for topic in other.topics] == [None]
    assert other.fifo_groups == frozenset()


def test_stores_know_it_from_the_start() -> None:
    plan = planned("grpc")
    files = seed_files(plan.topics, plan.groups, Version(5, 3, 3), fifo=plan.fifo_groups)
    topics = json.loads(files["store/config/topics.json"])["topicConfigTable"]
    groups = json.loads(files["store/config/subscriptionGroup.json"])["subscriptionGroupTable"]
    assert topics["topic-0"]["attributes"] == {"message.type": "FIFO"}
    assert {name: group.get("consumeMessageOrderly", False) for name, group in groups.items()} == {
        "in-order": True,
        "any": False,
    }
