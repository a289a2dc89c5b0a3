"""What can be seen to be wrong with a scenario before a cluster is started for it: names that stand for nothing.

A slip in a control, in a heal or in a demand would otherwise be told when the load has run, or pass for "nothing seen".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from harness.checkers.metrics import validate
from harness.clients.outcome import TABLE
from harness.core.errors import UsageError
from harness.core.expectation import Forbid, Rules
from harness.core.names import DRAIN, RESTART_FAILED
from harness.declared import Declared, fields_of
from harness.faults.links import LinkFault
from harness.faults.select import SELECTORS, select
from harness.planning import groups_of, names_of_topics, topology_of
from harness.scenario import Heal, Inject, Look, Scenario
from harness.topology import Topology
from harness.topology.links import behind
from harness.unnoticed import check_proxies
from harness.workloads.load import Produce, is_called, workers_of
from harness.workloads.probes import (
    AwaitDropped,
    AwaitRoute,
    AwaitRoutes,
    Join,
    MakeTopics,
    Probe,
    ReadBack,
    SendDirect,
    StopLoad,
    TakeTurns,
)

_OBSERVED_BY_THE_RUN: Final = ("healthy.", "oracle.", DRAIN, RESTART_FAILED)
_PROBE: Final = "probe-"
"""How the oracle's own sends are called."""
_STATUSES: Final = frozenset({rule.name for rule in TABLE if rule.kind != "code"} | {"MQBrokerException"})


def check(scenario: Scenario, declared: Topology) -> None:
    """Raises UsageError naming the scenario, the slip and what there is; `declared` is what the options ask for."""
    topology = topology_of(scenario.cluster, declared)
    nodes = Declared(topology, scenario.loads())
    try:
        validate(scenario.rules)
        _check_newcomers(scenario, topology)
        _check_links(scenario, topology)
        _check_heals(scenario)
        _check_load(scenario, nodes)
        _check_names(scenario.rules, _named(scenario, nodes))
        _check_fields(scenario, nodes)
        _check_targets(scenario, nodes)
        _check_link_faults(scenario, topology, nodes)
        check_proxies(scenario, nodes)
    except UsageError as slip:
        raise UsageError(f"scenario {scenario.name}: {slip}") from None


def _check_heals(scenario: Scenario) -> None:
    begun: list[str] = []
    for step in scenario.steps:
        if isinstance(step.act, Inject):
            begun.append(step.name)
        elif isinstance(step.act, Heal):
            if step.act.name not in begun:
                there = _or_none(begun)
                raise UsageError(f"heal({step.act.name!r}) heals no fault that is in force then; there are {there}")
            begun.remove(step.act.name)


def _check_newcomers(scenario: Scenario, topology: Topology) -> None:
    """Who joins and which topics come later are there to come; the first broker name and topic always are."""
    needs, brokers = scenario.cluster, len(topology.brokers)
    for number in needs.joining:
        if not 0 < number < brokers:
            raise UsageError(f"joining {number}: one of 1 to {brokers - 1} can join, {topology.name} has {brokers}")
    if not 0 <= needs.late_topics < needs.topics:
        raise UsageError(f"late_topics {needs.late_topics}: fewer than all {needs.topics} topics can be late")
    absent = list(needs.joining)
    for step in scenario.steps:
        probe = step.act.probe if isinstance(step.act, Look) else None
        if isinstance(probe, Join):
            if probe.broker not in absent:
                told = _or_none(map(str, absent))
                raise UsageError(f"step {step.name!r}: broker {probe.broker} is there already; left to join are {told}")
            absent.remove(probe.broker)
        wrong = [n for n in probe.topics if not 0 <= n < needs.topics] if isinstance(probe, MakeTopics) else []
        if wrong:
            raise UsageError(f"step {step.name!r}: topic {wrong[0]}, there are {needs.topics}, counted from 0")


def _check_links(scenario: Scenario, topology: Topology) -> None:
    """Where links are asked for there are nodes that can have them, from the start."""
    for kind in scenario.cluster.links:
        if not behind(kind, topology):
            raise UsageError(f"links {kind!r}: no node of {topology.name} can have one")
    if scenario.cluster.links and scenario.cluster.joining:
        raise UsageError(f"links with joining {scenario.cluster.joining}: a link stands before what is there at first")


def _check_link_faults(scenario: Scenario, topology: Topology, nodes: Declared) -> None:
    """What hurts links finds them."""
    for step in scenario.steps:
        fault = step.act.fault if isinstance(step.act, Inject) else None
        if not isinstance(fault, LinkFault):
            continue
        there = behind(fault.link, topology) if fault.link in scenario.cluster.links else ()
        without = [node for node in select(fault.target, nodes) if node not in there]
        if without:
            raise UsageError(
                f"step {step.name!r}: no {fault.link} link stands before {without[0]}; there are {_or_none(there)} "
                f"(ClusterNeeds(links=...))"
            )


def _check_load(scenario: Scenario, nodes: Declared) -> None:
    """What is counted or stopped is there, and what is sent to one broker only has that broker."""
    clients = nodes.clients()
    for name in {node.name for node in nodes.topology.nodes} & set(clients):
        raise UsageError(
            f"a worker and a node of {nodes.topology.name} are both called {name}: name the load otherwise"
        )
    for load in nodes.loads:
        missing = [n for n in getattr(load, "only_brokers", ()) if not 0 <= n < len(nodes.masters())]
        if missing:
            raise UsageError(f"load {load.name!r}: only_brokers {missing[0]}, there are {len(nodes.masters())}, from 0")
    producers = [name for load in nodes.loads if isinstance(load, Produce) for name in workers_of(load)]
    senders = [load.name for load in nodes.loads if isinstance(load, Produce)]
    for step in scenario.steps:
        probe = step.act.probe if isinstance(step.act, Look) else None
        for name in (probe.first, probe.second) if isinstance(probe, TakeTurns) else ():
            if name not in senders:
                raise UsageError(f"step {step.name!r}: no producers are called {name!r}; there are {_or_none(senders)}")
        who = probe.name if isinstance(probe, StopLoad) else getattr(probe, "who", None)
        if isinstance(probe, AwaitDropped) and who not in producers:
            raise UsageError(f"step {step.name!r}: {who!r} is no producer; there are {_or_none(producers)}")
        if who is not None and not any(is_called(name, who) for name in clients):
            raise UsageError(f"step {step.name!r}: no worker is called {who!r}; there are {_or_none(clients)}")


