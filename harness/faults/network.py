"""Silent, directional cuts between nodes: packets vanish, nobody is told."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

from harness.faults.base import Detail, Fault
from harness.faults.process import RESTART_TIMEOUT_S
from harness.faults.select import select
from harness.runtime.base import HUB
from harness.topology.links import link_node
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster


class Partition(Fault):
    """Drops what `sources` send to `targets_of`, and the other way too unless `one_way`.

    The cut is made in the sender's namespace, so established connections go silent: no reset, no refusal.
    """

    kind: Literal["partition"] = "partition"
    sources: str
    sinks: str
    one_way: bool = False
    await_health: bool = True

    def needs(self) -> frozenset[str]:
        """A runtime that can cut links."""
        return frozenset({"network-cut"})

    def reach(self) -> frozenset[str]:
        """Nothing of a node itself: the link to it is cut, for which `needs` asks."""
        return frozenset()

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """Every node at either end."""
        return tuple(dict.fromkeys((*select(self.sources, cluster), *select(self.sinks, cluster))))

    def pairs(self, cluster: Cluster) -> tuple[tuple[str, str], ...]:
        """The directed links that are cut, as (sender, receiver)."""
        forward = [(a, b) for a, b in product(select(self.sources, cluster), select(self.sinks, cluster)) if a != b]
        back = [] if self.one_way else [(b, a) for a, b in forward]
        return tuple(dict.fromkeys(forward + back))

    def ways(self, cluster: Cluster) -> tuple[tuple[str, str], ...]:
        """What is cut for that: the pairs and, where a link stands before either end, the way by it."""
        before = {node: link for node in self.targets(cluster) if (link := link_node(node)) in cluster.links.nodes}
        pairs = self.pairs(cluster)
        by_links = [(a, before[b]) for a, b in pairs if b in before] + [(before[a], b) for a, b in pairs if a in before]
        return (*pairs, *by_links)

    def inject(self, cluster: Cluster) -> Detail:
        """Cuts every pair."""
        cluster.runtime.cut(*self.ways(cluster))
        return {"links": [f"{a}->{b}" for a, b in self.pairs(cluster)]}

    def bites(self, cluster: Cluster) -> bool:
        """A datagram sent over each cut link does not arrive; over the way back of a one-way cut it does.

        Each sender reaches the harness's own place and each receiver is reached from it: else the silence might be that
        of a node which sends nothing, or receives nothing at all, and not of the cut.
        """
        cut = set(self.ways(cluster))
        if not cut or any(cluster.runtime.passes(a, b) for a, b in cut):
            return False
        open_ = {(b, a) for a, b in cut} - cut
        able = {(a, HUB) for a, _ in cut} | {(HUB, b) for _, b in cut}
        return all(cluster.runtime.passes(a, b) for a, b in sorted(open_ | able))

    def heal(self, cluster: Cluster) -> Detail:
        """Mends every pair."""
        pairs = self.ways(cluster)
        if pairs:  # without any, heal would mend every cut of the cluster
            cluster.runtime.heal(*pairs)
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """Datagrams pass again, and (unless told otherwise) the cluster is whole again."""
        wait_for(
            lambda: all(cluster.runtime.passes(a, b) for a, b in self.ways(cluster)),
            what=f"packets between {self.sources} and {self.sinks} to arrive again",
            timeout_s=10,
            poll_s=0.02,
        )
        if self.await_health:
            cluster.wait_healthy(RESTART_TIMEOUT_S)
        return {}


def isolate(target: str, *, from_clients: bool = True) -> Partition:
    """Cuts a node off from every other node, and from the clients too unless told otherwise."""
    return Partition(sources=target, sinks="node/*+client/*" if from_clients else "node/*")
