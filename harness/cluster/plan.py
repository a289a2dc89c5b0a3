"""What a cluster is to be: topology, release, Java, timers, overrides, topics and groups. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.distribution.toxiproxy import Toxiproxy
from harness.runtime.base import Disk
from harness.topology import Role, Topology
from harness.topology.links import LinkKind
from harness.topology.render import Timers

JvmRole = Literal["broker", "namesrv", "proxy"]
Haste = Literal["fast", "naive"]
Progress = Callable[[str], None]
"""Is told in a few words what was done and what is waited for; called from several threads."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic with that many read and write queues on every master. `attributes` is 5.x's text (+message.type=...).

    One that is `late` is not made by the bring-up, nor is its absence ill health: a scenario makes it when it wants.
    """

    name: str
    queues: int = 4
    perm: int = 6
    attributes: str | None = None
    late: bool = False


PROBE_TOPIC: Final = TopicSpec("rmq-harness-probe", queues=1)
"""Where readiness and health write: never a topic under test. On a cluster of others it has the plan's prefix."""


@dataclass(frozen=True)
class Foreign:
    """That the cluster is somebody else's: where its nodes are (`host:port`), and where we note what we made there."""

    places: Mapping[str, str]
    notes: Path


@dataclass(frozen=True)
class ClusterPlan:
    """Everything a bring-up needs to know.

    `haste` "fast" is the measured recipe: nodes in the order in which none waits for another's timer, topics and groups
    in every store before its broker starts, no TLS key made. "naive" starts all nodes at once with the product's
    defaults and creates topics afterwards: for comparison only. `deadline_s` bounds each wait of a bring-up: a loaded
    machine is slower by a factor of ten. `short_run` stops the JVMs at the first compiler.
    The spare topics and groups are in every store as well, and nobody waits for them: `handed_on` makes use of them.
    `upgrade` is the release that nodes may be moved to, and back; see `Cluster.install`.
    `fifo_groups` are those of the groups that proxies are to give each message group in order (consumeMessageOrderly).
    `joining` are broker names that the bring-up leaves out, for `Cluster.join` to add.
    `cache` is where start caches are kept; None does without. With `train` a bring-up that finds none makes them when
    it ends well: its first nodes run and stop more slowly, which a judged run must not.
    With `foreign` nothing is brought up: see `Adopted`. `prefix` then begins the name of everything that we make there;
    topics and groups have it already.
    `links` of these kinds stand before the nodes that can have them, each a Toxiproxy: see `links`.
    """

    topology: Topology
    release: Release
    jre: Jre
    timers: Timers = "fast"
    broker_conf: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    namesrv_conf: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    jvm_opts: Mapping[JvmRole, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    topics: tuple[TopicSpec, ...] = ()
    groups: tuple[str, ...] = ()
    fifo_groups: frozenset[str] = frozenset()
    spare_topics: tuple[TopicSpec, ...] = ()
    spare_groups: tuple[str, ...] = ()
    joining: frozenset[str] = frozenset()
    disks: Mapping[str, Disk] = field(default_factory=lambda: MappingProxyType({}))
    haste: Haste = "fast"
    short_run: bool = True
    deadline_s: float = 180.0
    cache: Path | None = None
    train: bool = True
    upgrade: Release | None = None
    foreign: Foreign | None = None
    prefix: str = ""
    links: frozenset[LinkKind] = frozenset()
    toxiproxy: Toxiproxy | None = None

    @property
    def probe_topic(self) -> TopicSpec:
        """Where readiness and health write."""
        return replace(PROBE_TOPIC, name=self.prefix + PROBE_TOPIC.name)

    @property
    def all_topics(self) -> tuple[TopicSpec, ...]:
        """The topics that a bring-up makes: those asked for from the start, and the one of the harness's own."""
        return (*(topic for topic in self.topics if not topic.late), self.probe_topic)


def jvm_role(role: Role) -> JvmRole:
    """How JVM options name a role."""
    roles: dict[Role, JvmRole] = {Role.NAMESERVER: "namesrv", Role.PROXY: "proxy"}
    return roles.get(role, "broker")
