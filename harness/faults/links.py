"""Damage to one way to a node and to no other: late, slow, mute, reset or cut short, by Toxiproxy.

Each is seen in exchanges over the link itself, before, while and after: never taken from what Toxiproxy says of itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, model_validator

from harness.cluster.links import STREAMS
from harness.cluster.toxiproxy import Toxic
from harness.core.errors import FaultError, UsageError
from harness.faults.base import Detail, Fault
from harness.faults.process import RESTART_TIMEOUT_S
from harness.faults.select import select
from harness.runtime.base import TOXIPROXY
from harness.topology.links import LinkKind
from harness.waiting import wait_for

if TYPE_CHECKING:
    from harness.cluster import Cluster
    from harness.cluster.links import Link

Way = Literal["upstream", "downstream", "both"]
"""`upstream` is what goes to the node behind the link, `downstream` what comes from it."""

LOOKS: Final = 3
"""The quickest of so many exchanges: one that the machine held up proves no damage."""
JITTER_LOOKS: Final = 8
SILENT_S: Final = 2.0
RECOVERY_S: Final = 20.0


class LinkFault(Fault):
    """A fault of links. The scenario's cluster must have such links: `ClusterNeeds(links=(...))`.

    `target` says behind which nodes' links. Without `await_health` it is over as soon as the links work again.
    """

    link: LinkKind
    target: str
    way: Way = "both"
    await_health: bool = True

    def needs(self) -> frozenset[str]:
        """Toxiproxy."""
        return frozenset({TOXIPROXY})

    def reach(self) -> frozenset[str]:
        """Nothing of a node itself."""
        return frozenset()

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The nodes behind the links."""
        return select(self.target, cluster)

    def links(self, cluster: Cluster) -> tuple[Link, ...]:
        """The links that are hit. Raises UsageError where the cluster has no such link."""
        return tuple(cluster.links.of(self.link, node) for node in self.targets(cluster))

    @abstractmethod
    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """What Toxiproxy calls it -> its figures; what comes first meets first what passes."""

    @abstractmethod
    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """Whether the damage shows in exchanges over the link, now, and what was measured."""

    def toxics(self) -> tuple[Toxic, ...]:
        """The same damage to every way that is meant."""
        ways = [way for way in STREAMS if self.way in ("both", way)]
        return tuple(Toxic(kind, way, figures) for kind, figures in self.damage().items() for way in ways)

    def inject(self, cluster: Cluster) -> Detail:
        """Does it to every link; the detail has what was measured before and with it.

        Raises FaultError where somebody goes another way than by the link: he would not be hurt.
        """
        links = self.links(cluster)
        for link in links:
            if strays := cluster.links.passed_by(link.kind, link.node):
                raise FaultError(
                    f"{', '.join(strays)} reached {link.node} without {link}: what is done to it hurts others"
                )
        before = {link.node: dict(self.seen(link)[1]) for link in links}
        for link in links:
            link.add(self.toxics())
        return {"link": self.link, "before": before, "with_it": self._measured(cluster)}

    def bites(self, cluster: Cluster) -> bool:
        """It shows in every link."""
        return all(self.seen(link)[0] for link in self.links(cluster))

    def heal(self, cluster: Cluster) -> Detail:
        """Takes it away from every link, what came last first: Toxiproxy 2.5 loses count of a connection it closes."""
        for link in self.links(cluster):
            link.remove(reversed(self.toxics()))
        return {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """It shows in no link any more, all of them answer, and (unless told otherwise) the cluster is whole."""
        links, measured = self.links(cluster), dict[str, dict[str, Any]]()

        def mended() -> bool:
            looks = {link.node: self.seen(link) for link in links}
            measured.update({node: dict(figures) for node, (_, figures) in looks.items()})
            return not any(shows for shows, _ in looks.values()) and all(link.ask().answered for link in links)

        wait_for(
            mended,
            what=f"the {self.link} links of {self.target} to be without {self.kind_name()}",
            timeout_s=RECOVERY_S,
            last_seen=lambda: str(measured),
        )
        if self.await_health:
            cluster.wait_healthy(RESTART_TIMEOUT_S)
        return {"afterwards": measured}

    def _measured(self, cluster: Cluster) -> dict[str, dict[str, Any]]:
        return {link.node: dict(self.seen(link)[1]) for link in self.links(cluster)}

    def _ways(self) -> int:
        return 2 if self.way == "both" else 1


def _round_trips_ms(link: Link, looks: int, timeout_s: float) -> list[float] | None:
    """None if one of them was not answered."""
    seen = [link.ask(timeout_s=timeout_s) for _ in range(looks)]
    return [1e3 * one.took_s for one in seen] if all(one.answered for one in seen) else None


class Latency(LinkFault):
    """All that passes is late by `latency_ms`, more or less by up to `jitter_ms`, on each way; nothing is lost.

    An answer is late by that of both ways. Take it well above what the link takes by itself.
    """

    kind: Literal["latency"] = "latency"
    latency_ms: int = Field(gt=0)
    jitter_ms: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _never_early(self) -> Latency:
        if self.jitter_ms >= self.latency_ms:
            raise UsageError(f"jitter_ms {self.jitter_ms} of a latency_ms of {self.latency_ms}: it must be less")
        return self

    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """Late, and how unevenly."""
        return {"latency": {"latency": self.latency_ms, "jitter": self.jitter_ms}}

    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """Even the quickest answer took that long; with jitter, they also differ."""
        looks = JITTER_LOOKS if self.jitter_ms else LOOKS
        most_s = 5.0 + 2 * (self.latency_ms + self.jitter_ms) / 1e3
        took = _round_trips_ms(link, looks, most_s)
        if took is None:
            return False, {"round_trip_ms": None}
        late = min(took) >= self._ways() * (self.latency_ms - self.jitter_ms)
        uneven = max(took) - min(took) >= self.jitter_ms / 4
        return late and uneven, {"round_trip_ms": round(min(took), 1), "slowest_ms": round(max(took), 1)}


class SlowLink(LinkFault):
    """No connection over the link carries more than `kb_per_s` (of 1,000 bytes) on either way."""

    kind: Literal["slow-link"] = "slow-link"
    way: Literal["both"] = "both"
    kb_per_s: int = Field(gt=0)

    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """So narrow."""
        return {"bandwidth": {"rate": self.kb_per_s}}

    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """Half a second's worth takes at least four fifths of what it should, beyond what a single word takes."""
        size_bytes = max(4_000, 500 * self.kb_per_s)
        due_s = size_bytes / (1e3 * self.kb_per_s)
        words = _round_trips_ms(link, LOOKS, 5.0 + due_s)
        loads = [link.ask(size_bytes, timeout_s=10.0 + 4 * due_s) for _ in range(LOOKS - 1)]
        if self.link == "ha" and any(load.word == "silent" and load.got_bytes < size_bytes for load in loads):
            raise FaultError(
                f"{link} carried {loads[0].got_bytes} bytes and no more: the master's newest log file must have "
                f"{size_bytes} for its speed to be seen; load it first"
            )
        if words is None or not all(load.answered for load in loads):
            return False, {"kb_per_s": None}
        took_s = max(min(load.took_s for load in loads) - min(words) / 1e3, 1e-3)  # or less: no figure is finer
        return took_s >= 0.8 * due_s, {"kb_per_s": round(size_bytes / took_s / 1e3, 1), "carried_bytes": size_bytes}


class HalfOpen(LinkFault):
    """Nothing passes and nobody is told: connections stay open, those that are made now as well.

    All that was sent meanwhile is lost, and a side that closes its end is not heard to. When it is healed every
    connection from before is closed.
    """

    kind: Literal["half-open"] = "half-open"

    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """For ever, and no end of it."""
        return {"timeout": {"timeout": 0}, "slow_close": {"delay": 86_400_000}}

    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """A connection is made, and there is no answer on it, and no end of it."""
        seen = link.ask(timeout_s=SILENT_S)
        return seen.word == "silent", {"asked": seen.word, "waited_ms": round(1e3 * seen.took_s, 1)}


class Reset(LinkFault):
    """Every connection ends with the next byte on it: a new one by a reset, one from before by a close."""

    kind: Literal["reset"] = "reset"

    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """At once."""
        return {"reset_peer": {"timeout": 0}}

    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """A connection is made and is reset when something is asked."""
        words = [link.ask().word for _ in range(LOOKS)]
        return set(words) == {"reset"}, {"asked": words[0] if len(set(words)) == 1 else words}


class SlowClose(LinkFault):
    """Who closes a connection is not heard to do so for `delay_ms`."""

    kind: Literal["slow-close"] = "slow-close"
    delay_ms: int = Field(gt=0)

    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """So late."""
        return {"slow_close": {"delay": self.delay_ms}}

    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """The answer to a farewell takes that long."""
        ends = [link.part(5.0 + 2 * self.delay_ms / 1e3) for _ in range(LOOKS)]
        took_ms = [1e3 * end.took_s for end in ends if end.word != "silent"]
        if len(took_ms) < LOOKS:
            return False, {"close_ms": None}
        return min(took_ms) >= self.delay_ms, {"close_ms": round(min(took_ms), 1)}


class LimitData(LinkFault):
    """Every connection is closed when it has carried so many bytes on one way; what is open now counts from now on."""

    kind: Literal["limit-data"] = "limit-data"
    limit_bytes: int = Field(gt=0)

    def damage(self) -> Mapping[str, Mapping[str, int]]:
        """So much."""
        return {"limit_data": {"bytes": self.limit_bytes}}

    def seen(self, link: Link) -> tuple[bool, Mapping[str, Any]]:
        """An exchange that is longer is broken off."""
        words = [link.ask(2 * self.limit_bytes).word for _ in range(LOOKS)]
        return set(words) <= {"closed", "reset"}, {"asked": words[0] if len(set(words)) == 1 else words}
