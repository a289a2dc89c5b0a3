"""A cluster that somebody else runs: nothing is started or configured; what we make there is removed again."""

from __future__ import annotations

from typing import NoReturn

from harness.cluster.cluster import Cluster
from harness.cluster.lifecycle import Lifecycle
from harness.cluster.notes import Note, forget, named, noted, remove, write
from harness.cluster.observed import BringUp, Journal
from harness.cluster.plan import ClusterPlan, Progress, TopicSpec
from harness.cluster.provision import Outfit, Provision
from harness.cluster.undisturbed import Seen, disturbed, see
from harness.core.errors import CapabilityMissing, FaultError, UsageError
from harness.distribution.archive import ArchivePlan
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.runtime.base import NODE_CONFIG, Process, Runtime
from harness.runtime.existing import ExistingRuntime
from harness.runtime.theirs import NOT_OURS
from harness.topology.render import Rendered
from harness.waiting import wait_for

LEARNS_S = 120.0
"""A 5.x slave looks at its master once a minute, and is not told: that would be its master's business."""


class _AsItIs(Provision):
    """Every node has what its owner gave it. Of that, only the release is known."""

    def outfit(
        self, node: str, release: Release | None = None, jre: Jre | None = None, *, hasten: bool = True
    ) -> Outfit:
        """Writes nothing."""
        del hasten
        made = Outfit(release or self._plan.release, jre or self._plan.jre, Rendered("", {}))
        self.outfits[node] = made
        return made

    def process(self, node: str, *, train: bool = False) -> tuple[Process, ArchivePlan]:
        """Its owner's hook knows how it is started."""
        del node, train
        return Process(()), ArchivePlan()


class _ByHooks(Lifecycle):
    """A start hook may be done long before the port is open, and there is no process to be seen meanwhile."""

    def wait_port(self, node: str, port: int, timeout_s: float) -> None:
        """Waits until the node takes connections. Raises `WaitTimeout`."""
        wait_for(
            lambda: self.accepts(node, port),
            what=f"{node} to listen on {self._roster.ip(node)}:{port}",
            timeout_s=timeout_s,
            poll_s=0.1,
            last_seen=lambda: f"its port: {self._runtime.state(node)}",
        )


class Adopted(Cluster):
    """A cluster of others as scenarios know one. What was made on it is noted first, and gone when it is closed.

    Wherever a cluster of ours is changed for what we want of it, this one refuses: `CapabilityMissing`.
    """

    def __init__(self, plan: ClusterPlan, runtime: Runtime, run_id: str, progress: Progress | None = None) -> None:
        """Raises `UsageError` for a plan without a prefix: what we make could not be told from what was there."""
        if plan.foreign is None or not plan.prefix:
            raise UsageError("a cluster of others needs its places and a prefix for what we make there")
        self._foreign = plan.foreign
        self._run_id = run_id
        self._note: Note | None = None
        self._seen: Seen | None = None
        super().__init__(plan, runtime, progress)

    def _make_provision(self, plan: ClusterPlan, runtime: Runtime) -> Provision:
        return _AsItIs(plan, self, runtime, self._addresses)

    def _make_lifecycle(self, runtime: Runtime) -> Lifecycle:
        return _ByHooks(runtime, self, self._provision)

    def start(self) -> BringUp:
        """Makes topics and groups on every master, and returns when all replicas and nameservers know them.

        And when a write to each master was acknowledged, read back and copied. Raises `WireError` where a broker
        refuses, `WaitTimeout`; what was made stays, for `close`.
        """
        if self._addresses:
            raise UsageError("this cluster was taken before: make a new one")
        self._journal = Journal(self._journal.progress)
        nodes = (*self.nameservers(), *self.brokers())
        self._place(nodes)
        for node in nodes:
            self._provision.outfit(node)
        note = noted(
            self._run_id,
            self.plan.prefix,
            [self.address(node) for node in self.nameservers()],
            [self.address(node) for node in self.masters()],
            [self.address(node) for node in self.slaves()],
        )
        self._refuse_names_in_use(note)
        self._note = note
        write(self._foreign.notes, note)
        with self._journal.step(f"topics {self.plan.prefix}* made and known"):
            self.create(self.plan.all_topics, self.plan.groups, LEARNS_S)
            for node in self.slaves():
                self._readiness.known(node, self.plan.all_topics, self.plan.groups, LEARNS_S)
        for broker in self.broker_names():
            with self._journal.step(f"written on {broker}"):
                self._readiness.written(broker, self.plan.deadline_s)
        self._seen = see(self.looks, self.brokers())
        self._journal.say(f"ready after {self._journal.elapsed_s:.2f} s")
        self._brought_up = BringUp(self._journal.elapsed_s, None, self._journal.steps)
        return self._brought_up

    def _refuse_names_in_use(self, note: Note) -> None:
        """What has our prefix is removed in the end: it must be ours. Raises `UsageError`."""
        if there := named(self.admin, note):
            raise UsageError(
                f"{there[0]} is there already, under the prefix that was drawn for what this run makes: start again"
            )

    def create(
        self,
        topics: tuple[TopicSpec, ...] = (),
        groups: tuple[str, ...] = (),
        timeout_s: float = LEARNS_S,
        *,
        on_slaves: bool = False,
    ) -> None:
        """On every master; slaves are not told."""
        del on_slaves
        super().create(topics, groups, timeout_s, on_slaves=False)

    def refuse_disturbed(self) -> None:
        """Raises `FaultError` if a broker was restarted or configured by somebody else, or not ended by its hook."""
        if self._seen is None:
            return
        ended = self.runtime.ended if isinstance(self.runtime, ExistingRuntime) else frozenset()
        if lines := list(disturbed(self._seen, see(self.looks, self.brokers()), ended)):
            raise FaultError(f"the cluster is not what it was when this began: {'; '.join(lines)}")

    def close(self) -> None:
        """Removes what was made there, ends the clients and closes the runtime; the cluster stays. Idempotent.

        A node that a hook hurt and none mended is told of: it stays as it is.
        """
        if self._closed:
            return
        self._closed = True
        try:
            hurt = self.runtime.hurt() if isinstance(self.runtime, ExistingRuntime) else {}
            for node, hook in hurt.items():
                mends = "resume" if hook == "pause" else "start"
                self._journal.say(f"LEFT HURT: {node}, by hook {hook}; {mends} it by hand, no hook could")
            if self._note is not None:
                self._remove(self._note)
        finally:
            self.admin.close()
            self.runtime.close()

    def _remove(self, note: Note) -> None:
        """What cannot be removed stays noted, for `rmq-harness clean`."""
        left = remove(self.admin, note)
        if not left:
            forget(self._foreign.notes, note)
            return
        self._journal.say(f"left on the cluster ({len(left)}), `rmq-harness clean` tries again: {'; '.join(left[:4])}")

    def join(self, broker: str, timeout_s: float = 120.0) -> None:  # noqa: ARG002
        """Raises `CapabilityMissing`."""
        self._not_ours()

    def install(self, node: str, release: Release, jre: Jre | None = None) -> NoReturn:  # noqa: ARG002
        """Raises `CapabilityMissing`."""
        self._not_ours()

    def handed_on(self, plan: ClusterPlan) -> NoReturn:  # noqa: ARG002
        """Raises `CapabilityMissing`."""
        self._not_ours()

    def _not_ours(self) -> NoReturn:
        raise CapabilityMissing(NODE_CONFIG, NOT_OURS)
