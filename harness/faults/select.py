"""Which nodes a fault hits, named by role so that a scenario fits every topology that promises its guarantee."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from harness.core.errors import UsageError


class Nodes(Protocol):
    """What a selector needs to know of a cluster: names only."""

    def nameservers(self) -> Sequence[str]:
        """Names of the nameservers, in order."""

    def masters(self) -> Sequence[str]:
        """Names of the masters, in the order of the topology."""

    def slaves(self) -> Sequence[str]:
        """Names of the slaves, in the order of the topology."""

    def brokers(self) -> Sequence[str]:
        """Names of all of them, masters, slaves or members, whoever is which now."""

    def proxies(self) -> Sequence[str]:
        """Names of the proxies, in order."""

    def clients(self) -> Sequence[str]:
        """Names of the client workers that were started."""


def master(index: int = 0) -> str:
    """The master of the index-th broker name; where masters are elected, the one of the instant of the injection."""
    return f"master/{index}"


def slave(index: int = 0) -> str:
    """The index-th slave, counted over all broker names; where masters are elected, a member that is none."""
    return f"slave/{index}"


def nameserver(index: int = 0) -> str:
    """The index-th nameserver."""
    return f"nameserver/{index}"


def proxy(index: int = 0) -> str:
    """The index-th proxy."""
    return f"proxy/{index}"


SELECTORS: Final = frozenset({"target", "on", "sources", "sinks", "of"})
"""Fields of faults and looks that say which nodes are meant."""

ALL_NAMESERVERS = "nameserver/*"
ALL_MASTERS = "master/*"
ALL_SLAVES = "slave/*"
ALL_BROKERS = "broker/*"
ALL_PROXIES = "proxy/*"
ALL_CLIENTS = "client/*"
ALL_NODES = "node/*"


def select(selector: str, nodes: Nodes) -> tuple[str, ...]:
    """The node names a selector stands for: `role/index`, `role/*`, `client/NAME`, or several joined by `+`.

    Raises UsageError when the cluster has no such node: a fault without a target would be a vacuous pass.
    """
    if "+" in selector:
        return tuple(name for part in selector.split("+") for name in select(part, nodes))
    role, _, which = selector.partition("/")
    pool: dict[str, Callable[[], Sequence[str]]] = {
        "nameserver": nodes.nameservers,
        "master": nodes.masters,
        "slave": nodes.slaves,
        "broker": nodes.brokers,
        "proxy": lambda: nodes.proxies(),
        "client": nodes.clients,
        "node": lambda: [*nodes.nameservers(), *nodes.brokers(), *nodes.proxies()],
    }
    if role not in pool or not which:
        raise UsageError(f"target {selector!r}: not a selector; use role/index or role/* with a role of {sorted(pool)}")
    names = tuple(pool[role]())
    if which == "*":
        chosen = names
    elif which.isdigit():
        chosen = names[int(which) : int(which) + 1]
    else:
        chosen = tuple(name for name in names if name == which or name.startswith(which + "-"))
    if not chosen:
        raise UsageError(f"target {selector!r}: this cluster has no such node; it has {', '.join(names) or 'none'}")
    return chosen


def by_role(selector: str) -> bool:
    """Whether it depends on who is a master and who follows one."""
    return any(part.partition("/")[0] in ("master", "slave") for part in selector.split("+"))


def of_clients(selector: str) -> bool:
    """Whether it stands for clients and nobody else."""
    return all(part.partition("/")[0] == "client" for part in selector.split("+"))


def pinned(selector: str, nodes: Nodes) -> str:
    """A selector of the very nodes that this one stands for now, whatever becomes of their roles."""
    clients = set(nodes.clients())
    return "+".join(f"{'client' if name in clients else 'node'}/{name}" for name in select(selector, nodes))
