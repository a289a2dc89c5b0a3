"""Waiting until something is seen of the cluster. Every wait has a deadline, and notices a node that dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from harness.cluster.looks import Looks, ProbeWrite
from harness.cluster.observed import refuse_dead
from harness.cluster.plan import ClusterPlan, TopicSpec
from harness.cluster.provision import Provision
from harness.cluster.proxies import Proxies
from harness.cluster.roster import Roster
from harness.core.errors import WireError
from harness.runtime.base import Runtime
from harness.waiting import wait_for
from harness.wire.sync import Admin

T = TypeVar("T")

KICK_S = 0.5
_POLL_S = 0.03


class Readiness:
    """The waits of a bring-up and of a restart."""

    def __init__(
        self, plan: ClusterPlan, runtime: Runtime, admin: Admin, roster: Roster, provision: Provision, looks: Looks
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._admin = admin
        self._roster = roster
        self._provision = provision
        self._looks = looks
        self._proxies = Proxies(runtime, admin, roster)

    def serving(self, proxies: Iterable[str], topics: Iterable[TopicSpec], timeout_s: float) -> None:
        """These proxies take both protocols and route the topics, and none died. Raises `NodeDied`, `WaitTimeout`."""
        nodes, names = tuple(proxies), tuple(topic.name for topic in topics)

        def missing() -> list[str]:
            for node in nodes:
                refuse_dead(self._runtime, node, "its routes were waited for")
            return [problem for node in nodes for problem in self.unserved(node, names, self._roster.broker_names())]

        self._wait(
            lambda: not missing(),
            f"{_names(nodes)} to route {', '.join(names)}",
            timeout_s,
            lambda: "; ".join(missing()[:4]),
            poll_s=0.1,
        )

    def unserved(self, proxy: str, topics: Iterable[str], brokers: Iterable[str]) -> list[str]:
        """What is wrong with a proxy that runs, one line each: see `Proxies`."""
        return self._proxies.problems(proxy, topics, brokers)

    def registered(
        self, nodes: Iterable[str], nameservers: Iterable[str], timeout_s: float, *, kick: bool = False
    ) -> None:
        """Every one of these brokers is registered with every one of these nameservers.

        `kick` has a broker register at once, again and again: it rewrites its configuration file and undoes a wiped
        write permission, so it is for bring-ups only. Raises `NodeDied`, `WaitTimeout`.
        """
        wanted = [(ns, node) for ns in nameservers for node in nodes]
        kicked: dict[str, float] = {}

        def missing() -> list[tuple[str, str]]:
            return [(ns, node) for ns, node in wanted if not self._looks.registered(ns, node)]

        def done() -> bool:
            absent = missing()
            for node in dict.fromkeys(node for _, node in absent):
                refuse_dead(self._runtime, node, "its registration was waited for")
                if kick and time.monotonic() - kicked.get(node, 0.0) > KICK_S:
                    kicked[node] = time.monotonic()
                    self.kick(node)
            return not absent

        self._wait(
            done,
            f"{_names(node for _, node in wanted)} to be registered with {_names(ns for ns, _ in wanted)}",
            timeout_s,
            lambda: "absent: " + ", ".join(f"{node} on {ns}" for ns, node in missing()),
        )

    def kick(self, node: str) -> None:
        """Has a broker register at once, if it answers: it learns its master's addresses from the answer."""
        try:
            self._admin.kick_registration(self._roster.address(node), timeout_s=2.0)
        except WireError:
            # It does not answer yet, or it registers and answers late: the next look tells.
            return

    def known(self, node: str, topics: Iterable[TopicSpec], groups: Iterable[str], timeout_s: float) -> None:
        """This replica knows these topics, with their queues, and groups. Raises `NodeDied`, `WaitTimeout`."""
        wanted = tuple(topics), tuple(groups)

        def done() -> bool:
            refuse_dead(self._runtime, node, "its topics were waited for")
            return not self.unknown(node, *wanted)

        self._wait(
            done,
            f"{node} to know the topics and groups",
            timeout_s,
            lambda: "unknown: " + ", ".join(self.unknown(node, *wanted)),
            poll_s=0.2,
        )

    def unknown(self, node: str, topics: Iterable[TopicSpec], groups: Iterable[str]) -> list[str]:
        """Which of these topics and groups the replica does not know, or not with as many queues."""
        known_topics = self._looks.topics(node) or {}
        absent = [t.name for t in topics if int(known_topics.get(t.name, {}).get("readQueueNums", 0)) < t.queues]
        members = tuple(groups)
        known_groups = (self._looks.groups(node) or {}) if members else {}
        return absent + [f"group {group}" for group in members if group not in known_groups]

    def routed(self, topics: Iterable[TopicSpec], nameservers: Iterable[str], timeout_s: float) -> None:
        """Every topic is routed to every master, readable and writable as declared, on each nameserver."""
        specs = tuple(topics)
        names = tuple(spec.name for spec in specs)
        pairs = [(ns, broker) for ns in nameservers for broker in self._roster.broker_names()]

        def missing() -> list[str]:
            absent = []
            for ns, broker in pairs:
                perms = self._looks.permissions(ns, broker, names) or {}  # until it answers, nothing is seen
                absent += [f"{s.name} of {broker} on {ns}" for s in specs if perms.get(s.name) != s.perm]
            return absent

        self._wait(
            lambda: not missing(),
            f"topics {', '.join(names)} to be routed",
            timeout_s,
            lambda: "not routed: " + ", ".join(missing()[:6]),
        )

    def elected(self, broker: str, timeout_s: float) -> None:
        """A group of members has a master, by its own word and every nameserver's, and the others are registered."""
        members = self._roster.replicas(broker)

        def missing() -> list[str]:
            for node in members:
                refuse_dead(self._runtime, node, f"the election of {broker} was waited for")
            return self._looks.unelected(broker)

        self._wait(
            lambda: not missing(),
            f"{broker} to have elected its master",
            timeout_s,
            lambda: "; ".join(missing()),
            poll_s=0.1,
        )

    def slaves_attached(self, broker: str, timeout_s: float) -> None:
        """A 5.x master counts every slave as in sync. 4.x and DLedger do not say: there a write must prove it."""
        master, slaves = self._roster.master(broker), self._roster.slaves(broker)
        if not slaves or self._provision.outfits[master].version.major < 5 or self._roster.topology.replicates_itself:
            return

        def done() -> bool:
            for node in (master, *slaves):
                refuse_dead(self._runtime, node, f"the replication of {broker} was waited for")
            status = self._looks.ha_status(master)
            return status is not None and status.in_sync_slaves >= len(slaves)

        what = f"{len(slaves)} slaves of {broker} in sync"
        self._wait(done, what, timeout_s, lambda: str(self._looks.ha_status(master)), poll_s=0.1)

    def written(self, broker: str, timeout_s: float) -> ProbeWrite:
        """One write to the master acknowledged with SEND_OK, read back, and copied to every slave."""
        master = self._roster.master(broker)
        seen: list[ProbeWrite] = []

        def done() -> bool:
            refuse_dead(self._runtime, master, "a write was waited for")
            seen.append(self._looks.probe_write(master))
            return seen[-1].ok

        self._wait(
            done,
            f"a write to {master} to be acknowledged and read back",
            timeout_s,
            lambda: f"the write {seen[-1].text}",
        )
        for slave in self._roster.slaves(broker):
            self._copied(slave, seen[-1], timeout_s)
        return seen[-1]

    def _copied(self, slave: str, written: ProbeWrite, timeout_s: float) -> None:
        def done() -> bool:
            refuse_dead(self._runtime, slave, "its copy of a write was waited for")
            return self._looks.holds(slave, written)

        self._wait(
            done,
            f"{slave} to have what was written to {written.node}",
            timeout_s,
            lambda: f"not there; its log ends at {self._looks.log_end(slave)}",
        )

    def _wait(
        self,
        done: Callable[[], T | None],
        what: str,
        timeout_s: float,
        last: Callable[[], str],
        poll_s: float = _POLL_S,
    ) -> T:
        return wait_for(done, what=what, timeout_s=timeout_s, poll_s=poll_s, last_seen=last)


def _names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
