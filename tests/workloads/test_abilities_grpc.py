"""What the gRPC client cannot be told, or does not tell: said before a cluster is started, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from harness import preflight
from harness.core.errors import ClientLacks
from harness.faults import Kill, master, nameserver, proxy
from harness.scenario import ClusterNeeds, Scenario, at, forbid, metric, plan, rules
from harness.topology import Topology, load_topology
from harness.workloads.abilities import lacks, unseen
from harness.workloads.load import Load, consume, produce

PROXIED = load_topology("2m-2s-sync-proxy")
ONE_BROKER = load_topology("1m").model_copy(update={"proxies": 1})


@pytest.mark.parametrize(
    "load",
    [
        produce(),
        produce(threads=4, mode="async"),
        produce(mode="orderly", threads=2),
        produce(mode="transaction", threads=2),
        produce(delay_level=3),
        produce(client="grpc"),
        consume(3),
        consume(2, listener="orderly"),
        consume(listener="simple"),
        consume(fail_every=3, fail_attempts=2),
    ],
    ids=str,
)
def test_what_it_can_do(load: Load) -> None:
    assert lacks("grpc", load, 2) is None


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (produce(mode="oneway"), "no one-way send"),
        (produce(retries=0), "told by its proxy how often to try, and by nobody else (0 is asked for)"),
        (produce(only_brokers=(0,)), "cannot choose a queue"),
        (produce(wait_store=False), "need not be waited for"),
        (produce(poll_nameserver_ms=1000), "every 30 s"),
        (consume(poll_nameserver_ms=1000), "every 30 s"),
        (consume(model="broadcasting"), "cannot broadcast"),
        (consume(listener="orderly", fail_every=2), "by itself"),
        (consume(retry_level=3), "after which delay"),
        (consume(max_reconsume=2), "how often a refused message"),
        (produce(client="java"), "it is for the java client"),
    ],
    ids=str,
)
def test_what_it_cannot_be_told(load: Load, words: str) -> None:
    assert words in str(lacks("grpc", load, 1))


def test_a_group_that_comes_later_begins_where_it_likes() -> None:
    assert "begins at the last message" in str(lacks("grpc", consume(), 1, later=True))
    assert lacks("grpc", produce(), 1, later=True) is None


@pytest.mark.parametrize("client", ["java", "remoting", "cpp"])
def test_nobody_else_asks_for_messages(client: str) -> None:
    assert f"the {client} client is pushed to" in str(lacks(client, consume(listener="simple"), 1))


def test_what_is_demanded_of_one_broker_is_seen_only_where_there_is_one() -> None:
    assert unseen("grpc", "ok_in") is None
    assert unseen("grpc", "ok_in", broker=True) is None
    assert "its proxy chooses" in str(unseen("grpc", "ok_in", broker=True, brokers=2))
    assert "its proxy chooses" in str(unseen("grpc", "lacking", brokers=2))
    assert "nobody owns" in str(unseen("grpc", "queues_per_member"))
    assert unseen("java", "lacking", broker=True, brokers=2) is None


def told(topology: Topology, client: str = "grpc", **more: Any) -> str:
    declared = Scenario(name="s", load=(produce(),), **({"rules": rules(forbid("lost"))} | more))
    try:
        preflight.check_client(declared, topology, client)
    except ClientLacks as lack:
        return str(lack)
    return ""


def test_a_fault_on_one_of_several_brokers_is_not_judged_with_it() -> None:
    hurt = {"steps": plan(at(1, Kill(target=f"{nameserver(0)}+{master(1)}"), until=2))}
    assert "whether broker-b-0 had anything to lose cannot be seen" in told(PROXIED, **hurt)
    assert told(PROXIED, "java", **hurt) == ""
    assert told(ONE_BROKER, steps=plan(at(1, Kill(target=master()), until=2))) == ""
    assert told(PROXIED, steps=plan(at(1, Kill(target=f"{proxy(0)}+{nameserver(0)}"), until=2))) == ""


def test_demands_and_gates_on_one_broker_are_not_judged_with_it() -> None:
    assert "ok_in cannot be judged" in told(PROXIED, rules=rules(metric("ok_in", window="w", broker="broker-a") > 0))
    assert told(PROXIED, rules=rules(forbid("lost", replicas="slave"))) == ""


def test_a_control_on_a_cluster_without_proxies_is_not_for_it() -> None:
    assert "2m-noslave has none" in told(PROXIED, cluster=ClusterNeeds(topology="2m-noslave"))
