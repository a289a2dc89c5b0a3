"""Faults and looks that a client could not notice whatever it did: what is demanded under them shows nothing.

Of proxies it is moreover not known which one a client uses: gRPC takes whichever it reaches.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.core.errors import UsageError
from harness.faults import Partition
from harness.faults.base import Fault
from harness.faults.select import SELECTORS, Nodes, select
from harness.scenario import Inject, Look, Scenario
from harness.workloads.probes import AwaitDropped


def unnoticed(scenario: Scenario, nodes: Nodes, client: str) -> str:
    """Why a step of the scenario does not concern this client; empty if each does. `client` is its name, no version."""
    return next(_unnoticed(scenario, nodes, client), "")


def check_proxies(scenario: Scenario, nodes: Nodes) -> None:
    """Raises UsageError if the scenario hurts proxies, and not each of them: clients may use the others alone."""
    there = set(nodes.proxies())
    hurt = {node for _, fault in _faults(scenario) for end in _ends(fault, nodes) for node in end} & there
    if hurt and (left := sorted(there - hurt)):
        raise UsageError(
            f"{', '.join(sorted(hurt))} is hurt and {', '.join(left)} is not, and which of them clients use is not "
            "known: hurt each of them in turn, so that the one in use is among them"
        )


def _unnoticed(scenario: Scenario, nodes: Nodes, client: str) -> Iterator[str]:
    proxies, clients = set(nodes.proxies()), set(nodes.clients())
    for name, fault in _faults(scenario):
        ends = _ends(fault, nodes)
        if client != "grpc" and any(end <= proxies for end in ends):
            yield f"{name}: the {client} client does not talk to proxies, and would notice nothing of what befalls them"
        of_clients = len(ends) > 1 and any(end <= clients for end in ends)
        if client == "grpc" and of_clients and not any(end & proxies for end in ends):
            others = ", ".join(sorted(set().union(*ends) - clients))
            yield f"{name}: the grpc client talks to proxies alone, and is not cut off from {others} by any cut"
    for step in scenario.steps:
        if client == "grpc" and isinstance(step.act, Look) and isinstance(step.act.probe, AwaitDropped):
            yield f"{step.name}: no broker holds a connection of the grpc client, whose proxies hold them"


def _faults(scenario: Scenario) -> Iterator[tuple[str, Fault]]:
    yield from ((step.name, step.act.fault) for step in scenario.steps if isinstance(step.act, Inject))


def _ends(fault: Fault, nodes: Nodes) -> list[frozenset[str]]:
    """The nodes that a fault hits; of a cut those at either end of it, which is hurt only between them."""
    if isinstance(fault, Partition):
        return [frozenset(select(end, nodes)) for end in (fault.sources, fault.sinks)]
    selectors = [value for name in sorted(SELECTORS) if isinstance(value := getattr(fault, name, None), str)]
    return [frozenset(node for selector in selectors for node in select(selector, nodes))] if selectors else []
