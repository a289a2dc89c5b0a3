"""What a client cannot do of a scenario, or does not tell: found before a cluster is started, and never half judged."""

from __future__ import annotations

from harness.core.errors import ClientLacks
from harness.core.expectation import Forbid
from harness.declared import Declared, fields_of
from harness.faults.select import SELECTORS, select
from harness.planning import topology_of
from harness.scenario import ClusterNeeds, Inject, Scenario
from harness.topology import Topology
from harness.unnoticed import unnoticed
from harness.workloads.abilities import NO_BROKER, lacks, unseen
from harness.workloads.load import Load, Produce


def check_client(scenario: Scenario, declared: Topology, client: str) -> None:
    """Raises ClientLacks with what this client cannot do of it, or does not tell; `client` is as `--client` has it."""
    topology, name = topology_of(scenario.cluster, declared), client.partition(":")[0]
    brokers = len(topology.brokers)
    if name == "grpc" and not topology.proxies:
        raise ClientLacks(f"scenario {scenario.name}: the grpc client talks to proxies, and {topology.name} has none")
    for number, load in enumerate(scenario.loads()):
        reason = lacks(name, load, brokers, later=number >= len(scenario.load))
        if reason is not None:
            raise ClientLacks(f"scenario {scenario.name}, load {load.name!r}: {reason}")
        if name == "grpc" and _makes_its_topic(load, scenario.cluster):
            raise ClientLacks(
                f"scenario {scenario.name}, load {load.name!r}: no send of the grpc client makes a topic: "
                "its proxy asks the nameserver for the topic alone, and not for the one that brokers make others from"
            )
    rules = scenario.rules
    for demand in (*rules.expectations, *rules.gates.also, *rules.gates.preconditions):
        what = demand.anomaly if isinstance(demand, Forbid) else str(demand.params.get("anomaly", demand.metric))
        of_one = demand.params.get("broker") is not None
        if (reason := unseen(name, what, broker=of_one, brokers=brokers)) is not None:
            raise ClientLacks(f"scenario {scenario.name}: {reason}")
    nodes = Declared(topology, scenario.loads())
    if why := unnoticed(scenario, nodes, name):
        raise ClientLacks(f"scenario {scenario.name}, {why}")
    if name == "grpc" and brokers > 1 and (hit := _broker_hit(scenario, nodes)):
        raise ClientLacks(f"scenario {scenario.name}: whether {hit} had anything to lose cannot be seen: {NO_BROKER}")


def _makes_its_topic(load: Load, needs: ClusterNeeds) -> bool:
    """It sends, without a look at the route, to a topic that nobody has made when the cluster is there.

    Source: TopicRouteService of the proxy (5.3.3) has no second try with TBW102, which MQClientInstance has.
    """
    return isinstance(load, Produce) and not load.wait_route and load.topic >= needs.topics - needs.late_topics


def _broker_hit(scenario: Scenario, nodes: Declared) -> str:
    """The first broker that a fault hits; empty if none is hit."""
    faults = (step.act.fault for step in scenario.steps if isinstance(step.act, Inject))
    hit = (node for fault in faults for selector in fields_of(fault, SELECTORS) for node in select(selector, nodes))
    return next((node for node in hit if node in nodes.brokers()), "")
