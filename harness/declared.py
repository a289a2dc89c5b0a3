"""The nodes and workers that a scenario will have, by name, and what its steps say of them, before one starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from harness.cluster.roster import Roster
from harness.topology import Topology
from harness.workloads.load import Load, workers_of


@dataclass(frozen=True, slots=True)
class Declared:
    """The nodes that a topology and a load will have, by name."""

    topology: Topology
    loads: Sequence[Load]

    @property
    def _roster(self) -> Roster:
        return Roster(self.topology, {})

    def nameservers(self) -> Sequence[str]:
        """See `Nodes`."""
        return self._roster.nameservers()

    def masters(self) -> Sequence[str]:
        """See `Nodes`; where masters are elected, as if the first members were."""
        return self._roster.masters()

    def slaves(self) -> Sequence[str]:
        """See `Nodes`."""
        return self._roster.slaves()

    def brokers(self) -> Sequence[str]:
        """See `Nodes`."""
        return self._roster.brokers()

    def proxies(self) -> Sequence[str]:
        """See `Nodes`."""
        return self._roster.proxies()

    def clients(self) -> Sequence[str]:
        """See `Nodes`; also those that a step will start."""
        return [name for load in self.loads for name in workers_of(load)]


def fields_of(value: Any, names: frozenset[str]) -> Iterator[str]:
    """Every text in a field of one of these names in a step, however deep."""
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            inner = getattr(value, field)
            if field in names and isinstance(inner, str):
                yield inner
            else:
                yield from fields_of(inner, names)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from fields_of(inner, names)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from fields_of(inner, names)
