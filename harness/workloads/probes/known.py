"""Whether proxies know the clients of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from harness.core.errors import HarnessError
from harness.faults.select import select
from harness.topology import layout
from harness.workloads.probes.base import Probe, in_time, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage

POLL_S: Final = 0.5
_LOOK_TIMEOUT_S: Final = 2.0


class AwaitKnown(Probe):
    """Waits until every proxy lists every member of a consumer group that runs, whichever proxy it talks to.

    Proxies tell one another of their clients by messages in a topic of their own (`HeartbeatSyncer`, 5.3.3), each time
    that a client sends a heartbeat. Who comes to a proxy that has not heard of it, because its own died, is not served
    before it tells its settings anew, which the Python client does after five minutes.
    """

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"known", "missing", "seconds"})
    kind: Literal["await-known"] = "await-known"
    group: str = "g"
    target: str = "proxy/*"
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"known", "missing", "seconds"}`: how many (proxy, member) pairs lacked at the end, after how long."""
        nodes, members = select(self.target, stage.cluster), stage.crew.members(self.group)
        began_ns = stage.now_ns()
        missing = len(nodes) * len(members)

        def look() -> bool:
            nonlocal missing
            missing = sum(len(members - self._listed(stage, node)) for node in nodes)
            return not missing

        known = in_time(look, what=f"every proxy to know group {self.group}", timeout_s=self.timeout_s, poll_s=POLL_S)
        return {"known": known and bool(members), "missing": missing, "seconds": seconds_since(stage, began_ns)}

    def _listed(self, stage: Stage, node: str) -> frozenset[str]:
        """The workers that this proxy lists, by whose host the id of a gRPC client begins; none if it is silent."""
        address = f"{stage.cluster.ip(node)}:{layout.PROXY_REMOTING_PORT}"
        try:
            ids = stage.cluster.admin.consumer_ids(address, self.group, timeout_s=_LOOK_TIMEOUT_S)
        except HarnessError:
            stage.cluster.admin.drop(address)
            return frozenset()
        return frozenset(each.partition("@")[0] for each in ids)
