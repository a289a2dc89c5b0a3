"""What can be seen to be wrong with a scenario before a cluster is started for it: names that stand for nothing.

A slip in a control, in a heal or in a demand would otherwise be told when the load has run, or pass for "nothing seen".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from harness.checkers.metrics import validate
from harness.core.errors import UsageError
from harness.core.expectation import Forbid, Rules
from harness.core.names import DRAIN
from harness.faults.select import select
from harness.planning import topology_of
from harness.scenario import Heal, Inject, Look, Scenario
from harness.topology import Role, Topology
from harness.workloads.load import Load, Produce
from harness.workloads.probes import AwaitRoutes

SELECTORS: Final = frozenset({"target", "on", "sources", "sinks", "of"})
"""Fields of faults and looks that say which nodes are meant."""

_OF_FAULTS: Final = frozenset({"window"})
_OF_STEPS: Final = frozenset({"sent_after", "sent_before", "during"})
_OF_OBSERVATIONS: Final = frozenset({"first", "second", "lag", "after"})
"""Parameters of finders and metrics that are names; `name` is one of what was observed, but for `step_s`."""

_OBSERVED_BY_THE_RUN: Final = ("healthy.", "oracle.", DRAIN)


@dataclass(frozen=True, slots=True)
class _Declared:
    """The nodes that a topology and a load will have, by name."""

    topology: Topology
    loads: Sequence[Load]

    def nameservers(self) -> Sequence[str]:
        """See `Nodes`."""
        return [node.name for node in self.topology.of_role(Role.NAMESERVER)]

    def masters(self) -> Sequence[str]:
        """See `Nodes`."""
        return [node.name for node in self.topology.of_role(Role.MASTER)]

    def slaves(self) -> Sequence[str]:
        """See `Nodes`."""
        return [node.name for node in self.topology.of_role(Role.SLAVE)]

    def clients(self) -> Sequence[str]:
        """See `Nodes`; also those that a step will start."""
        return [
            f"{load.name}-{n}"
            for load in self.loads
            for n in range(1, (load.producers if isinstance(load, Produce) else load.size) + 1)
        ]


def check(scenario: Scenario, declared: Topology) -> None:
    """Raises UsageError naming the scenario, the slip and what there is; `declared` is what the options ask for."""
    try:
        validate(scenario.rules)
        _check_heals(scenario)
        _check_names(scenario.rules, scenario)
        _check_targets(scenario, _Declared(topology_of(scenario.cluster, declared), scenario.loads()))
    except UsageError as slip:
        raise UsageError(f"scenario {scenario.name}: {slip}") from None


def _check_heals(scenario: Scenario) -> None:
    begun: list[str] = []
    for step in scenario.steps:
        if isinstance(step.act, Inject):
            begun.append(step.name)
        elif isinstance(step.act, Heal) and step.act.name not in begun:
            raise UsageError(
                f"heal({step.act.name!r}) heals no fault that was injected before it; there are {_or_none(begun)}"
            )


def _check_names(rules: Rules, scenario: Scenario) -> None:
    faults, steps = scenario.faults(), [step.name for step in scenario.steps]
    observed = list(_observations(scenario))
    for demand in (*rules.expectations, *rules.gates.also, *rules.gates.preconditions):
        what = demand.anomaly if isinstance(demand, Forbid) else demand.metric
        for key, value in demand.params.items():
            if not isinstance(value, str):
                continue
            if key in _OF_FAULTS and value not in faults:
                raise UsageError(f"{what} of {key}={value!r}: no fault has that name; there are {_or_none(faults)}")
            if (key in _OF_STEPS or (key, what) == ("name", "step_s")) and value not in steps:
                raise UsageError(f"{what} of {key}={value!r}: no step has that name; there are {_or_none(steps)}")
            reads = key in _OF_OBSERVATIONS or (key == "name" and what == "observed")
            if reads and not _is_observed(value, observed):
                raise UsageError(f"{what} of {value!r}: no look records that; there are {_or_none(observed)}")


def _observations(scenario: Scenario) -> Iterator[str]:
    """The names under which the looks of this scenario record what they see."""
    for step in scenario.steps:
        if isinstance(step.act, Look):
            yield step.name
            if isinstance(step.act.probe, AwaitRoutes):
                yield from step.act.probe.watches


def _is_observed(name: str, observed: Iterable[str]) -> bool:
    return name.startswith(_OBSERVED_BY_THE_RUN) or any(name == one or name.startswith(f"{one}.") for one in observed)


def _check_targets(scenario: Scenario, nodes: _Declared) -> None:
    for step in scenario.steps:
        for selector in _selectors(step.act):
            try:
                select(selector, nodes)
            except UsageError as error:
                raise UsageError(f"step {step.name!r}: {error}") from None


def _selectors(value: Any) -> Iterator[str]:
    """Every selector in a step, however deep."""
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            inner = getattr(value, field)
            if field in SELECTORS and isinstance(inner, str):
                yield inner
            else:
                yield from _selectors(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _selectors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _selectors(inner)


def _or_none(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
