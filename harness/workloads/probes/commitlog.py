"""The commit-log files of a broker: which there are, made old, waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.faults.select import select
from harness.runtime.base import NODE_CONFIG
from harness.workloads.probes.base import Probe, in_time, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


def log_files(stage: Stage, node: str) -> list[str]:
    """The paths of the node's commit-log files, oldest first."""
    return sorted(f.path for f in stage.cluster.runtime.list_files(node, "store/commitlog"))


def log_names(stage: Stage, node: str) -> list[str]:
    """The same without their directory."""
    return sorted(map(name_of, log_files(stage, node)))


def name_of(path: str) -> str:
    """The last part of a path on a node."""
    return path.rpartition("/")[2]


class CommitLog(Probe):
    """The commit-log files of one broker, oldest first."""

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"files", "count", "ratio"})
    kind: Literal["commit-log"] = "commit-log"
    target: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"files": [name...], "count", "ratio": used space of the disk}`."""
        (node,) = select(self.target, stage.cluster)
        names = log_names(stage, node)
        return {"files": names, "count": len(names), "ratio": stage.cluster.runtime.disk_usage(node).ratio}


class AgeCommitLog(Probe):
    """Makes the oldest `files` commit-log files look `age_h` hours old by their modification time."""

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"files"})
    kind: Literal["age-commit-log"] = "age-commit-log"
    target: str
    files: int
    age_h: float

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"files": [names that were aged]}`."""
        (node,) = select(self.target, stage.cluster)
        oldest = log_files(stage, node)[: self.files]
        for path in oldest:
            stage.cluster.runtime.set_mtime(node, path, self.age_h * 3600)
        return {"files": [name_of(path) for path in oldest]}


class AwaitCommitLog(Probe):
    """Waits until the broker has at least (or, for deletions, at most) a number of commit-log files."""

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"reached", "count", "files", "seconds"})
    kind: Literal["await-commit-log"] = "await-commit-log"
    target: str
    at_least: int | None = None
    at_most: int | None = None
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"reached", "count", "files", "seconds"}`."""
        (node,) = select(self.target, stage.cluster)
        began_ns = stage.now_ns()

        def look() -> bool:
            count = len(log_names(stage, node))
            return (self.at_least is None or count >= self.at_least) and (self.at_most is None or count <= self.at_most)

        reached = in_time(look, what="commit-log files", timeout_s=self.timeout_s, poll_s=0.25)
        now = log_names(stage, node)
        return {"reached": reached, "count": len(now), "files": now, "seconds": seconds_since(stage, began_ns)}


class AwaitGone(Probe):
    """Waits until none of the commit-log files that the observation `files` (of AgeCommitLog) names is left."""

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"reached", "left", "seconds"})
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
            return sorted(wanted & set(log_names(stage, node)))

        if not in_time(lambda: not left(), what="aged files to go", timeout_s=self.timeout_s, poll_s=0.5):
            stage.say(f"{len(left())} aged files are still there after {self.timeout_s:.0f} s")
        return {"reached": not left(), "left": left(), "seconds": seconds_since(stage, began_ns)}


class ExactlyDeleted(Probe):
    """Whether between two looks at the commit log exactly the aged files went.

    `before`, `aged` and `after` name the observations of CommitLog, AgeCommitLog and a later CommitLog.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"deleted", "aged", "exact", "young_kept"})
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
