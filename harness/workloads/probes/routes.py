"""What the nameservers say: routes, roles, permissions. A nameserver that says nothing has said nothing: null."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from harness.core.expectation import Data
from harness.faults.permission import may_write
from harness.faults.select import select
from harness.workloads.probes.base import Probe, all_are, in_time

if TYPE_CHECKING:
    from harness.workloads.stage import Stage

POLL_S: Final = 0.1


class Watch(Data):
    """What to wait for: that each nameserver in `on` routes (or no longer routes) every target.

    Seconds count from the injection (or, with `since_heal`, the heal) of the fault named `since`.
    """

    target: str
    present: bool
    since: str
    since_heal: bool = False
    on: str = "nameserver/*"


class AwaitRoutes(Probe):
    """Waits until everything watched has happened, at most `timeout_s`, and stamps each watch when it did.

    Each is recorded as an observation of its own, under its name, as soon as it has happened (or at the end), with the
    value of an `AwaitRoute`. The nameservers are asked side by side: neither a watch nor a nameserver that is late
    delays what is seen of another.
    """

    WAITS: ClassVar[bool] = True
    kind: Literal["await-routes"] = "await-routes"
    watches: dict[str, Watch]
    timeout_s: float = 180.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """Name of the watch -> its `all`; the rest is in its own observation."""
        seen = _await(stage, self.watches, self.timeout_s, stage.observe)
        return {name: value["all"] for name, value in seen.items()}


class AwaitRoute(Watch, Probe):
    """Waits for one watch, and says after how many seconds each nameserver followed. Only an answer counts.

    A nameserver that did not follow within `timeout_s`, or did not answer, has the value null. `all` is false only if
    one still said the contrary at the end, and null if one did not answer then. Whether that is a violation is for the
    suite to say.
    """

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"all", "slowest_s", "fastest_s", "slowest_at_least_s"})
    kind: Literal["await-route"] = "await-route"
    timeout_s: float = 180.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{nameserver: seconds | null, "all", "slowest_s", "fastest_s", "slowest_at_least_s"}`.

        Seconds are those of the first answer that says so: an upper bound. `slowest_at_least_s` is a lower one, up to
        the last answer to the contrary of any of them: one that was silent between the two was not slow by that. So a
        demand for speed is one on `slowest_at_least_s`, and `slowest_s` within the same bound is its assumption.
        """
        return dict(_await(stage, {"it": self}, self.timeout_s)["it"])


@dataclass(slots=True)
class _Watched:
    """One watch on one nameserver. Seconds are since the watch's fault; `said`: the last answer is so, or None."""

    name: str
    nameserver: str
    nodes: Sequence[str]
    present: bool
    start_ns: int
    said: bool | None = None
    at_least_s: float = 0.0
    at_most_s: float | None = None

    def look(self, stage: Stage) -> bool:
        """Looks, unless it was seen before; says whether it was seen."""
        if self.at_most_s is not None:
            return True
        began_ns = stage.now_ns()
        self.said = all_are(self.present, (stage.cluster.is_registered(self.nameserver, node) for node in self.nodes))
        if self.said is False:
            self.at_least_s = max(0.0, (began_ns - self.start_ns) / 1e9)
        elif self.said:
            self.at_most_s = (stage.now_ns() - self.start_ns) / 1e9
        return self.at_most_s is not None


