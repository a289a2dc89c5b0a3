"""Which scenarios may run one after another on one cluster, and under which names.

A scenario shares if nothing that it does outlives it but processes that were started again, and nothing that it looks
at was made by others: each has topics and groups of its own, which are in every store from the bring-up on. That it
left the cluster clean is seen, not assumed (see `pool`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness.cluster import TopicSpec
from harness.cluster.notes import OF_GROUPS
from harness.core.names import DRAIN
from harness.core.tenants import prefix
from harness.faults import Kill, Partition, Pause, Stop
from harness.planning import groups_of, names_of_topics
from harness.scenario import ClusterNeeds, Inject, Look, Scenario
from harness.topology import Topology
from harness.workloads import probes
from harness.workloads.load import Consume, Produce

TENANTS: Final = 5
"""So many scenarios at most run on one cluster: what goes wrong has few others to be blamed on."""
MENDED: Final = (Kill, Stop, Pause, Partition)
"""Faults after which a whole cluster is as good as one that never had them."""
PRESENT: Final = (
    probes.AwaitAnswer,
    probes.AwaitCount,
    probes.AwaitDelivered,
    probes.AwaitDropped,
    probes.AwaitHealthy,
    probes.AwaitKnown,
    probes.AwaitRoute,
    probes.AwaitRoutes,
    probes.Elapse,
    probes.ReadBack,
    probes.Registered,
    probes.Same,
    probes.SendDirect,
    probes.Snapshot,
    probes.StartLoad,
    probes.StopLoad,
    probes.TakeTurns,
    probes.Writable,
)
"""Probes that look at what is now and at nothing that others did before: not at logs, files and indexes."""
_SPARE: Final = TopicSpec("topic-0", ClusterNeeds().queues)
_GROUP: Final = Consume().group


def why_alone(scenario: Scenario, topology: Topology) -> str:
    """Why the scenario gets a cluster to itself, before and after it; empty if it may share one."""
    needs = scenario.cluster
    if topology.elects:
        return "who is the master of a group that elects is not what it was at the bring-up"
    if needs.disk_bytes is not None:
        return "its disks are filled, or lose power"
    if needs.links:
        return "links stand before its nodes"
    if needs.joining or needs.late_topics or needs.topics != 1 or needs.queues != _SPARE.queues:
        return "it has its own topics or brokers"
    for step in scenario.steps:
        if why := _why_of_step(step.act):
            return f"{step.name}: {why}"
    gates = scenario.rules.gates
    for demand in (*scenario.rules.expectations, *gates.also, *gates.preconditions):
        if "topic" in demand.params or str(demand.params.get("name", "")).startswith(DRAIN):
            return "it demands something of a topic, or of what a group is owed, by name"
    for load in scenario.loads():
        if isinstance(load, Produce) and (load.mode == "transaction" or load.delay_level):
            return f"load {load.name!r} may leave messages on their way"
        if isinstance(load, Consume) and (load.fail_every or load.group != _GROUP):
            return f"load {load.name!r} may leave messages on their way, or has its own group"
    return ""


def _why_of_step(act: object) -> str:
    if isinstance(act, Inject) and (act.fault.lasting or type(act.fault) not in MENDED):
        return f"{act.fault.kind_name()} is not undone without a trace"
    if isinstance(act, Look) and not isinstance(act.probe, PRESENT):
        return f"{act.probe.kind} looks at more than the present, or changes it"
    named = isinstance(act, Look) and any(getattr(act.probe, key, None) for key in ("topics", "topic_name"))
    return "it names a topic" if named else ""


def spares() -> tuple[tuple[TopicSpec, ...], tuple[str, ...]]:
    """Topics and groups for those that come after the first on a cluster."""
    prefixes = [prefix(tenant) for tenant in range(2, TENANTS + 1)]
    topics = tuple(TopicSpec(word + _SPARE.name, _SPARE.queues) for word in prefixes)
    return topics, tuple(word + _GROUP for word in prefixes)


def as_tenant(scenario: Scenario, tenant: int) -> Scenario:
    """The scenario under the names of the `tenant`-th on its cluster (the first has its own): what is then stored.

    Its topics, and its groups wherever it names one: loads, steps and demands.
    """
    if tenant == 1:
        return scenario
    return under(scenario, prefix(tenant))


def under(scenario: Scenario, word: str) -> Scenario:
    """The scenario with a prefix before its topics and groups, wherever it names one: loads, steps and demands."""
    groups, topics = groups_of(scenario), names_of_topics(scenario)
    names = {"group": {group: word + group for group in groups}}
    names["topic"] = {topic: word + topic for topic in topics} | {
        before + group: before + word + group for before in OF_GROUPS for group in groups
    }
    names["name"] = {DRAIN + group: DRAIN + word + group for group in groups}
    told = _renamed(scenario.model_dump(mode="json"), names)
    return Scenario.model_validate({**told, "cluster": {**told["cluster"], "prefix": word}})


def has_spares_for(scenario: Scenario) -> bool:
    """The names of a scenario that was made a tenant are among the spare ones."""
    topics, groups = spares()
    names = {topic.name for topic in topics}
    return set(names_of_topics(scenario)) <= names and set(groups_of(scenario)) <= set(groups)


def _renamed(value: Any, names: Mapping[str, Mapping[str, str]], key: str = "") -> Any:
    """`names` says, for a key that may hold a name, what stands for which; lists stand for their singular."""
    if isinstance(value, dict):
        return {at: _renamed(part, names, at) for at, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, names, key.removesuffix("s")) for part in value]
    if not isinstance(value, str) or key not in names:
        return value
    if key == "name":  # an observation, or a part of it
        whole, dot, field = value.removeprefix(DRAIN).partition(".")
        return names[key].get(DRAIN + whole, DRAIN + whole) + dot + field if value.startswith(DRAIN) else value
    return names[key].get(value, value)
