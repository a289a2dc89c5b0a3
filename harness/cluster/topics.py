"""Topics and groups on a running cluster, until every replica knows them."""

from __future__ import annotations

from collections.abc import Iterable

from harness.cluster.plan import TopicSpec
from harness.cluster.provision import Provision
from harness.cluster.readiness import Readiness
from harness.cluster.roster import Roster
from harness.wire.sync import Admin


class Topics:
    """Creates what is missing. A topic is made on the master; how a slave comes to know it depends on the release."""

    def __init__(self, admin: Admin, roster: Roster, provision: Provision, readiness: Readiness) -> None:
        self._admin = admin
        self._roster = roster
        self._provision = provision
        self._readiness = readiness

    def ensure(
        self,
        broker: str,
        topics: Iterable[TopicSpec],
        groups: Iterable[str],
        timeout_s: float,
        *,
        on_slaves: bool = True,
    ) -> None:
        """Every replica of a broker name knows these topics and groups; what is missing is created.

        A 4.x slave refuses to be told and looks every 10 s (60 s before 4.8); a 5.x slave looks once a minute but does
        what it is told, so it is told, unless not `on_slaves`: then nobody waits for it. Raises `NodeDied`,
        `WaitTimeout`, `WireError`.
        """
        specs, names = tuple(topics), tuple(groups)
        for node in self._roster.replicas(broker):
            master = node == self._roster.master(broker)
            if not master and not on_slaves:
                continue
            if master or self._provision.outfits[node].version.major >= 5:
                self._tell(node, specs, names)
            self._readiness.known(node, specs, names, timeout_s)

    def _tell(self, node: str, topics: tuple[TopicSpec, ...], groups: tuple[str, ...]) -> None:
        missing = set(self._readiness.unknown(node, topics, groups))
        address = self._roster.address(node)
        for topic in topics:
            if topic.name in missing:
                self._admin.create_topic(
                    address, topic.name, topic.queues, perm=topic.perm, attributes=topic.attributes
                )
        for group in groups:
            if f"group {group}" in missing:
                self._admin.create_group(address, group)
