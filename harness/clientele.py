"""Which clients a run has: those that are named, or all that can be had here and for its topologies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from harness.core.errors import UsageError
from harness.distribution import supported_clients
from harness.distribution.cpplib import none_for, pinned, whose_library
from harness.settings import ALL_CLIENTS, CLIENTS, choice
from harness.topology import Topology


def with_clients(names: Sequence[str], topologies: Sequence[Topology], *, ours: bool = True) -> list[dict[str, Any]]:
    """Topology and client of each part of a run. Raises UsageError for a client that a topology has nothing for.

    Of `all` clients those that cannot be had here, or of a topology, are left out, each with the reason. `ours` is as
    in `check_client`.
    """
    every = list(CLIENTS) if ALL_CLIENTS in names else []
    wanted = list(dict.fromkeys([*(parse_client(n) for n in names if n != ALL_CLIENTS), *every])) or ["java"]
    named = [n for n in wanted if n in names or n not in every]
    for client, topology in product(named, topologies):
        check_client(client, topology, ours=ours)
    absent = {c: why for c in wanted if c not in named and (why := _why_absent(c, topologies))}
    for topology in topologies:
        for client in wanted:
            if client not in (*named, *absent) and (why := lacks_proxies(client, topology)):
                absent[f"{client} on {topology.name}"] = why
    parts = [
        {"topology": topology, "client": client, "absent": absent}
        for topology in topologies
        for client in wanted
        if client not in absent and (client in named or not lacks_proxies(client, topology))
    ]
    return [part | {"one_of_several": len({p["client"] for p in parts}) > 1} for part in parts]


def _why_absent(client: str, topologies: Iterable[Topology]) -> str:
    """Why none of the topologies can be judged with this client on this machine; empty if one can."""
    if client == "cpp" and whose_library() is None:
        return f"its wheel {none_for(pinned())}"
    lacking = [lacks_proxies(client, topology) for topology in topologies]
    return lacking[0] if all(lacking) else ""


def parse_client(value: str) -> str:
    """`java`, `java:VERSION`, `remoting`, `cpp` or `grpc`.

    Raises UsageError, also for a version whose jars are not pinned.
    """
    name, colon, version = value.partition(":")
    if "," in value:
        each = " ".join(f"--client={part.strip()}" for part in value.split(",") if part.strip())
        raise UsageError(f"--client {value!r}: one option names one client: write {each or 'one of them'}")
    if name not in CLIENTS:
        choice("client", value, (*CLIENTS, ALL_CLIENTS))  # which says so
    known = [str(v) for v in supported_clients()]
    if colon and (name != "java" or version not in known):
        names = f"remoting, cpp, grpc, java, or java: and one of {known}"
        raise UsageError(f"--client {value!r} is not supported; choose {names}")
    return value


def check_proxies(runtime: str, topology: Topology, *, upgrade: bool = False) -> None:
    """Raises UsageError for proxies where nodes would not be processes of this machine, or where others are moved."""
    if topology.proxies and upgrade:
        raise UsageError(
            f"{topology.name} has proxies, which no suite moves to another release: "
            "leave --upgrade-from and --upgrade-to out, or take another topology"
        )
    if topology.proxies and runtime != "local":
        raise UsageError(
            f"{topology.name} has proxies, which --runtime {runtime} does not start: "
            "leave that out, or take another topology"
        )


def lacks_proxies(client: str, topology: Topology) -> str:
    """Why the topology has nothing for the client; empty if it has."""
    if client != "grpc" or topology.proxies:
        return ""
    return f"it talks to proxies, and {topology.name} has none"


def check_client(client: str, topology: Topology, *, ours: bool = True) -> None:
    """Raises UsageError for a client that the topology has nothing for; `ours` are clusters that the harness starts."""
    if why := lacks_proxies(client, topology):
        if not ours:
            raise UsageError(f"--client {client}: {why} that --runtime existing would know of: take another client")
        raise UsageError(
            f"--client {client}: {why}: take --topology 2m-2s-sync-proxy, "
            "or a topology file of your own that says proxies: 2"
        )
