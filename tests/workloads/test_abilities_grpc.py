"""What the gRPC client cannot be told, or does not tell: said before a cluster is started, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from harness import askable, preflight
from harness.core.errors import ClientLacks, UsageError
from harness.faults import ALL_CLIENTS, ALL_PROXIES, Kill, Partition, isolate, master, nameserver, proxy
from harness.scenario import ClusterNeeds, Scenario, at, forbid, metric, plan, rules
from harness.topology import Topology, load_topology
from harness.workloads.abilities import lacks, unseen
from harness.workloads.load import Load, consume, produce
from harness.workloads.probes import AwaitDropped

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


def test_the_order_of_a_queue_is_not_what_it_keeps() -> None:
    """It gives the message groups of a batch to several threads: what a queue holds in turn need not come in turn."""
    assert "order of each message group" in str(unseen("grpc", "reordered-delivery"))
    assert unseen("grpc", "reordered-key") is None
    assert unseen("cpp", "reordered-delivery") is None


def told(topology: Topology, client: str = "grpc", **more: Any) -> str:
    declared = Scenario(name="s", **({"load": (produce(),), "rules": rules(forbid("lost"))} | more))
    try:
        askable.check_client(declared, topology, client)
    except ClientLacks as lack:
        return str(lack)
    return ""


def test_a_fault_on_one_of_several_brokers_is_not_judged_with_it() -> None:
    hurt = {"steps": plan(at(1, Kill(target=f"{nameserver(0)}+{master(1)}"), until=2))}
    assert "whether broker-b-0 had anything to lose cannot be seen" in told(PROXIED, **hurt)
    assert told(PROXIED, "java", **hurt) == ""
    assert told(ONE_BROKER, steps=plan(at(1, Kill(target=master()), until=2))) == ""
    assert told(PROXIED, steps=plan(at(1, Kill(target=f"{ALL_PROXIES}+{nameserver(0)}"), until=2))) == ""


def test_demands_and_gates_on_one_broker_are_not_judged_with_it() -> None:
    assert "ok_in cannot be judged" in told(PROXIED, rules=rules(metric("ok_in", window="w", broker="broker-a") > 0))
    assert told(PROXIED, rules=rules(forbid("lost", replicas="slave"))) == ""


def hurting(*faults: Any, **more: Any) -> dict[str, Any]:
    return {"steps": plan(*(at(1, fault, until=2, name=f"f{n}") for n, fault in enumerate(faults)))} | more


def test_a_cut_between_clients_and_what_they_do_not_talk_to_is_not_put_to_the_test() -> None:
    cut = Partition(sources=ALL_CLIENTS, sinks=nameserver(0))
    assert "is not cut off from namesrv-1 by any cut" in told(PROXIED, **hurting(cut))
    assert told(PROXIED, "java", **hurting(cut)) == ""
    assert told(ONE_BROKER, **hurting(isolate(nameserver(0)))) == "", "proxies are cut off from it as well"
    assert told(PROXIED, **hurting(Partition(sources=ALL_CLIENTS, sinks=ALL_PROXIES))) == ""


def test_no_send_of_it_makes_a_topic() -> None:
    """Its proxy has no second try with the topic that brokers make others from; a topic that is there needs none."""
    sent = {"load": (produce(topic=1, wait_route=False),)}
    asked = "no send of the grpc client makes a topic"
    assert asked in told(ONE_BROKER, **sent, cluster=ClusterNeeds(topics=2, late_topics=1))
    assert told(ONE_BROKER, "java", **sent, cluster=ClusterNeeds(topics=2, late_topics=1)) == ""
    assert told(ONE_BROKER, **sent, cluster=ClusterNeeds(topics=2)) == ""
    waits = {"load": (produce(topic=1),)}
    assert told(ONE_BROKER, **waits, cluster=ClusterNeeds(topics=2, late_topics=1)) == "", "made by a step meanwhile"


def test_a_broker_holds_no_connection_of_it() -> None:
    look = {"steps": plan(at(1, Kill(target="client/p-1"), until=2), at(3, AwaitDropped(who="p-1", since="kill")))}
    assert "no broker holds a connection of the grpc client" in told(ONE_BROKER, **look)
    assert told(ONE_BROKER, "java", **look) == ""


@pytest.mark.parametrize("client", ["java:4.9.7", "remoting"])
@pytest.mark.parametrize("fault", [Kill(target=ALL_PROXIES), Partition(sources=ALL_PROXIES, sinks=nameserver(0))])
def test_what_befalls_proxies_is_put_to_nobody_else(client: str, fault: Any) -> None:
    name = client.partition(":")[0]
    assert f"the {name} client does not talk to proxies" in told(PROXIED, client, **hurting(fault))
    assert told(PROXIED, client, **hurting(isolate(nameserver(0)))) == ""


@pytest.mark.parametrize("fault", [Kill(target=proxy(1)), Partition(sources=proxy(1), sinks=nameserver(0))])
def test_a_fault_of_one_proxy_alone_may_hit_the_one_that_nobody_uses(fault: Any) -> None:
    gates = {"rules": rules(forbid("lost")), "load": (produce(client="grpc"),)}
    with pytest.raises(UsageError, match=r"proxy-2 is hurt and proxy-1 is not, .*: hurt each of them in turn"):
        preflight.check(Scenario(name="s", **hurting(fault, **gates)), PROXIED)
    preflight.check(Scenario(name="s", **hurting(fault, Kill(target=proxy(0)), **gates)), PROXIED)
    preflight.check(Scenario(name="s", **hurting(isolate(nameserver(0)), **gates)), PROXIED)


def test_a_control_on_a_cluster_without_proxies_is_not_for_it() -> None:
    assert "2m-noslave has none" in told(PROXIED, cluster=ClusterNeeds(topology="2m-noslave"))
