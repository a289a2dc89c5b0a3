"""What the brokers hold, and whether the cluster is whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.core.errors import HarnessError, UsageError
from harness.faults.select import select
from harness.runtime.base import NODE_CONFIG, SLAVE_READS
from harness.workloads.probes.base import Probe, seconds_since

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


_STDOUT = "logs/stdout.log"
_STAMP = re.compile(rb"\d{4}-\d\d-\d\d ")
"""How an entry of a log begins."""


class ReadBack(Probe):
    """The oracle reads every queue of the topics on the targets, message by message, as phase `phase`.

    Of the scenario's topics, or of those named, such as `%DLQ%g`: one that a target does not know is not there.

    Name as targets who is to be read then: one that does not run, or refuses reads, makes the reading incomplete.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset(
        {"messages", "queues", "incomplete", "skipped", "still", "complete"}
    )
    kind: Literal["read-back"] = "read-back"
    phase: str
    target: str = "broker/*"
    topics: tuple[str, ...] = ()

    def reach(self) -> frozenset[str]:
        """Slaves that serve reads, where slaves are asked for by that name."""
        return frozenset({SLAVE_READS} if "slave/" in self.target else ())

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"messages", "queues", "incomplete", "skipped", "complete"}`; the rows themselves are in the history."""
        return stage.read_back(self.phase, select(self.target, stage.cluster), self.topics)


class Running(Probe):
    """Which of the targets run: a node that will not start with what its file says has ended by itself."""

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"running", "ended", "nodes"})
    kind: Literal["running"] = "running"
    target: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"running", "ended", "nodes": {node: state in words}}`; one that is stopped in its tracks is neither."""
        states = {node: stage.cluster.runtime.state(node) for node in select(self.target, stage.cluster)}
        return {
            "running": sum(state.kind == "running" for state in states.values()),
            "ended": sum(not state.alive for state in states.values()),
            "nodes": {node: str(state) for node, state in states.items()},
        }


class Warned(Probe):
    """Which of these words a node warns of: in an entry of a log at WARN or ERROR, or on its standard output.

    Brokers note at INFO that a key "is replaced" by whatever stands in their file, also by what they cannot read.
    """

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"warned", "words"})
    kind: Literal["warned"] = "warned"
    target: str
    words: tuple[str, ...]

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"warned": of how many of them, "words": {word: the first file that warns of it, or null}}`."""
        (node,) = select(self.target, stage.cluster)
        runtime = stage.cluster.runtime
        lines = {f.path: runtime.read_file(node, f.path).splitlines() for f in runtime.list_files(node, "logs")}
        grave = {path: of if path == _STDOUT else list(_grave(of)) for path, of in sorted(lines.items())}
        found = {
            word: next((path for path, of in grave.items() if any(word.encode() in line for line in of)), None)
            for word in self.words
        }
        return {"warned": sum(path is not None for path in found.values()), "words": found}


def _grave(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of entries at WARN or ERROR; what has no stamp of its own belongs to the entry above it."""
    grave = False
    for line in lines:
        if _STAMP.match(line):
            grave = b" WARN " in line or b" ERROR " in line
        if grave:
            yield line


class StoreFiles(Probe):
    """Which files a broker has in its store: those that match `files`, a glob below it, such as `abort`."""

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"files", "count"})
    kind: Literal["store-files"] = "store-files"
    target: str
    files: str

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"files": [paths below the store], "count"}`."""
        (node,) = select(self.target, stage.cluster)
        there = (PurePosixPath(f.path) for f in stage.cluster.runtime.list_files(node, "store"))
        found = sorted(str(path.relative_to("store")) for path in there if path.match(f"store/{self.files}"))
        return {"files": found, "count": len(found)}


class SetQueues(Probe):
    """Gives a topic another number of queues on the targets, as an administrator does while it is used.

    Only more than it had: of a topic that shrinks, what lies in the queues that are gone would not be read back.
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"from", "to"})
    kind: Literal["set-queues"] = "set-queues"
    queues: int
    target: str = "master/*"
    topic: int = 0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"from", "to"}`. Raises UsageError if it would be fewer."""
        had = stage.cluster.plan.topics[self.topic].queues
        if self.queues < had:
            raise UsageError(f"topic {self.topic} has {had} queues: {self.queues} are fewer; give it more")
        for node in select(self.target, stage.cluster):
            stage.cluster.admin.create_topic(stage.cluster.address(node), stage.topics[self.topic], self.queues)
        return {"from": had, "to": self.queues}


class Join(Probe):
    """Starts a broker name that was not there so far (see `ClusterNeeds.joining`), and waits until it is registered."""

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"broker", "seconds"})
    kind: Literal["join"] = "join"
    broker: int
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"broker", "seconds"}`: until every nameserver had all of it. Raises NodeDied, WaitTimeout."""
        began_ns = stage.now_ns()
        name = stage.cluster.topology.brokers[self.broker].name
        stage.cluster.join(name, self.timeout_s)
        return {"broker": name, "seconds": seconds_since(stage, began_ns)}


class MakeTopics(Probe):
    """Makes topics on every broker that does not have them, as an administrator does, and waits until they are routed.

    `topics` are numbers of the scenario's, also of those that are late (see `ClusterNeeds.late_topics`).
    """

    SEEN: ClassVar[frozenset[str] | None] = frozenset({"topics", "seconds"})
    kind: Literal["make-topics"] = "make-topics"
    topics: tuple[int, ...]
    timeout_s: float = 120.0

    def run(self, stage: Stage) -> dict[str, Any]:
        """`{"topics": [names], "seconds"}`. Raises NodeDied, WaitTimeout, WireError."""
        began_ns = stage.now_ns()
        specs = tuple(stage.cluster.plan.topics[number] for number in self.topics)
        stage.cluster.create(specs, stage.cluster.plan.groups, self.timeout_s)
        return {"topics": [spec.name for spec in specs], "seconds": seconds_since(stage, began_ns)}


class SyncDisks(Probe):
    """Brings everything written so far on the targets' disks beyond the reach of a power cut.

    For topic and group metadata, which no release syncs: a scenario about messages must not lose those instead.
    """

    REACHES: ClassVar[frozenset[str]] = frozenset({NODE_CONFIG})
    SEEN: ClassVar[frozenset[str] | None] = frozenset()
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

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset({"healthy", "seconds", "wrong"})
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
        return {"healthy": not wrong, "seconds": seconds_since(stage, began_ns), "wrong": wrong}
