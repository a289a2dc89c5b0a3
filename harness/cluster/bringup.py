"""The order in which a cluster comes up fastest, per release; every step waits for what it needs to see.

* 4.x registers once at boot and asks again only ten seconds later: nameservers first, until their ports are open. A
  slave that is told its master's HA address attaches at once if that port is open: masters before slaves.
* 5.x fills its list of nameservers in the background: it is made to register until it is seen. Its slaves try the HA
  link once and then five seconds later, and learn its address only from a registration: slaves first, so that the
  masters start while they wait.
* The members of a group that elects are started side by side, and have no master to wait for until they chose one.
* Topics and groups are in every store before its broker starts (see `seed`).
* Proxies come last: one that finds no broker for a topic of its own at its start ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.cluster.lifecycle import Lifecycle
from harness.cluster.observed import Journal
from harness.cluster.plan import ClusterPlan, TopicSpec
from harness.cluster.provision import Provision
from harness.cluster.readiness import Readiness
from harness.cluster.roster import HA_PORT, Roster
from harness.cluster.seed import seed_files, write_seeds
from harness.cluster.topics import Topics
from harness.runtime.base import Runtime
from harness.topology import layout


class BringUpOrder:
    """Starts every node of a plan and returns when the cluster is ready; runs once."""

    def __init__(
        self,
        plan: ClusterPlan,
        runtime: Runtime,
        roster: Roster,
        provision: Provision,
        waits: tuple[Lifecycle, Readiness, Topics],
        journal: Journal,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._roster = roster
        self._provision = provision
        self._lifecycle, self._readiness, self._topics = waits
        self._journal = journal

    def run(self) -> None:
        """Raises `NodeDied` or `WaitTimeout` naming what did not come about."""
        for node in self._all():
            self._provision.outfit(node)
        if self._plan.haste == "naive":
            self._naive()
            return
        version = self._plan.release.version
        write_seeds(
            self._runtime,
            self._roster.brokers(),
            seed_files(
                (*self._plan.all_topics, *self._plan.spare_topics, *self._topics_of_proxies()),
                (*self._plan.groups, *self._plan.spare_groups),
                version,
                fifo=self._plan.fifo_groups,
            ),
        )
        nameservers, brokers = self._roster.nameservers(), self._roster.broker_names()
        self._each(self._start, nameservers)
        if self._roster.topology.elects:
            self._each(self._start, self._roster.brokers())
        else:
            self._each(self._up_5 if version.major >= 5 else self._up_4, brokers)
        self._ready(kick=version.major >= 5)

    def _topics_of_proxies(self) -> tuple[TopicSpec, ...]:
        # A proxy that does not find it makes it on the masters, and each slave learns of it within a minute.
        return (TopicSpec("DefaultHeartBeatSyncerTopic", queues=1),) if self._roster.proxies() else ()

    def _all(self) -> tuple[str, ...]:
        return self._roster.nodes()

    def _naive(self) -> None:
        first = (*self._roster.nameservers(), *self._roster.brokers())
        for node in first:
            self._lifecycle.start(node, listening_timeout_s=None)
            self._journal.say(f"{node} started")
        self._each(self._port, first)
        self._ready(kick=False)

    def _up_4(self, broker: str) -> None:
        master, slaves = self._roster.master(broker), self._roster.slaves(broker)
        self._start(master, HA_PORT if slaves else None)
        self._each(self._start, slaves)
        if slaves:
            self._port(master)

    def _up_5(self, broker: str) -> None:
        self._each(self._start, self._roster.slaves(broker))
        self._start(self._roster.master(broker))

    def _ready(self, *, kick: bool) -> None:
        self._each(lambda broker: self._group_ready(broker, kick=kick), self._roster.broker_names())
        with self._journal.step("topics routed by every nameserver"):
            self._readiness.routed(self._plan.all_topics, self._roster.nameservers(), self._plan.deadline_s)
        if proxies := self._roster.proxies():
            self._each(self._start, proxies)
            with self._journal.step("topics routed by every proxy"):
                self._readiness.serving(proxies, self._plan.all_topics, self._plan.deadline_s)

    def _group_ready(self, broker: str, *, kick: bool) -> None:
        deadline_s = self._plan.deadline_s
        if self._roster.topology.elects:
            with self._journal.step(f"master of {broker} elected"):
                self._readiness.elected(broker, deadline_s)
        for nodes in ((self._roster.master(broker),), self._roster.slaves(broker)):
            if nodes:
                with self._journal.step(f"registered {', '.join(nodes)}"):
                    self._readiness.registered(nodes, self._roster.nameservers(), deadline_s, kick=kick)
        if kick:
            # One that registered by itself may have done so before its master, and would learn of it 10 s later.
            self._each(self._readiness.kick, self._roster.slaves(broker))
        with self._journal.step(f"topics known on {broker}"):
            self._topics.ensure(broker, self._plan.all_topics, self._plan.groups, deadline_s)
        slaves = self._roster.slaves(broker)
        if slaves:
            with self._journal.step(f"slaves attached to {broker}"):
                self._readiness.slaves_attached(broker, deadline_s)
        with self._journal.step(f"written{' and copied' if slaves else ''} on {broker}"):
            self._readiness.written(broker, deadline_s)

    def _start(self, node: str, port: int | None = None) -> None:
        first = (self._roster.nameservers()[0], self._roster.masters()[0], *self._roster.proxies()[:1])
        train = self._plan.train and node in first
        self._lifecycle.start(node, train=train, listening_timeout_s=None)
        self._port(node, port)

    def _port(self, node: str, port: int | None = None) -> None:
        wanted = port or layout.port(self._roster.spec(node))
        with self._journal.step(f"listening {node}:{wanted}"):
            self._lifecycle.wait_port(node, wanted, self._plan.deadline_s)

    def _each(self, act: Callable[[str], Any], names: Iterable[str]) -> None:
        wanted = tuple(names)
        if len(wanted) == 1:
            act(wanted[0])
        elif wanted:
            with ThreadPoolExecutor(max_workers=len(wanted), thread_name_prefix="bring-up") as pool:
                list(pool.map(act, wanted))
