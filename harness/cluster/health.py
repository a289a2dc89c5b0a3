"""Everything that is wrong with a cluster now, one line each. Looks only, but for one probe write per master."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

from harness.cluster.looks import Looks, ProbeWrite
from harness.cluster.plan import ClusterPlan
from harness.cluster.provision import Provision
from harness.cluster.readiness import Readiness
from harness.cluster.roster import Roster
from harness.core.errors import WaitTimeout
from harness.runtime.base import Runtime
from harness.topology.links import link_node, places
from harness.waiting import wait_for
from harness.wire.replies import MASTER_ID

COPY_S = 2.0
"""How long a slave may take to have what was written to its master, before that is a problem."""
_THREADS = 8

Check = Callable[[], Iterator[str]]


class HealthCheck:
    """Looks at every node. An empty list proves that each check below found nothing, at one instant each."""

    def __init__(
        self,
        plan: ClusterPlan,
        runtime: Runtime,
        roster: Roster,
        provision: Provision,
        looks: Looks,
        readiness: Readiness,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._roster = roster
        self._provision = provision
        self._looks = looks
        self._readiness = readiness

    def problems(self) -> tuple[str, ...]:
        """Every problem, in a fixed order: processes, network, nameservers, proxies, replicas, replication and writes.

        A broker name whose master does not run, or that has a problem of its own, is not written to.
        """
        down = tuple(self._processes())
        running = [node for node in (*self._roster.nameservers(), *self._roster.brokers()) if self._runs(node)]
        nameservers = [ns for ns in self._roster.nameservers() if ns in running]
        brokers = [node for node in self._roster.brokers() if node in running]
        masters = [b for b in self._roster.broker_names() if self._roster.master(b) in running]
        checks: list[Check] = [self._network]
        checks += [partial(self._nameserver, ns, brokers) for ns in nameservers]
        checks += [partial(self._proxy, proxy, masters) for proxy in self._roster.proxies() if self._runs(proxy)]
        checks += [partial(self._replica, node) for node in brokers]
        checks += [partial(self._replication, broker) for broker in masters]
        with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="health") as pool:
            found = pool.map(lambda check: tuple(check()), checks)
            return (*down, *chain.from_iterable(found))

    def _runs(self, node: str) -> bool:
        return self._runtime.state(node).kind == "running"

    def _processes(self) -> Iterator[str]:
        for node in self._roster.nodes():
            state = self._runtime.state(node)
            if state.kind == "absent":
                yield f"{node} was never started" if self._plan.foreign is None else f"{node} takes no connection"
            elif state.kind != "running":
                yield f"{node} is not running: {state}"
        for node in map(link_node, places(self._plan.links, self._plan.topology)):
            if not self._runs(node):
                yield f"{node} is not running: {self._runtime.state(node)}"

    def _network(self) -> Iterator[str]:
        for source, destination in sorted(self._runtime.cuts()):
            yield f"the network from {source} to {destination} is cut"

    def _nameserver(self, nameserver: str, running: list[str]) -> Iterator[str]:
        roles = self._looks.roles(nameserver)
        if roles is None:
            yield f"{nameserver} does not answer on {self._roster.address(nameserver)}"
            return
        if self._plan.topology.elects:
            yield from self._elected(nameserver, roles, running)
            yield from self._routes(nameserver, running)
            return
        expected = {
            (str(self._roster.spec(node).broker_name), int(self._roster.spec(node).broker_id or 0)): node
            for node in self._roster.brokers()
        }
        for (broker, broker_id), node in expected.items():
            seen, wanted = roles.get(broker, {}).get(broker_id), self._roster.registered_at(node)
            if seen != wanted and node in running:
                yield f"{nameserver} has {node} at {seen or 'no address'} instead of {wanted}"
        for broker, ids in roles.items():
            for broker_id, address in ids.items():
                if (broker, broker_id) not in expected:
                    yield f"{nameserver} has a stranger {broker} id {broker_id} at {address}"
        yield from self._routes(nameserver, running)

    def _elected(self, nameserver: str, roles: Mapping[str, Mapping[int, str]], running: list[str]) -> Iterator[str]:
        """Every running member is registered, the one that is the master by its own word as such, and nobody else."""
        members = {self._roster.address(node): node for node in self._roster.brokers()}
        for broker in self._roster.broker_names():
            ids = roles.get(broker, {})
            master, leader = members.get(ids.get(MASTER_ID, "")), self._looks.leader(broker)
            if master != leader or master not in running:
                yield f"{nameserver} has {master or 'nobody'} for the master of {broker}, which is {leader or 'nobody'}"
            group = [node.name for node in self._plan.topology.group(broker) if node.name in running]
            seen = {members.get(address, address) for address in ids.values()}
            yield from (f"{nameserver} does not have {node}" for node in group if node not in seen)
        for broker, ids in roles.items():
            strangers = [address for address in ids.values() if address not in members]
            yield from (f"{nameserver} has a stranger {broker} at {address}" for address in strangers)

    def _routes(self, nameserver: str, running: list[str]) -> Iterator[str]:
        specs = self._plan.all_topics
        for broker in self._roster.broker_names():
            if self._roster.master(broker) not in running:
                continue
            perms = self._looks.permissions(nameserver, broker, tuple(spec.name for spec in specs))
            if perms is None:
                yield f"{nameserver} does not answer for the routes of {broker}"
                continue
            for spec in specs:
                if perms.get(spec.name) != spec.perm:
                    seen = f"permission {perms[spec.name]}" if spec.name in perms else "no route"
                    yield f"{nameserver} has {seen} for {spec.name} on {broker} instead of permission {spec.perm}"

    def _proxy(self, proxy: str, masters: list[str]) -> Iterator[str]:
        yield from self._readiness.unserved(proxy, tuple(topic.name for topic in self._plan.all_topics), masters)

    def _replica(self, node: str) -> Iterator[str]:
        # Not its runtime figures: 4.x has none in its first second.
        if self._looks.topics(node) is None:
            yield f"{node} does not answer on {self._roster.address(node)}"
            return
        for name in self._readiness.unknown(node, self._plan.all_topics, self._plan.groups):
            yield f"{node} does not know {name}"

    def _replication(self, broker: str) -> Iterator[str]:
        master, slaves = self._roster.master(broker), self._roster.slaves(broker)
        alive = [slave for slave in slaves if self._runs(slave)]
        electing = self._plan.topology.elects
        if not electing and len(alive) < len(slaves) and self._plan.topology.replication == "sync" and not alive:
            yield f"{master} has no slave to acknowledge a write"
            return
        if self._provision.outfits[master].version.major >= 5 and slaves and not self._plan.topology.replicates_itself:
            status = self._looks.ha_status(master)
            if status is None or status.in_sync_slaves < len(slaves):
                seen = "does not answer for its" if status is None else f"counts {status.in_sync_slaves} of"
                yield f"{master} {seen} {len(slaves)} slaves in sync"
                return
        written = self._looks.probe_write(master)
        if not written.ok:
            yield f"a write to {master} {written.text}"
            return
        yield from self._lagging(written, alive)

    def _lagging(self, written: ProbeWrite, slaves: list[str]) -> Iterator[str]:
        for slave in slaves:
            if not self._has_it(slave, written):
                yield f"{slave} lacks what was written to {written.node} {COPY_S:.0f} s before"

    def _has_it(self, slave: str, written: ProbeWrite) -> bool:
        try:
            wait_for(lambda: self._looks.holds(slave, written), what="the copy", timeout_s=COPY_S)
        except WaitTimeout:
            return False
        return True
