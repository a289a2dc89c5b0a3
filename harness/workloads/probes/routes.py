"""What the nameservers say: routes, roles, permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from harness.faults.select import select
from harness.workloads.probes.base import Probe, in_time, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class AwaitRoute(Probe):
    """Waits until each nameserver in `on` routes (or no longer routes) the broker, and says after how many seconds.

    Seconds count from the injection (or, with `since_heal`, the heal) of the fault named `since`. A nameserver that did
    not follow within `timeout_s` has the value null: whether that is a violation is for the suite to say.
    """

    kind: Literal["await-route"] = "await-route"
    target: str
    present: bool
    since: str
    since_heal: bool = False
    on: str = "nameserver/*"
    timeout_s: float = 180.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{nameserver: seconds | null, "slowest_s", "fastest_s", "all"}`."""
        waiting = list(select(self.on, stage.cluster))
        targets = select(self.target, stage.cluster)
        seen: dict[str, float | None] = dict.fromkeys(waiting)
        start_ns = stage.instant(self.since, heal=self.since_heal)

        def look() -> bool:
            for nameserver in list(waiting):
                if all(stage.cluster.is_registered(nameserver, node) is self.present for node in targets):
                    seen[nameserver] = seconds_since(stage, start_ns)
                    waiting.remove(nameserver)
            return not waiting

        if not in_time(look, what="routes", timeout_s=self.timeout_s, poll_s=0.1):
            stage.say(f"{', '.join(waiting)} did not follow within {self.timeout_s:.0f} s")
        times = [t for t in seen.values() if t is not None]
        return {
            **seen,
            "all": not waiting,
            "slowest_s": max(times, default=None),
            "fastest_s": min(times, default=None),
        }


class Registered(Probe):
    """On how many of the nameservers in `on` the targets are registered now."""

    kind: Literal["registered"] = "registered"
    target: str
    on: str = "nameserver/*"

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"yes": pairs registered, "no": pairs not registered}`."""
        states = [
            stage.cluster.is_registered(nameserver, node)
            for nameserver in select(self.on, stage.cluster)
            for node in select(self.target, stage.cluster)
        ]
        return {"yes": sum(states), "no": len(states) - sum(states)}


class Snapshot(Probe):
    """Roles and permissions as every nameserver tells them."""

    kind: Literal["snapshot"] = "snapshot"

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"roles": {ns: {broker: {id: address}}}, "permissions": {ns: {broker: {topic: perm}}}}`."""
        cluster = stage.cluster
        live = [ns for ns in cluster.nameservers() if cluster.runtime.state(ns).kind == "running"]
        return {
            "roles": {ns: cluster.roles(ns) for ns in live},
            "permissions": {ns: {b: dict(cluster.permissions(ns, b)) for b in cluster.broker_names()} for ns in live},
        }
