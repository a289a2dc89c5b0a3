"""Which nodes a fault hits, named by role so that a scenario fits every topology that promises its guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.core.errors import UsageError


class Nodes(Protocol):
    """What a selector needs to know of a cluster: names only."""

    def nameservers(self) -> Sequence[str]:
        """Names of the nameservers, in order."""

    def masters(self) -> Sequence[str]:
        """Names of the masters, in the order of the topology."""

    def slaves(self) -> Sequence[str]:
        """Names of the slaves, in the order of the topology."""

    def clients(self) -> Sequence[str]:
        """Names of the client workers that were started."""


def master(index: int = 0) -> str:
    """The master of the index-th broker name."""
    return f"master/{index}"


def slave(index: int = 0) -> str:
    """The index-th slave, counted over all broker names."""
    return f"slave/{index}"


def nameserver(index: int = 0) -> str:
    """The index-th nameserver."""
    return f"nameserver/{index}"


ALL_NAMESERVERS = "nameserver/*"
ALL_MASTERS = "master/*"
ALL_SLAVES = "slave/*"
ALL_BROKERS = "broker/*"
ALL_CLIENTS = "client/*"
ALL_NODES = "node/*"


def select(selector: str, nodes: Nodes) -> tuple[str, ...]:
    """The node names a selector stands for: `role/index`, `role/*`, `client/NAME`, or several joined by `+`.

    Raises UsageError when the cluster has no such node: a fault without a target would be a vacuous pass.
    """
    if "+" in selector:
        return tuple(name for part in selector.split("+") for name in select(part, nodes))
    role, _, which = selector.partition("/")
    pool: dict[str, Sequence[str]] = {
        "nameserver": nodes.nameservers(),
        "master": nodes.masters(),
        "slave": nodes.slaves(),
        "broker": [*nodes.masters(), *nodes.slaves()],
        "client": nodes.clients(),
        "node": [*nodes.nameservers(), *nodes.masters(), *nodes.slaves()],
    }
    if role not in pool or not which:
        raise UsageError(f"target {selector!r}: not a selector; use role/index or role/* with a role of {sorted(pool)}")
    names = tuple(pool[role])
    if which == "*":
        chosen = names
    elif which.isdigit():
        chosen = names[int(which) : int(which) + 1]
    else:
        chosen = tuple(name for name in names if name == which or name.startswith(which + "-"))
    if not chosen:
        raise UsageError(f"target {selector!r}: this cluster has no such node; it has {', '.join(names) or 'none'}")
    return chosen
