"""What cluster a scenario needs: the declared topology with what the scenario and the options change, and why."""

from __future__ import annotations

from typing import Final

from harness.cluster import Cluster, ClusterPlan, TopicSpec
from harness.cluster.plan import Foreign
from harness.distribution import Jre, Release, toxiproxy
from harness.runtime.base import IO_ERROR, POWER_CUT, SLOW_DISK, Disk
from harness.scenario import ClusterNeeds, Scenario
from harness.settings import Settings
from harness.topology import Topology, load_topology
from harness.workloads.load import Consume, Produce

TLS_OFF: Final = (
    "-Dtls.server.mode",
    "disabled",
    "permissive",
    "no client of ours uses TLS; making keys costs 10 s of CPU",
)


def cluster_plan(
    scenario: Scenario, settings: Settings, release: Release, jre: Jre, *, upgrade: Release | None = None
) -> ClusterPlan:
    """The cluster that `Cluster` brings up for the scenario; topics and groups exist before the load starts."""
    needs = scenario.cluster
    kept = _insisted_on(needs)
    topology = topology_of(needs, settings.topology)
    wanted = scenario.needs()
    forgets = bool(wanted & {POWER_CUT, IO_ERROR, SLOW_DISK})
    disk = Disk("sized", needs.disk_bytes, forgets, SLOW_DISK in wanted) if needs.disk_bytes else Disk()
    grpc = settings.client == "grpc"
    return ClusterPlan(
        topology=topology,
        release=release,
        upgrade=upgrade,
        jre=jre,
        timers=needs.timers or settings.timers,
        broker_conf={**needs.broker_conf, **{k: v for k, v in settings.broker_conf.items() if k not in kept}},
        namesrv_conf={**needs.namesrv_conf, **settings.namesrv_conf},
        jvm_opts={
            "broker": (*settings.jvm_opts.get("broker", ()), *needs.jvm_opts),
            "namesrv": settings.jvm_opts.get("namesrv", ()),
        },
        topics=tuple(
            TopicSpec(
                name,
                needs.queues,
                late=n >= needs.topics - needs.late_topics,
                attributes=message_type_of(scenario, n) if grpc else None,
            )
            for n, name in enumerate(names_of_topics(scenario))
        ),
        groups=groups_of(scenario),
        fifo_groups=_fifo_groups_of(scenario) if grpc else frozenset(),
        joining=frozenset(topology.brokers[number].name for number in needs.joining),
        disks={node.name: disk for node in topology.nodes if node.is_broker},
        cache=settings.cache,
        train=False,
        foreign=None if settings.found is None else Foreign(settings.found.places, settings.state / "foreign"),
        prefix="" if settings.found is None else needs.prefix,
        links=frozenset(needs.links),
        toxiproxy=toxiproxy.find(settings.cache) if needs.links else None,
    )


def names_of_topics(scenario: Scenario) -> tuple[str, ...]:
    """What the scenario's topics are called, in the order of their numbers."""
    return tuple(f"{scenario.cluster.prefix}topic-{n}" for n in range(scenario.cluster.topics))


def topology_of(needs: ClusterNeeds, declared: Topology) -> Topology:
    """The topology that a scenario runs on: the declared one, or the one it names, with what it changes of it."""
    base = load_topology(needs.topology) if needs.topology else declared
    return varied(base, replication=needs.replication, flush=needs.flush)


def _insisted_on(needs: ClusterNeeds) -> frozenset[str]:
    """The broker's keys on which an option has no last word."""
    if not needs.insists:
        return frozenset()
    varied_keys = {"flushDiskType": needs.flush, "brokerRole": needs.replication}
    return frozenset({*needs.broker_conf, *(key for key, value in varied_keys.items() if value is not None)})


def groups_of(scenario: Scenario) -> tuple[str, ...]:
    """Every group of the load, also of the load that is started later: retry topics must exist beforehand."""
    return tuple(dict.fromkeys(load.group for load in scenario.loads() if isinstance(load, Consume)))


def message_type_of(scenario: Scenario, topic: int) -> str | None:
    """What a topic is to be made for, as the gRPC client will have it (5.x's attribute); None for plain messages.

    A proxy refuses an ordered, delayed or transactional message to a topic that was not made for it.
    """
    kinds = {_kind_of(load) for load in scenario.loads() if isinstance(load, Produce) and load.topic == topic}
    if kinds <= {"NORMAL"}:
        return None
    return f"+message.type={kinds.pop() if len(kinds) == 1 else 'MIXED'}"


def _kind_of(load: Produce) -> str:
    if load.mode in ("orderly", "transaction"):
        return "FIFO" if load.mode == "orderly" else "TRANSACTION"
    return "DELAY" if load.delay_level else "NORMAL"


def _fifo_groups_of(scenario: Scenario) -> frozenset[str]:
    return frozenset(c.group for c in scenario.loads() if isinstance(c, Consume) and c.listener == "orderly")


def varied(topology: Topology, *, replication: str | None, flush: str | None) -> Topology:
    """The topology with another replication or flush: what a product control runs on."""
    changes = {key: value for key, value in (("replication", replication), ("flush", flush)) if value is not None}
    return topology.model_copy(update=changes) if changes else topology


def deviations_of(cluster: Cluster) -> tuple[tuple[str, str, str, str], ...]:
    """What differs from the product's defaults (of a stock cluster: from its own files), each key once.

    The JVMs' own deviation is among it: no TLS key is made, which a stock start would spend ten seconds on. On a
    cluster of others nothing differs by our doing.
    """
    if cluster.plan.foreign is not None:
        return ()
    shipped = {d for _node, outfit in cluster.outfits() for d in outfit.rendered.differences}
    found = {(d.key, d.ours, d.default, d.why) for d in (*cluster.deviations(), *shipped)}
    return tuple(sorted({*found, TLS_OFF}))
