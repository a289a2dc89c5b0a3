"""A live cluster: brought up, looked at, hurt and mended node by node, torn down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial

from harness.cluster.bringup import BringUpOrder
from harness.cluster.health import HealthCheck
from harness.cluster.lifecycle import LISTENING_TIMEOUT_S, STOP_TIMEOUT_S, Lifecycle
from harness.cluster.links import Links
from harness.cluster.looks import HubDialer, Looks
from harness.cluster.observed import BringUp, Ended, Health, Journal, Started, cpu_s
from harness.cluster.plan import ClusterPlan, Progress, TopicSpec
from harness.cluster.provision import Outfit, Provision
from harness.cluster.readiness import Readiness
from harness.cluster.restore import Restoring
from harness.cluster.roster import Roster
from harness.cluster.topics import Topics
from harness.core.errors import UsageError
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.runtime.base import Disk, Node, Runtime
from harness.topology.render import Deviation
from harness.waiting import wait_for
from harness.wire.sync import Admin

_TRAINING_STOP_S = 40.0


class Cluster(Roster):
    """The nodes of one plan on one runtime, which it closes at its end.

    Nodes keep their configuration file over restarts, as they rewrite it themselves. Whether a node runs is always
    asked of the runtime, never remembered: faults signal nodes without telling.
    """

    def __init__(self, plan: ClusterPlan, runtime: Runtime, progress: Progress | None = None) -> None:
        self._addresses: dict[str, str] = {}
        elsewhere = plan.foreign.places if plan.foreign else None
        super().__init__(plan.topology, self._addresses, plan.joining, elsewhere, plan.links)
        self.plan = plan
        self.runtime = runtime
        self.admin = Admin(HubDialer(runtime))
        self._journal = Journal(progress)
        self._clients: list[str] = []
        self._brought_up: BringUp | None = None
        self._closed = False
        self.looks = Looks(self.admin, self, plan.probe_topic)
        self.links = Links(plan, runtime, self)
        self._provision = self._make_provision(plan, runtime)
        self._lifecycle = self._make_lifecycle(runtime)
        self._readiness = Readiness(plan, runtime, self.admin, self, self._provision, self.looks)
        self._topics = Topics(self.admin, self, self._provision, self._readiness)
        self._health = HealthCheck(plan, runtime, self, self._provision, self.looks, self._readiness)

    def _make_provision(self, plan: ClusterPlan, runtime: Runtime) -> Provision:
        return Provision(plan, self, runtime, self._addresses)

    def _make_lifecycle(self, runtime: Runtime) -> Lifecycle:
        return Lifecycle(runtime, self, self._provision)

    def leader(self, broker: str) -> str | None:
        """The member that a nameserver, and it itself, has for the master of its group now; None if there is none."""
        return self.looks.leader(broker)

    # bring-up and teardown

    def start(self) -> BringUp:
        """Brings everything up, and returns when the cluster is ready (see the package for what that means).

        Raises `NodeDied` with a node's last words, or `WaitTimeout`; what was started stays, for `close`.
        """
        if self._addresses:
            raise UsageError("this cluster was started before: make a new one")
        self._journal = Journal(self._journal.progress)
        self._place((*self.nodes(), *self.links.nodes))
        self.links.start()
        order = BringUpOrder(
            self.plan,
            self.runtime,
            self,
            self._provision,
            (self._lifecycle, self._readiness, self._topics),
            self._journal,
        )
        order.run()
        wall_s = self._journal.elapsed_s
        used = cpu_s(self.runtime, [*self.nodes()])
        restored, left = Restoring(self.admin, self, self._provision, self.looks).restore()
        self._journal.say(f"ready after {wall_s:.2f} s")
        self._brought_up = BringUp(wall_s, used, self._journal.steps, restored, left, self._lifecycle.training)
        return self._brought_up

    def join(self, broker: str, timeout_s: float = 120.0) -> None:
        """Starts a broker name that the bring-up left out; returns when it is registered, written to and copied.

        It has no topic of the plan, nor a group: see `create`. Raises `UsageError` for one that is not left to join,
        `NodeDied`, `WaitTimeout`.
        """
        if broker not in self._absent:
            raise UsageError(f"{broker!r} does not join: left to join are {', '.join(sorted(self._absent)) or 'none'}")
        nodes = tuple(node.name for node in self.topology.group(broker))
        self._place(nodes)
        for node in nodes:
            self._provision.outfit(node)
        self._absent.discard(broker)
        for node in nodes:
            self._lifecycle.start(node)
        self._readiness.registered(nodes, self.nameservers(), timeout_s, kick=True)
        self.create((self.plan.probe_topic,), timeout_s=timeout_s)
        self.wait_in_sync(broker, timeout_s)
        if self._brought_up is not None:
            restored, left = Restoring(self.admin, self, self._provision, self.looks).restore()
            self._brought_up = replace(self._brought_up, restored=restored, unrestored=left)

    def _place(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._addresses[node] = self.runtime.add_node(node, self.plan.disks.get(node, Disk())).address

    @property
    def brought_up(self) -> BringUp | None:
        """How it came to be ready; None before."""
        return self._brought_up

    def close(self) -> None:
        """Ends everything and closes the runtime. Idempotent, and never raises for a node that ends badly.

        Nodes that make a start cache are stopped by SIGTERM first, if the bring-up ended well: that takes some seconds.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._brought_up is not None:
                self._lifecycle.finish_training(_TRAINING_STOP_S)
        finally:
            self.admin.close()
            self.runtime.close()

    def leave(self) -> None:
        """Lets go of a cluster that is to stay up: closes connections, ends nothing. What then holds it is `runtime`'s.

        The start cache that a first bring-up would have made is not made.
        """
        self._closed = True
        self.admin.close()

    def handed_on(self, plan: ClusterPlan) -> Cluster:
        """The same nodes, as they are, for another plan that differs in topics and groups; this object lets go of them.

        The plan's topics and groups must be among the spare ones; `wait_healthy` is what shows that they are there.
        """
        other = Cluster(plan, self.runtime, self._journal.progress)
        other._addresses.update(self._addresses)
        other._provision.outfits.update(self._provision.outfits)
        other._brought_up = self._brought_up
        self.leave()
        return other

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # one node

    def start_node(self, node: str, listening_timeout_s: float | None = LISTENING_TIMEOUT_S) -> Started:
        """Starts a node over its store and waits for its port (None: does not). Raises `NodeDied`, `WaitTimeout`."""
        return self._lifecycle.start(node, listening_timeout_s=listening_timeout_s)

    def stop_node(self, node: str, timeout_s: float = STOP_TIMEOUT_S) -> Ended:
        """Stops a node by SIGTERM and waits for its end; `forced` if it had to be killed."""
        return self._lifecycle.stop(node, timeout_s)

    def kill_node(self, node: str) -> Ended:
        """SIGKILL, and waits until the process is gone."""
        return self._lifecycle.kill(node)

    def pause_node(self, node: str) -> int:
        """SIGSTOP; the instant (monotonic ns) at which all its threads were seen to be stopped."""
        return self._lifecycle.pause(node)

    def resume_node(self, node: str) -> int:
        """SIGCONT; the instant (monotonic ns) at which it was seen to run."""
        return self._lifecycle.resume(node)

    def restart_node(self, node: str, timeout_s: float = STOP_TIMEOUT_S) -> tuple[Ended, Started]:
        """Stops a node gracefully and starts it again; that it is in step again is `wait_healthy`'s to see."""
        ended = self.stop_node(node, timeout_s)
        return ended, self.start_node(node)

    def install(self, node: str, release: Release, jre: Jre | None = None) -> Mapping[str, tuple[str, str]]:
        """Gives a stopped node another release: new configuration file, same store. Raises `UsageError` if it runs.

        Returns the keys that differ in the two files as rendered: key -> (value before, value now), each empty where
        the key is not there.
        """
        if self.runtime.state(node).alive:
            raise UsageError(f"{node} is running: stop it before it gets another release")
        worn = self._provision.outfits[node]
        before = worn.rendered.conf
        now = self._provision.outfit(node, release, jre, hasten=False).rendered.conf
        self._provision.worn.append((node, worn))
        keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        return {key: (before.get(key, ""), now.get(key, "")) for key in keys}

    # waiting and looking

    def wait_registered(
        self,
        brokers: tuple[str, ...] | None = None,
        nameservers: tuple[str, ...] | None = None,
        timeout_s: float = 180.0,
    ) -> None:
        """Waits until these broker nodes (all) are registered with these nameservers (all), on their own timers."""
        self._readiness.registered(brokers or self.brokers(), nameservers or self.nameservers(), timeout_s)

    def wait_in_sync(self, broker: str, timeout_s: float = 120.0) -> None:
        """Waits until a write to a broker name's master is acknowledged and all its slaves have it."""
        self._readiness.slaves_attached(broker, timeout_s)
        self._readiness.written(broker, timeout_s)

    def health(self) -> Health:
        """Everything that is wrong now, one line each. Writes one message per master to the harness's own topic."""
        return Health(self._health.problems())

    def wait_healthy(self, timeout_s: float = 180.0) -> None:
        """Waits until nothing is wrong. Raises `WaitTimeout` with everything that still was."""
        last: list[Health] = []

        def healthy() -> bool:
            last.append(self.health())
            return last[-1].ok

        wait_for(
            healthy,
            what="the cluster to be healthy",
            timeout_s=timeout_s,
            poll_s=0.2,
            last_seen=lambda: str(last[-1]),
        )

    def refuse_disturbed(self) -> None:
        """Raises `FaultError` if somebody else changed the cluster since it was there; nobody else can reach ours."""

    def lag_bytes(self, broker: str) -> dict[str, int | None]:
        """Slave node -> how many bytes its commit log lacks of its master's; None for one that does not answer.

        0 does not prove a link: replicas that do not talk may hold the same.
        """
        end = self.looks.log_end(self.master(broker))
        ends = {slave: self.looks.log_end(slave) for slave in self.slaves(broker)}
        return {slave: None if end is None or at is None else end - at for slave, at in ends.items()}

    def live(self) -> tuple[str, ...]:
        """Nodes whose process runs now, clients excepted; a paused one does not."""
        return tuple(node for node in self.nodes() if self.runtime.state(node).kind == "running")

    def is_registered(self, nameserver: str, node: str) -> bool | None:
        """Whether a nameserver has this broker node under its id and address now; None if it does not answer."""
        return self.looks.registered(nameserver, node)

    def is_routed(self, nameserver: str, topic: str) -> bool | None:
        """Whether a nameserver has a route for any topic of that name; None if it does not answer."""
        return self.looks.routed(nameserver, topic)

    def queues(self, nameserver: str, topic: str) -> dict[str, int] | None:
        """Broker name -> writable queues of a topic, 0 for one that has others, as one nameserver routes it.

        None if it does not answer, empty without a route.
        """
        return self.looks.queues(nameserver, topic)

    def roles(self, nameserver: str) -> dict[str, dict[int, str]] | None:
        """Broker name -> id -> address as one nameserver has it; None if it does not answer."""
        return self.looks.roles(nameserver)

    def permissions(self, nameserver: str, broker: str) -> Mapping[str, int] | None:
        """Topic -> permission of a broker name's queues, as one nameserver routes it; of the plan's topics.

        A topic without a route is absent; None if the nameserver does not answer.
        """
        return self.looks.permissions(nameserver, broker, tuple(topic.name for topic in self.plan.all_topics))

    def create(
        self,
        topics: tuple[TopicSpec, ...] = (),
        groups: tuple[str, ...] = (),
        timeout_s: float = 120.0,
        *,
        on_slaves: bool = True,
    ) -> None:
        """Creates topics and groups on every broker name and waits until every replica knows them (see `Topics`)."""
        brokers = self.broker_names()
        with ThreadPoolExecutor(max_workers=len(brokers), thread_name_prefix="create") as pool:
            ensure = partial(self._topics.ensure, on_slaves=on_slaves)
            list(pool.map(lambda broker: ensure(broker, topics, groups, timeout_s), brokers))
        self._readiness.routed(topics, self.nameservers(), timeout_s)

    def outfit(self, node: str) -> Outfit:
        """What a node runs: release, Java, rendered configuration with its deviations and warnings."""
        return self._provision.outfits[node]

    def outfits(self) -> tuple[tuple[str, Outfit], ...]:
        """(node, outfit) of everything that any node runs or ran."""
        return (*self._provision.outfits.items(), *self._provision.worn)

    def deviations(self) -> tuple[Deviation, ...]:
        """Every key of any node that is in force and not the product's default, each once; what was put back is not."""
        back = {(node, key) for node, key, _ in (self._brought_up.restored if self._brought_up else ())}
        found = {
            deviation
            for node, outfit in self.outfits()
            for deviation in outfit.rendered.deviations
            if (node, deviation.key) not in back
        }
        return tuple(sorted(found, key=lambda deviation: (deviation.key, deviation.ours)))

    # clients

    def add_client(self, name: str) -> Node:
        """A place in the network for a client worker."""
        node = self.runtime.add_node(name)
        self._clients.append(name)
        return node

    def remove_client(self, name: str) -> None:
        """Ends a client and takes its place away. Idempotent."""
        with suppress(ValueError):
            self._clients.remove(name)
        self.runtime.remove_node(name)

    def clients(self) -> tuple[str, ...]:
        """Names of the clients that have a place, in the order they got it."""
        return tuple(self._clients)
