"""Steps that look rather than hurt: each records one named observation, a JSON value, in the history.

Suites demand something of these values through `observed(name)`; nothing is asserted here, so that a stored run can
be judged again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from harness.core.errors import HarnessError, WaitTimeout
from harness.core.expectation import Data
from harness.faults.select import select
from harness.waiting import pause_s, wait_for
from harness.workloads.load import Load

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class Probe(Data):
    """One look at the cluster or its clients. Returns what it saw; raises WaitTimeout only if told to insist."""

    @abstractmethod
    def run(self, stage: Stage) -> Any:
        """Looks, and returns a JSON value."""

    def waits_for_product(self) -> bool:
        """Its time is spent waiting for the product's own timers rather than working."""
        return type(self).__name__.startswith("Await") or isinstance(self, Elapse)


class SendDirect(Probe):
    """Sends `count` messages straight to each target, bypassing the route, and counts the answers by code.

    Every send is a row of the history (process `probe`), so that a refused message that is stored after all is found.
    """

    kind: Literal["send-direct"] = "send-direct"
    target: str
    count: int = 50
    topic: int = 0
    timeout_s: float = 10.0
    among: tuple[int, ...] = ()
    """Codes that are reported even if none came: a demand on them is then false and not without a value."""

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"sent", "accepted", "stored", "codes": {code: n}, "slowest_s"}` over all targets."""
        codes: Counter[str] = Counter({str(code): 0 for code in self.among})
        accepted = stored = 0
        slowest_s = 0.0
        for node in select(self.target, stage.cluster):
            for number in range(self.count):
                reply, took_s = stage.send_direct(node, self.topic, number, self.timeout_s)
                slowest_s = max(slowest_s, took_s)
                codes[str(reply.code) if reply is not None else "none"] += 1
                accepted += reply is not None and reply.acknowledged
                stored += reply is not None and reply.stored
        return {
            "sent": sum(codes.values()),
            "accepted": accepted,
            "stored": stored,
            "codes": dict(codes),
            "slowest_s": slowest_s,
        }


class ReadBack(Probe):
    """The oracle reads every queue of the test topics on the targets, message by message, as phase `phase`."""

    kind: Literal["read-back"] = "read-back"
    phase: str
    target: str = "broker/*"

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"messages", "queues", "incomplete"}`; the rows themselves are in the history."""
        return stage.read_back(self.phase, select(self.target, stage.cluster))


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
                    seen[nameserver] = (stage.now_ns() - start_ns) / 1e9
                    waiting.remove(nameserver)
            return not waiting

        try:
            wait_for(look, what="routes", timeout_s=self.timeout_s, poll_s=0.1)
        except WaitTimeout:
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


class Same(Probe):
    """Whether two earlier observations are equal."""

    kind: Literal["same"] = "same"
    first: str
    second: str

    def run(self, stage: Stage) -> bool:
        """True if they are."""
        return bool(stage.recall(self.first) == stage.recall(self.second))


class Elapse(Probe):
    """Lets a stated time pass while the load goes on."""

    kind: Literal["elapse"] = "elapse"
    seconds: float

    def run(self, stage: Stage) -> float:
        """The seconds that were asked for."""
        stage.wait(self.seconds, pause_s)
        return self.seconds


class StartLoad(Probe):
    """Starts more producers or consumers in the middle of the scenario.

    With `must_be_ready` False the workers are only told to start: a producer without a nameserver starts, and its
    first send fails; a consumer owns no queue.
    """

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
            "seconds": (stage.now_ns() - began_ns) / 1e9,
        }


class AwaitDelivered(Probe):
    """Waits until every message acknowledged so far was delivered to the group; `of` narrows it to brokers' messages.

    Reads the history itself, so that duplicates cannot pass for deliveries.
    """

    kind: Literal["await-delivered"] = "await-delivered"
    group: str = "g"
    of: str | None = None
    timeout_s: float = 60.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"all", "missing", "seconds"}`."""
        began_ns = stage.now_ns()
        missing = [stage.undelivered(self.group, self.of)]

        def look() -> bool:
            missing[0] = stage.undelivered(self.group, self.of)
            return missing[0] == 0

        try:
            wait_for(look, what="deliveries", timeout_s=self.timeout_s, poll_s=0.5)
        except WaitTimeout:
            stage.say(f"{missing[0]} messages are still undelivered after {self.timeout_s:.0f} s")
        return {"all": missing[0] == 0, "missing": missing[0], "seconds": (stage.now_ns() - began_ns) / 1e9}


