"""Operations that take a broker out of the route."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Literal

from harness.core.version import Version
from harness.faults.base import Detail, Fault
from harness.faults.select import select
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster

WRITE = 2
ADDS_WRITE_PERM = Version(4, 9, 2)
"""The first nameserver that knows `addWritePerm`; an older one does not even answer."""


def may_write(permissions: Mapping[str, int] | None, wanted: Set[str]) -> bool | None:
    """Whether all that a broker has in a route may be written, or nothing of it may (False).

    None if a nameserver did not answer, if one of the `wanted` topics has no route, or if some may and some may not.
    """
    if not permissions or not wanted <= set(permissions):
        return None
    may = {bool(perm & WRITE) for perm in permissions.values()}
    return may.pop() if len(may) == 1 else None


class WipeWritePermission(Fault):
    """`wipeWritePerm` on the nameservers in `on`: the broker's queues stop being writable in their route.

    The broker itself goes on accepting: a client with a cached route keeps sending until its next poll.
    """

    kind: Literal["wipe-write-permission"] = "wipe-write-permission"
    target: str
    on: str = "nameserver/*"

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected masters."""
        return select(self.target, cluster)

    def inject(self, cluster: Cluster) -> Detail:
        """Asks each of the nameservers, for each is on its own."""
        wiped: dict[str, int] = {}
        for nameserver in select(self.on, cluster):
            for node in self.targets(cluster):
                count = cluster.admin.wipe_write_perm(cluster.address(nameserver), cluster.broker_name(node))
                wiped[f"{nameserver}/{node}"] = count
        return {"wiped_topics": wiped}

    def bites(self, cluster: Cluster) -> bool:
        """Each of them answers, routes every topic of the cluster to the broker, and none of them for writing."""
        return self._all(cluster, writable=False)

    def heal(self, cluster: Cluster) -> Detail:
        """`addWritePerm` on each of them; before 4.9.2 there is none, and each topic is told to its master once more.

        That is a change of the topic, which the master tells to every nameserver at once, permission and all.
        """
        for nameserver, node in self._pairs(cluster):
            if cluster.outfit(nameserver).version >= ADDS_WRITE_PERM:
                cluster.admin.add_write_perm(cluster.address(nameserver), cluster.broker_name(node))
            else:
                for topic in cluster.plan.all_topics:
                    cluster.admin.create_topic(cluster.address(node), topic.name, topic.queues, perm=topic.perm)
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """Each of them routes writes to it again."""
        wait_for(
            lambda: self._all(cluster, writable=True),
            what="the nameservers to route writes to " + ", ".join(self.targets(cluster)),
            timeout_s=30,
            last_seen=lambda: str([cluster.permissions(ns, cluster.broker_name(n)) for ns, n in self._pairs(cluster)]),
        )
        return {}

    def _pairs(self, cluster: Cluster) -> list[tuple[str, str]]:
        return [(ns, node) for ns in select(self.on, cluster) for node in self.targets(cluster)]

    def _all(self, cluster: Cluster, *, writable: bool) -> bool:
        """A nameserver that does not answer, and a topic that it does not route at all, are no sign of either."""
        wanted = {topic.name for topic in cluster.plan.topics}
        seen = [cluster.permissions(nameserver, cluster.broker_name(node)) for nameserver, node in self._pairs(cluster)]
        return bool(seen) and all(may_write(perms, wanted) is writable for perms in seen)