def _await(
    stage: Stage,
    watches: Mapping[str, Watch],
    timeout_s: float,
    happened: Callable[[str, Any], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Follows every watch; `happened` is told of each, in the caller's thread, at once or at the end."""
    watched = [one for name, watch in watches.items() for one in _watched(stage, name, watch)]
    nameservers = list(dict.fromkeys(one.nameserver for one in watched))
    told: dict[str, dict[str, Any]] = {}

    def follow(nameserver: str) -> None:
        mine = [one for one in watched if one.nameserver == nameserver]
        # A list, so that each of them is looked at, whatever came of the one before.
        in_time(lambda: all([one.look(stage) for one in mine]), what="routes", timeout_s=timeout_s, poll_s=POLL_S)

    def tell(*, over: bool) -> None:
        for name in (name for name in watches if name not in told):
            of_it = [one for one in watched if one.name == name]
            if over or all(one.at_most_s is not None for one in of_it):
                told[name] = _summary(of_it)
                if happened is not None:
                    happened(name, told[name])

    with ThreadPoolExecutor(max(1, len(nameservers)), thread_name_prefix="await-routes") as pool:
        following = [pool.submit(follow, nameserver) for nameserver in nameservers]
        while wait(following, timeout=POLL_S).not_done:
            tell(over=False)
        for done in following:
            done.result()
    for one in (one for one in watched if one.at_most_s is None):
        what = "did not follow" if one.said is False else "did not answer"
        stage.say(f"{one.nameserver} {what} within {timeout_s:.0f} s")
    tell(over=True)
    return told


def _watched(stage: Stage, name: str, watch: Watch) -> list[_Watched]:
    nodes = select(watch.target, stage.cluster)
    start_ns = stage.instant(watch.since, heal=watch.since_heal)
    return [_Watched(name, on, nodes, watch.present, start_ns) for on in select(watch.on, stage.cluster)]


def _summary(watched: Sequence[_Watched]) -> dict[str, Any]:
    times = [one.at_most_s for one in watched if one.at_most_s is not None]
    return {
        **{one.nameserver: one.at_most_s for one in watched},
        "all": all_are(True, (one.said for one in watched)),
        "slowest_s": max(times, default=None),
        "fastest_s": min(times, default=None),
        "slowest_at_least_s": max((one.at_least_s for one in watched), default=None),
    }


class Registered(Probe):
    """On how many of the nameservers in `on` the targets are registered now, by the nameservers' own word."""

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"yes", "no", "unknown", "silent"})
    kind: Literal["registered"] = "registered"
    target: str
    on: str = "nameserver/*"

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"yes": pairs registered, "no": pairs not registered, "unknown": pairs not answered for, "silent": [...]}`.

        With anything unknown both `yes` and `no` are null: a demand on them is then inconclusive, not met or broken.
        `silent` are the nameservers that did not answer.
        """
        states = [
            (nameserver, stage.cluster.is_registered(nameserver, node))
            for nameserver in select(self.on, stage.cluster)
            for node in select(self.target, stage.cluster)
        ]
        unknown = [nameserver for nameserver, state in states if state is None]
        return {
            "yes": None if unknown else sum(state is True for _, state in states),
            "no": None if unknown else sum(state is False for _, state in states),
            "unknown": len(unknown),
            "silent": list(dict.fromkeys(unknown)),
        }


class Routed(Probe):
    """On how many of the nameservers in `on` there is a route for the topic of that name, by their own word.

    And on how many broker names it has queues that may be written, and how many each.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset(
        {"yes", "no", "silent", "brokers_least", "queues_least", "queues_most"}
    )
    kind: Literal["routed"] = "routed"
    topic: str
    on: str = "nameserver/*"

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"yes", "no": nameservers, "silent": [...], "brokers_least", "queues_least", "queues_most"}`.

        With a silent one all figures are null. `brokers_least` is how many broker names have queues by the nameserver
        that has the fewest; `queues_*` are those of one broker name on one nameserver, null where none has any.
        """
        tables = {name: stage.cluster.queues(name, self.topic) for name in select(self.on, stage.cluster)}
        silent = [name for name, table in tables.items() if table is None]
        if silent:
            return {**dict.fromkeys(sorted(self.SEEN or ())), "silent": silent}
        written = [[queues for queues in table.values() if queues] for table in tables.values() if table is not None]
        counts = [queues for table in written for queues in table]
        return {
            "yes": sum(bool(table) for table in tables.values()),
            "no": sum(not table for table in tables.values()),
            "silent": silent,
            "brokers_least": min(map(len, written)),
            "queues_least": min(counts, default=None),
            "queues_most": max(counts, default=None),
        }


class Writable(Probe):
    """On how many of the nameservers in `on` the targets' queues may be written, by the nameservers' own word.

    Of every topic of the cluster, or of the scenario's topic of that number alone.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"yes", "no", "unknown", "silent"})
    kind: Literal["writable"] = "writable"
    target: str
    on: str = "nameserver/*"
    topic: int | None = None

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"yes": pairs with every topic writable, "no": pairs with none, "unknown": others, "silent": [...]}`.

        With anything unknown, which is also a broker of which only some topics are writable or routed at all, both
        `yes` and `no` are null.
        """
        alone = None if self.topic is None else stage.cluster.plan.topics[self.topic].name
        wanted = {topic.name for topic in stage.cluster.plan.topics} if alone is None else {alone}
        counts = {"yes": 0, "no": 0, "unknown": 0}
        silent: list[str] = []
        for nameserver in select(self.on, stage.cluster):
            for node in select(self.target, stage.cluster):
                perms = stage.cluster.permissions(nameserver, stage.cluster.broker_name(node))
                if perms is None:
                    silent.append(nameserver)
                elif alone is not None:
                    perms = {name: perm for name, perm in perms.items() if name == alone}
                counts[{True: "yes", False: "no", None: "unknown"}[may_write(perms, wanted)]] += 1
        seen = counts if not counts["unknown"] else {"yes": None, "no": None, "unknown": counts["unknown"]}
        return {**seen, "silent": list(dict.fromkeys(silent))}


class Snapshot(Probe):
    """Roles and permissions as each nameserver in `on` tells them.

    Leave out of `on` what the scenario itself killed or cut off: one that does not answer makes it a partial snapshot.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"roles", "permissions", "silent"})
    kind: Literal["snapshot"] = "snapshot"
    on: str = "nameserver/*"

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"roles": {ns: {broker: {id: address}}}, "permissions": {ns: {broker: {topic: perm}}}, "silent": [ns...]}`.

        `silent` are the nameservers that did not answer, for whatever reason.
        """
        cluster = stage.cluster
        seen: dict[str, Any] = {"roles": {}, "permissions": {}, "silent": []}
        for nameserver in select(self.on, cluster):
            running = cluster.runtime.state(nameserver).kind == "running"
            roles = cluster.roles(nameserver) if running else None
            perms = {b: cluster.permissions(nameserver, b) for b in cluster.broker_names()} if roles is not None else {}
            if roles is None or None in perms.values():
                seen["silent"].append(nameserver)
                continue
            seen["roles"][nameserver] = roles
            seen["permissions"][nameserver] = {broker: dict(perm or {}) for broker, perm in perms.items()}
        return seen
