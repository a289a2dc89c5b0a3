"""Damage to processes: kill -9, pause, graceful stop."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.core.errors import FaultError, HarnessError
from harness.faults.base import Detail, Fault
from harness.faults.restart import restart
from harness.faults.select import of_clients, select
from harness.runtime.base import HUB, NODE_KILL, NODE_PAUSE, NODE_STOP
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster

RESTART_TIMEOUT_S = 120.0


def listens(cluster: Cluster, node: str) -> bool | None:
    """Whether the node's service port takes a TCP connection, or (False) refuses it; None: no answer in half a second.

    Silence is not refusal: a dead process is seen by its port's refusal, and a node that is merely slow is not dead.
    """
    host, _, port = cluster.address(node).rpartition(":")
    try:
        cluster.runtime.dial(HUB, host, int(port), 0.5).close()
    except ConnectionRefusedError:
        return False
    except (OSError, HarnessError):
        return None
    return True


class ProcessFault(Fault):
    """A fault of whole processes, healed by starting them again over the same store.

    Without `await_health` it is over as soon as they run: for returns that another fault still hampers.
    """

    returns: ClassVar[bool] = True
    """The product must start again over what this fault left."""

    target: str
    await_health: bool = True

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected nodes."""
        return select(self.target, cluster)

    def bites(self, cluster: Cluster) -> bool:
        """Every process is gone, and the ports of those that had one refuse."""
        return all(
            not cluster.runtime.state(node).alive and (node in cluster.clients() or listens(cluster, node) is False)
            for node in self.targets(cluster)
        )

    def undone(self, cluster: Cluster) -> tuple[str, ...]:
        """The nodes of somebody else's cluster that run again."""
        return tuple(node for node in _theirs(self.targets(cluster), cluster) if cluster.runtime.state(node).alive)

    def heal(self, cluster: Cluster) -> Detail:
        """Starts the nodes again. What was seen of one that exited by itself is told under `restart_failed`."""
        failed = {}
        for node in self.targets(cluster):
            if node in cluster.clients() or cluster.runtime.state(node).alive:
                continue
            if not self.returns:
                cluster.start_node(node)
            elif (seen := restart(cluster, node)) is not None:
                failed[node] = seen
        return {"restart_failed": failed} if failed else {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """Every restarted node is registered, in sync and answering; or merely answers, if told so."""
        if self.await_health:
            cluster.wait_healthy(RESTART_TIMEOUT_S)
            return {}
        wait_for(
            lambda: all(listens(cluster, node) for node in self.targets(cluster)),
            what=f"{', '.join(self.targets(cluster))} to take connections",
            timeout_s=RESTART_TIMEOUT_S,
        )
        return {}


def _theirs(nodes: Iterable[str], cluster: Cluster) -> list[str]:
    """Of these, the nodes of a cluster that somebody else runs; none where nodes are the harness's own."""
    return [] if cluster.plan.foreign is None else [node for node in nodes if node not in cluster.clients()]


def ended_on_purpose(faults: Iterable[Fault], cluster: Cluster) -> set[str]:
    """The nodes that do not run because one of these faults, in force now, ended them and is meant to last."""
    ended = {n for f in faults if f.lasting and isinstance(f, ProcessFault) for n in f.targets(cluster)}
    return {node for node in ended if cluster.runtime.state(node).kind != "running"}


def kill_and_wait(cluster: Cluster, nodes: Iterable[str]) -> None:
    """Kill -9 of all of them at once; returns when every one is gone, and its files are nobody's any more."""
    killed = tuple(nodes)
    for node in killed:
        cluster.runtime.signal(node, signal.SIGKILL)
    for node in killed:
        cluster.runtime.wait_exit(node, 10)


class Kill(ProcessFault):
    """kill -9: no farewell, but the page cache survives, so acknowledged bytes must too."""

    kind: Literal["kill"] = "kill"

    def reach(self) -> frozenset[str]:
        """Killing nodes, unless it is of clients alone."""
        return frozenset() if of_clients(self.target) else frozenset({NODE_KILL})

    def inject(self, cluster: Cluster) -> Detail:
        """Signals every target at once."""
        for node in self.targets(cluster):
            cluster.runtime.signal(node, signal.SIGKILL)
        return {}


class Stop(ProcessFault):
    """A graceful stop by SIGTERM, as `mqshutdown` does; recorded if it had to be killed in the end."""

    kind: Literal["stop"] = "stop"
    timeout_s: float = 60.0

    def reach(self) -> frozenset[str]:
        """Stopping nodes, unless it is of clients alone."""
        return frozenset() if of_clients(self.target) else frozenset({NODE_STOP})

    def inject(self, cluster: Cluster) -> Detail:
        """Stops the targets one after the other and waits for each exit."""
        return {node: str(cluster.stop_node(node, self.timeout_s)) for node in self.targets(cluster)}


class Pause(Fault):
    """SIGSTOP: sockets stay open, nothing answers. The hardest death to notice."""

    kind: Literal["pause"] = "pause"
    target: str

    def reach(self) -> frozenset[str]:
        """Pausing nodes, unless it is of clients alone."""
        return frozenset() if of_clients(self.target) else frozenset({NODE_PAUSE})

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected nodes."""
        return select(self.target, cluster)

    def inject(self, cluster: Cluster) -> Detail:
        """Stops every process of the targets."""
        for node in self.targets(cluster):
            cluster.runtime.signal(node, signal.SIGSTOP)
        return {}

    def bites(self, cluster: Cluster) -> bool:
        """All threads of every target are stopped."""
        return all(cluster.runtime.state(node).kind == "stopped" for node in self.targets(cluster))

    def undone(self, cluster: Cluster) -> tuple[str, ...]:
        """The nodes of somebody else's cluster that do not stand still any more."""
        theirs = _theirs(self.targets(cluster), cluster)
        return tuple(node for node in theirs if cluster.runtime.state(node).kind != "stopped")

    def heal(self, cluster: Cluster) -> Detail:
        """Continues them; of somebody else's also one that is silent, as a whole machine that stands still is."""
        theirs = _theirs(self.targets(cluster), cluster)
        for node in self.targets(cluster):
            state = cluster.runtime.state(node)
            if state.alive or (node in theirs and state.kind == "absent"):
                cluster.runtime.signal(node, signal.SIGCONT)
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """Every target is running and the cluster is whole again."""
        for node in self.targets(cluster):
            if not cluster.runtime.state(node).alive:
                raise FaultError(f"{node} died while it was paused")
        cluster.wait_healthy(RESTART_TIMEOUT_S)
        return {}
