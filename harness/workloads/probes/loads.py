"""Load that is started, stopped or waited for in the middle of a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.core.errors import WaitTimeout
from harness.waiting import wait_for
from harness.workloads.backlog import Backlog
from harness.workloads.load import Load
from harness.workloads.probes.base import Probe, in_time, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class StartLoad(Probe):
    """Starts more producers or consumers in the middle of the scenario.

    With `must_be_ready` False the workers are only told to start: a producer without a nameserver starts, and its
    first send fails; a consumer owns no queue.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"processes"})
    kind: Literal["start-load"] = "start-load"
    load: tuple[Load, ...]
    must_be_ready: bool = True
    ready_timeout_s: float = 60.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"processes": [...]}`."""
        return {
            "processes": stage.start_load(self.load, must_be_ready=self.must_be_ready, timeout_s=self.ready_timeout_s)
        }


class StopLoad(Probe):
    """Stops workers whose name starts with `name` and waits for what they had in flight."""

    kind: Literal["stop-load"] = "stop-load"
    name: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """Final counts of each."""
        return stage.stop_load(self.name)


class AwaitCount(Probe):
    """Waits until the workers whose name starts with `who` have `at_least` more of `what` than when the step began.

    `what` is a count of the workers' progress: ok, fail, info, invoked, delivered. Not reached in time is the value
    `{"reached": false}`, not an error, unless `insist`.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"reached", "count", "seconds"})
    kind: Literal["await-count"] = "await-count"
    who: str
    what: Literal["ok", "fail", "info", "invoked", "delivered"]
    at_least: int = 1
    timeout_s: float = 60.0
    insist: bool = False
    from_start: bool = False

    def waits_for_product(self) -> bool:
        """Waiting for load to pile up is work; waiting for what a fault changed is the product's time."""
        return not self.from_start

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"reached", "count", "seconds"}`."""
        before = 0 if self.from_start else stage.count(self.who, self.what)
        began_ns = stage.now_ns()

        def gained() -> int:
            return stage.count(self.who, self.what) - before

        try:
            wait_for(
                lambda: gained() >= self.at_least,
                what=f"{self.at_least} more {self.what} of {self.who}",
                timeout_s=self.timeout_s,
                last_seen=lambda: str(gained()),
            )
        except WaitTimeout:
            if self.insist:
                raise
        return {
            "reached": gained() >= self.at_least,
            "count": gained(),
            "seconds": seconds_since(stage, began_ns),
        }


class AwaitDelivered(Probe):
    """Waits until every message acknowledged so far was delivered to the group; `of` narrows it to brokers' messages.

    Reads the history itself, so that duplicates cannot pass for deliveries. While it still gets less, that it is not
    all is no answer yet: slow is not never.
    """

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"all", "missing", "progressing", "quiet_s", "seconds"})
    kind: Literal["await-delivered"] = "await-delivered"
    group: str = "g"
    of: str | None = None
    timeout_s: float = 60.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"all", "missing", "progressing", "quiet_s", "seconds"}`; `all` is null if it was still progressing."""
        began_ns = stage.now_ns()
        backlog = Backlog(self.timeout_s)

        def look() -> bool:
            return backlog.saw(stage.undelivered(self.group, self.of)) == 0

        done = in_time(look, what="deliveries", timeout_s=self.timeout_s, poll_s=0.5)
        seen = backlog.seen()
        if not done:
            stage.say(f"{seen['missing']} messages are still undelivered after {self.timeout_s:.0f} s")
        return {
            **seen,
            "all": None if seen["progressing"] else seen["all"],
            "seconds": seconds_since(stage, began_ns),
        }
