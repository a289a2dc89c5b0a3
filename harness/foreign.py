"""What a run on a cluster that somebody else runs needs: clients, hooks, and leave to make topics there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from harness.cluster.discovery import discover, try_topic
from harness.cluster.notes import clean_notes, notes
from harness.core.errors import UsageError
from harness.core.wording import several
from harness.distribution import Jre, Release, obtain_client, obtain_cpp, obtain_grpc, obtain_jre
from harness.lodging import Equipment
from harness.runtime.base import OPEN_LOAD, SLAVE_READS, Runtime
from harness.runtime.existing import ExistingRuntime, missing_here
from harness.runtime.hooks import Target
from harness.settings import Settings
from harness.topology import Role
from harness.topology.found import Found
from harness.waiting import wait_for
from harness.workloads.crew import ClientKit

DEFAULT_CLIENT: Final = "4.9.7"
NOTES: Final = "foreign"
"""Where, below the state directory, it is noted what runs have made on clusters of others."""
AS_FOUND_S: Final = 60.0
"""A node that a scenario left in the middle of its start is back by then."""
_UNBOUNDED: Final = "its load is bounded by the cluster alone, which others use as well"


def obtain_kit(settings: Settings) -> ClientKit:
    """What client workers are made of. Raises SetupError where it cannot be had."""
    name, _, version = settings.client.partition(":")
    jars = obtain_client(version or DEFAULT_CLIENT, settings.cache) if name == "java" else ()
    # The client's JVM lives inside a worker: it runs on the installed runtime, whatever Java the nodes run on.
    client_jre = obtain_jre("25", settings.cache)
    cpp = obtain_cpp(settings.cache) if name == "cpp" else None
    grpc = obtain_grpc(settings.cache) if name == "grpc" else None
    return ClientKit(client=name, version=version or DEFAULT_CLIENT, jars=jars, jre=client_jre, cpp=cpp, grpc=grpc)


def adopt(settings: Settings, found: Found, say: Callable[[str], None]) -> Equipment:
    """Everything for runs on a cluster that is there. Raises UsageError where it refuses to make a topic."""
    for note in notes(settings.state / NOTES):
        if not note.live:
            say(f"run {note.run_id} left {note.prefix}* on a cluster: `rmq-harness clean` removes it")
    shape = found.topology
    say(
        f"RocketMQ {found.version} as it is: {several(shape.masters, 'master')}, {several(shape.slaves, 'slave')}, "
        f"{several(shape.nameservers, 'nameserver')}, {shape.flush.upper()}_FLUSH"
        + (f", {shape.replication} replication" if shape.slaves else "")
    )
    if found.waits_for_nobody:
        say("its SYNC_MASTERs wait for no slave (inSyncReplicas=1), so what is promised of it is what ASYNC_MASTERs do")
    for node, why in found.closed.items():
        say(f"{node} will not be read: {why}")
    kit = obtain_kit(settings)
    try_topic(found, settings.state / NOTES)
    capabilities = {**missing_here(settings.hooks), OPEN_LOAD: _UNBOUNDED, **found.otherwise}
    if found.closed:
        capabilities[SLAVE_READS] = next(iter(found.closed.values()))
    return Equipment(
        release=Release(str(found.version), found.version),
        jre=Jre(settings.java, 0, settings.java, "", Path(), Path(), Path()),
        kit=kit,
        capabilities=capabilities,
        open_runtime=partial(_open, found, settings.hooks),
    )


def _open(found: Found, hooks: Mapping[str, str], **places: Any) -> Runtime:
    """The runtime of one scenario. Raises `WaitTimeout` if the cluster is not what it was at the beginning.

    What is promised of it, and what is not asked of it, was drawn from that.
    """
    nameservers = [found.places[node.name] for node in found.topology.of_role(Role.NAMESERVER)]
    said: list[str] = []

    def as_found() -> bool:
        try:
            same = discover(nameservers) == found
        except UsageError as error:
            said.append(str(error))
            return False
        said.append("its shape, flush, replication, release or places are others now")
        return same

    what = "the cluster to be what it was when the run began"
    wait_for(as_found, what=what, timeout_s=AS_FOUND_S, poll_s=1.0, last_seen=lambda: said[-1])
    return ExistingRuntime.open(targets_of(found), hooks, **places)


def targets_of(found: Found) -> dict[str, Target]:
    """Every node of the cluster with what a hook's placeholders stand for."""
    return {
        node.name: Target(
            node.name,
            found.places[node.name],
            node.broker_name or "",
            "" if node.role is Role.NAMESERVER else str(node.broker_id),
        )
        for node in found.topology.nodes
    }


def clean_foreign(state: Path) -> tuple[list[str], bool]:
    """Removes what dead runs left on clusters of others; one line each, and whether nothing stays there."""
    said: list[str] = []
    whole = clean_notes(state / NOTES, said.append)
    return said, whole