class AwaitAnswer(Probe):
    """Sends one message a time straight to the target until the answer has one of `codes`; 0 is SEND_OK."""

    kind: Literal["await-answer"] = "await-answer"
    target: str
    codes: tuple[int, ...]
    topic: int = 0
    timeout_s: float = 60.0
    poll_s: float = 0.2

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"reached", "seconds", "last_code", "sent"}`."""
        (node,) = select(self.target, stage.cluster)
        began_ns = stage.now_ns()
        last: list[int | None] = [None]
        sent = [0]

        def look() -> bool:
            reply, _ = stage.send_direct(node, self.topic, sent[0], 10.0)
            sent[0] += 1
            last[0] = None if reply is None else int(reply.code)
            return last[0] in self.codes

        try:
            wait_for(look, what=f"code {self.codes} from {node}", timeout_s=self.timeout_s, poll_s=self.poll_s)
        except WaitTimeout:
            stage.say(f"{node} did not answer {self.codes} within {self.timeout_s:.0f} s; last: {last[0]}")
        return {
            "reached": last[0] in self.codes,
            "seconds": (stage.now_ns() - began_ns) / 1e9,
            "last_code": last[0],
            "sent": sent[0],
        }


class CommitLog(Probe):
    """The commit-log files of one broker, oldest first."""

    kind: Literal["commit-log"] = "commit-log"
    target: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"files": [name...], "count", "ratio": used space of the disk}`."""
        (node,) = select(self.target, stage.cluster)
        names = sorted(f.path.rpartition("/")[2] for f in stage.cluster.runtime.list_files(node, "store/commitlog"))
        return {"files": names, "count": len(names), "ratio": stage.cluster.runtime.disk_usage(node).ratio}


class AgeCommitLog(Probe):
    """Makes the oldest `files` commit-log files look `age_h` hours old by their modification time."""

    kind: Literal["age-commit-log"] = "age-commit-log"
    target: str
    files: int
    age_h: float

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"files": [names that were aged]}`."""
        (node,) = select(self.target, stage.cluster)
        oldest = sorted(f.path for f in stage.cluster.runtime.list_files(node, "store/commitlog"))[: self.files]
        for path in oldest:
            stage.cluster.runtime.set_mtime(node, path, self.age_h * 3600)
        return {"files": [path.rpartition("/")[2] for path in oldest]}


class AwaitCommitLog(Probe):
    """Waits until the broker has at least (or, for deletions, at most) a number of commit-log files."""

    kind: Literal["await-commit-log"] = "await-commit-log"
    target: str
    at_least: int | None = None
    at_most: int | None = None
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"reached", "count", "files", "seconds"}`."""
        (node,) = select(self.target, stage.cluster)
        began_ns = stage.now_ns()

        def names() -> list[str]:
            files = stage.cluster.runtime.list_files(node, "store/commitlog")
            return sorted(f.path.rpartition("/")[2] for f in files)

        def look() -> bool:
            count = len(names())
            return (self.at_least is None or count >= self.at_least) and (self.at_most is None or count <= self.at_most)

        reached = True
        try:
            wait_for(look, what="commit-log files", timeout_s=self.timeout_s, poll_s=0.25)
        except WaitTimeout:
            reached = False
        now = names()
        return {"reached": reached, "count": len(now), "files": now, "seconds": (stage.now_ns() - began_ns) / 1e9}


class AwaitGone(Probe):
    """Waits until none of the commit-log files that the observation `files` (of AgeCommitLog) names is left."""

    kind: Literal["await-gone"] = "await-gone"
    target: str
    files: str
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"reached", "left", "seconds"}`."""
        (node,) = select(self.target, stage.cluster)
        wanted = set(stage.recall(self.files)["files"])
        began_ns = stage.now_ns()

        def left() -> list[str]:
            files = stage.cluster.runtime.list_files(node, "store/commitlog")
            return sorted(wanted & {f.path.rpartition("/")[2] for f in files})

        try:
            wait_for(lambda: not left(), what="aged files to go", timeout_s=self.timeout_s, poll_s=0.5)
        except WaitTimeout:
            stage.say(f"{len(left())} aged files are still there after {self.timeout_s:.0f} s")
        return {"reached": not left(), "left": left(), "seconds": (stage.now_ns() - began_ns) / 1e9}


class ExactlyDeleted(Probe):
    """Whether between two looks at the commit log exactly the aged files went.

    `before`, `aged` and `after` name the observations of CommitLog, AgeCommitLog and a later CommitLog.
    """

    kind: Literal["exactly-deleted"] = "exactly-deleted"
    before: str
    aged: str
    after: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"deleted", "aged", "exact", "young_kept"}`: `young_kept` counts kept files that are not the last one."""
        before = stage.recall(self.before)["files"]
        aged = stage.recall(self.aged)["files"]
        after = stage.recall(self.after)["files"]
        deleted = [name for name in before if name not in after]
        kept = [name for name in before[:-1] if name in after and name not in aged]
        return {"deleted": deleted, "aged": aged, "exact": deleted == aged, "young_kept": len(kept)}


class SyncDisks(Probe):
    """Brings everything written so far on the targets' disks beyond the reach of a power cut.

    For topic and group metadata, which no release syncs: a scenario about messages must not lose those instead.
    """

    kind: Literal["sync-disks"] = "sync-disks"
    target: str = "broker/*"

    def run(self, stage: Stage) -> list[str]:
        """The nodes whose disks were synced."""
        nodes = select(self.target, stage.cluster)
        for node in nodes:
            stage.cluster.runtime.sync_disk(node)
        return list(nodes)


class AwaitHealthy(Probe):
    """Waits until the cluster is whole again and says how long it took."""

    kind: Literal["await-healthy"] = "await-healthy"
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"healthy", "seconds", "wrong": [...]}`."""
        began_ns = stage.now_ns()
        wrong: list[str] = []
        try:
            stage.cluster.wait_healthy(self.timeout_s)
        except HarnessError as error:
            wrong = [str(error)]
        return {"healthy": not wrong, "seconds": (stage.now_ns() - began_ns) / 1e9, "wrong": wrong}


AnyProbe = Annotated[
    SendDirect
    | ReadBack
    | AwaitRoute
    | Registered
    | Snapshot
    | Same
    | Elapse
    | StartLoad
    | StopLoad
    | AwaitCount
    | AwaitDelivered
    | AwaitAnswer
    | CommitLog
    | AgeCommitLog
    | AwaitCommitLog
    | AwaitGone
    | AwaitHealthy
    | ExactlyDeleted
    | SyncDisks,
    Field(discriminator="kind"),
]