def _named(scenario: Scenario, nodes: Declared) -> dict[str, tuple[str, Sequence[str]]]:
    """Parameter of finders and metrics -> what it names, and which of these the scenario has."""
    faults = scenario.faults()
    looks = [step.name for step in scenario.steps if isinstance(step.act, Look)]
    probes = [step.act.probe for step in scenario.steps if isinstance(step.act, Look)]
    observed = [name for name, _ in _observations(scenario)]
    turn = ("fault or look", (*faults, *looks))
    status = ("status or exception", sorted(_STATUSES))
    return {
        "window": ("fault", faults),
        "sent_after": turn,
        "sent_before": turn,
        "during": ("look", looks),
        "after": ("observation", observed),
        "first": ("observation", observed),
        "second": ("observation", observed),
        "lag": ("observation", observed),
        "name": ("observation", observed),
        "step": ("look", looks),
        "broker": ("broker", [group.name for group in nodes.topology.brokers]),
        "group": ("consumer group", groups_of(scenario)),
        "phase": ("phase that is read back", ("final", *(p.phase for p in probes if isinstance(p, ReadBack)))),
        "process": ("worker", (*nodes.clients(), _PROBE)),
        "replicas": ("replica", (*_roles(nodes.topology), *nodes.masters(), *nodes.slaves())),
        "topic": ("topic", (*names_of_topics(scenario), *_named_topics(probes))),
        "status": status,
        "statuses": status,
    }


def _roles(topology: Topology) -> tuple[str, ...]:
    """What replicas may be called by role: where masters are elected nobody is one for the whole of a history."""
    if topology.elects:
        return ()
    return ("master", "slave") if topology.slaves else ("master",)


def _named_topics(probes: Iterable[Probe]) -> Iterator[str]:
    """Topics beside the scenario's own that a step reads or sends to by name."""
    for probe in probes:
        yield from getattr(probe, "topics", ()) if isinstance(probe, ReadBack) else ()
        if isinstance(probe, SendDirect) and probe.topic_name is not None:
            yield probe.topic_name


def _check_names(rules: Rules, named: Mapping[str, tuple[str, Sequence[str]]]) -> None:
    for demand in (*rules.expectations, *rules.gates.also, *rules.gates.preconditions):
        what = demand.anomaly if isinstance(demand, Forbid) else demand.metric
        for key, value in demand.params.items():
            kind, known = named.get("step" if (key, what) == ("name", "step_s") else key, ("", ()))
            for name in [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else ():
                if kind and not _stands_for_something(str(name), kind, known):
                    raise UsageError(f"{what} of {key}={name!r}: no {kind} is called that; there are {_or_none(known)}")


def _check_fields(scenario: Scenario, nodes: Declared) -> None:
    """A demand on an observation asks for a field that such a look has."""
    rules, seen = scenario.rules, dict(_observations(scenario))
    for demand in (*rules.expectations, *rules.gates.also, *rules.gates.preconditions):
        if isinstance(demand, Forbid) or demand.metric != "observed":
            continue
        whole = str(demand.params.get("name", ""))
        of = max((name for name in seen if whole.startswith(f"{name}.")), key=len, default=None)
        fields = None if of is None else seen[of]
        if of is None or fields is None:
            continue
        field = whole.removeprefix(f"{of}.").partition(".")[0]
        if field not in fields and field not in nodes.nameservers():
            told = _or_none(sorted(fields))
            raise UsageError(f"observed({whole!r}): {of!r} has no field {field!r}; there are {told}")


def _stands_for_something(name: str, kind: str, known: Sequence[str]) -> bool:
    if kind == "worker":  # a prefix
        return name.startswith(_PROBE) or any(one.startswith(name) for one in known)
    if kind == "topic":  # a prefix, too
        return any(one.startswith(name) for one in known)
    if kind == "observation":
        return name.startswith(_OBSERVED_BY_THE_RUN) or any(name == one or name.startswith(f"{one}.") for one in known)
    return name in known


def _observations(scenario: Scenario) -> Iterator[tuple[str, frozenset[str] | None]]:
    """The names under which the looks of this scenario record what they see, and its fields (None: not known)."""
    for step in scenario.steps:
        if isinstance(step.act, Look):
            yield step.name, step.act.probe.SEEN
            if isinstance(step.act.probe, AwaitRoutes):
                yield from ((name, AwaitRoute.SEEN) for name in step.act.probe.watches)


def _check_targets(scenario: Scenario, nodes: Declared) -> None:
    for step in scenario.steps:
        for since in fields_of(step.act, frozenset({"since"})):
            if since not in scenario.faults():
                there = _or_none(scenario.faults())
                raise UsageError(f"step {step.name!r}: since {since!r}: no fault has that name; there are {there}")
        for selector in fields_of(step.act, SELECTORS):
            try:
                select(selector, nodes)
            except UsageError as error:
                raise UsageError(f"step {step.name!r}: {error}") from None


def _or_none(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
