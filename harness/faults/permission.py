"""Operations that take a broker out of the route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.faults.base import Detail, Fault
from harness.faults.select import select
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster

WRITE = 2


class WipeWritePermission(Fault):
    """`wipeWritePerm` on every nameserver: the broker's queues stop being writable in the route.

    The broker itself goes on accepting: a client with a cached route keeps sending until its next poll.
    """

    kind: Literal["wipe-write-permission"] = "wipe-write-permission"
    target: str

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected masters."""
        return select(self.target, cluster)

    def inject(self, cluster: Cluster) -> Detail:
        """Asks every nameserver, for each is on its own."""
        wiped: dict[str, int] = {}
        for nameserver in cluster.nameservers():
            for node in self.targets(cluster):
                count = cluster.admin.wipe_write_perm(cluster.address(nameserver), cluster.broker_name(node))
                wiped[f"{nameserver}/{node}"] = count
        return {"wiped_topics": wiped}

    def await_effect(self, cluster: Cluster) -> Detail:
        """No nameserver routes a write of the test topics to the broker."""
        self._await(cluster, writable=False)
        return {}

    def heal(self, cluster: Cluster) -> Detail:
        """`addWritePerm` on every nameserver (4.9.2 and later)."""
        for nameserver in cluster.nameservers():
            for node in self.targets(cluster):
                cluster.admin.add_write_perm(cluster.address(nameserver), cluster.broker_name(node))
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """Every nameserver routes writes to it again."""
        self._await(cluster, writable=True)
        return {}

    def _await(self, cluster: Cluster, *, writable: bool) -> None:
        for nameserver in cluster.nameservers():
            for node in self.targets(cluster):
                name = cluster.broker_name(node)
                wait_for(
                    lambda ns=nameserver, name=name: all(
                        bool(perm & WRITE) is writable for perm in cluster.permissions(ns, name).values()
                    ),
                    what=f"{nameserver} to say that {name} is {'writable' if writable else 'not writable'}",
                    timeout_s=30,
                    last_seen=lambda ns=nameserver, name=name: str(cluster.permissions(ns, name)),
                )
