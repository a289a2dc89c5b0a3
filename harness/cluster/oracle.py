"""The oracle: reads every queue of every replica, message by message, and records what is stored there.

One READ line per message and one DRAIN line per queue of a replica (ok: its end was reached; fail: the reason). Max
offsets and statistics are not looked at: they do not tell what is stored. Nothing is deduplicated. Each
body is compared, to its last byte, with the one that was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final

from harness.cluster.cluster import Cluster
from harness.core.content import COMPARED, examine
from harness.core.errors import WaitTimeout
from harness.core.names import INDEX_STILL
from harness.core.op import OpName, OpType, line
from harness.waiting import wait_for
from harness.wire.codes import ResponseCode
from harness.wire.message import StoredMessage
from harness.wire.replies import QueueRead, QueueRef

Record = Callable[[Sequence[Mapping[str, Any]]], None]
"""Is given the lines of one queue at a time, in its order, from one thread."""

PARALLEL: Final = 16
SETTLE_S: Final = 0.02
DISPATCH_TIMEOUT_S: Final = 60.0
STILL_S: Final = 45.0
"""An index that did not move for so long stands still. Longer than 4.x tries to index one message (30 times, 1 s)."""
STILL_LOOKS: Final = 10
READ_TIMEOUT_S: Final = 300.0
TELLS_SINCE: Final = 4
"""The first major version whose runtime info tells how far the index is behind the log (`dispatchBehindBytes`)."""
TOPIC_LOOKS: Final = 10
TOPIC_POLL_S: Final = 0.5
ANSWER_LOOKS: Final = 3
"""So often a queue is read whose broker, though connected, leaves a request without an answer."""


@dataclass(frozen=True, slots=True)
class ReadSummary:
    """What one `read_all` did. `skipped`: replica -> why none of its queues was read.

    `incomplete`: one line for each queue that was not read to its end, and for each replica that was skipped.
    `still`: replica -> that its index stands still behind its log: what it serves is all that it ever will.
    """

    phase: str
    rows: int
    queues: int
    incomplete: tuple[str, ...]
    skipped: Mapping[str, str]
    took_s: float
    still: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Every queue of every replica that was asked for was read to its end."""
        return not self.incomplete


@dataclass(frozen=True, slots=True)
class _Queue:
    replica: str
    broker: str
    ref: QueueRef


@dataclass(frozen=True, slots=True)
class _Behind:
    still: bool
    text: str


def _behind(told: Sequence[tuple[float, int | None]]) -> _Behind:
    """What the looks at an index that did not catch up come to: on its way, untold, or standing still for long."""
    last_s, last = told[-1]
    if last is None:
        return _Behind(False, "the broker does not tell how far its index is behind its log")
    same = [at_s for at_s, behind in takewhile(lambda look: look[1] == last, reversed(told))]
    if last_s - same[-1] >= STILL_S and len(same) >= STILL_LOOKS:
        return _Behind(True, f"{INDEX_STILL} {last:,} bytes behind the log for {last_s - same[-1]:.0f} s")
    return _Behind(False, f"the index was still {last:,} bytes behind the log after {last_s - told[0][0]:.0f} s")


class Oracle:
    """Reads a cluster's stores over the wire. A complete read proves what is served now, not what a recovery leaves."""

    def __init__(self, cluster: Cluster, record: Record) -> None:
        self._cluster = cluster
        self._record = record

    def read_all(self, phase: str, topics: Iterable[str], replicas: Sequence[str] | None = None) -> ReadSummary:
        """Reads every queue of `topics` on these replicas (all), as phase `phase`.

        A replica that is not running, or is a slave that refuses reads (5.x without slaveReadEnable), is skipped and
        named: each of its queues is recorded as one that was not read. So leave out whom the scenario itself took away.
        A queue that could not be read to its end is recorded as such, with the reason; nothing is raised for it.
        Nor is it complete where the broker's index is on its way behind its log, or the broker does not say where it
        is: what is stored and not indexed yet cannot be read, and is not lost. One that stands still is its last word.
        A topic of the plan that a replica does not know counts as a queue not read; any other is taken not to be there.
        """
        began = time.monotonic()
        wanted = tuple(dict.fromkeys(topics))
        skipped: dict[str, str] = {}
        doubts: dict[str, str] = {}
        still: dict[str, str] = {}
        queues: list[_Queue] = []
        for replica in self._cluster.brokers() if replicas is None else replicas:
            found = self._queues(replica, wanted)
            reason = self._why_not(replica)
            if reason is not None:
                skipped[replica] = reason
                self._record_unread(phase, found, reason)
                continue
            queues += found
            behind = self._await_dispatch(replica)
            if behind is not None:
                (still if behind.still else doubts)[replica] = behind.text
        rows, incomplete = self._cluster.admin.run(self._read(phase, queues, doubts, still))
        missed = [f"{replica}: {reason}" for replica, reason in skipped.items()]
        return ReadSummary(phase, rows, len(queues), (*missed, *incomplete), skipped, time.monotonic() - began, still)

    def _record_unread(self, phase: str, queues: Sequence[_Queue], reason: str) -> None:
        for queue in queues:
            unread = QueueRead(queue.ref, (), complete=False, code=None, remark=reason, min_offset=0, max_offset=0)
            self._record(lines(phase, queue.replica, queue.broker, unread, time.monotonic_ns()))

    def open_slaves(self) -> tuple[str, ...]:
        """Sets slaveReadEnable on the running 5.x slaves that lack it, and says on which; they serve consumers then."""
        closed = [
            node
            for node in self._cluster.slaves()
            if self._cluster.runtime.state(node).kind == "running" and self._refuses_reads(node)
        ]
        for node in closed:
            self._cluster.admin.update_broker_config(self._cluster.address(node), {"slaveReadEnable": "true"})
        return tuple(closed)

    def _refuses_reads(self, replica: str) -> bool:
        if replica in self._cluster.masters() or self._cluster.outfit(replica).version.major < 5:
            return False
        config = self._cluster.looks.config(replica)
        return config is not None and config.get("slaveReadEnable") != "true"

    def _why_not(self, replica: str) -> str | None:
        state = self._cluster.runtime.state(replica)
        if state.kind != "running":
            return f"not running: {state}"
        if self._refuses_reads(replica):
            return "a 5.x slave without slaveReadEnable=true refuses reads"
        return None

    def _await_dispatch(self, replica: str) -> _Behind | None:
        """Waits until all that is stored is in its queue's index; None if it is.

        A message that is not in the index cannot be pulled, and the queue's max offset does not tell of it either.
        """
        if self._cluster.outfit(replica).version.major < TELLS_SINCE:
            return self._await_mark(replica)
        told: list[tuple[float, int | None]] = []

        def dispatched() -> bool:
            behind = self._cluster.looks.dispatch_behind(replica)
            told.append((time.monotonic(), behind))
            return behind is not None and behind <= 0

        try:
            wait_for(dispatched, what=f"{replica} to index its log", timeout_s=DISPATCH_TIMEOUT_S)
        except WaitTimeout:
            return _behind(told)
        return None

    def _await_mark(self, replica: str) -> _Behind | None:
        """Waits until a message that was written last is in the index: all that was stored before it is then, too.

        For a release that does not tell. 3.2.6 hands messages to its one indexing thread in the order of its log, under
        the lock under which it stores them (`CommitLog.putMessage`, `DispatchMessageService.doDispatch`).
        """
        looks = self._cluster.looks
        written = looks.probe_write(self._cluster.master(self._cluster.broker_name(replica)))
        if not written.ok:
            return _Behind(False, f"the broker does not tell how far its index is behind, and a write {written.text}")
        try:
            wait_for(lambda: looks.indexed(replica, written), what="the index", timeout_s=DISPATCH_TIMEOUT_S)
        except WaitTimeout:
            return _Behind(False, f"what was written last was not in the index after {DISPATCH_TIMEOUT_S:.0f} s")
        return None

    def _queues(self, replica: str, topics: Iterable[str]) -> list[_Queue]:
        broker = self._cluster.broker_name(replica)
        tables = [self._cluster.looks.topics(node) or {} for node in self._running(broker)]
        planned = {spec.name: spec.queues for spec in self._cluster.plan.topics}
        address = self._cluster.address(replica)
        queues: list[_Queue] = []
        for topic in topics:
            counts = [_queue_count(table[topic]) for table in tables if topic in table]
            count = max((*counts, planned.get(topic, 0)))
            queues += [_Queue(replica, broker, QueueRef(address, topic, number)) for number in range(count)]
        return queues

    def _running(self, broker: str) -> list[str]:
        nodes = self._cluster.replicas(broker)
        return [node for node in nodes if self._cluster.runtime.state(node).kind == "running"]

    async def _read(
        self, phase: str, queues: Sequence[_Queue], doubts: Mapping[str, str], still: Mapping[str, str]
    ) -> tuple[int, list[str]]:
        gate = asyncio.Semaphore(PARALLEL)

        async def one(queue: _Queue) -> tuple[int, str | None]:
            async with gate:
                read, again = await self._read_one(queue.ref)
            if read.complete and queue.replica in doubts:
                read = replace(read, complete=False, remark=doubts[queue.replica])
            note = "; ".join(filter(None, (still.get(queue.replica), again)))
            self._record(lines(phase, queue.replica, queue.broker, read, time.monotonic_ns(), note))
            where = f"{queue.replica} {queue.ref.topic}[{queue.ref.queue}]"
            return len(read.messages), None if read.complete else f"{where}: {read.remark}"

        done = await asyncio.gather(*(one(queue) for queue in queues))
        return sum(rows for rows, _ in done), [why for _, why in done if why is not None]

    async def _read_one(self, queue: QueueRef) -> tuple[QueueRead, str]:
        """The queue as the last reading of it found it, and why there was more than one, if so.

        A 5.x slave that takes over its master's metadata has no topic for an instant, and drops what it is asked just
        then: a pull gets no answer at all. Such a reading is repeated, from the queue's beginning.
        """
        reason, looks = "", 1
        while True:
            read = await self._cluster.admin.calls.read_queue(queue, settle_s=SETTLE_S, timeout_s=READ_TIMEOUT_S)
            missing, mute = read.code == ResponseCode.TOPIC_NOT_EXIST, read.unanswered
            if read.complete or not (missing or mute) or looks >= (ANSWER_LOOKS if mute else TOPIC_LOOKS):
                return read, reason
            reason = f"read again after: {read.remark}"
            looks += 1
            await asyncio.sleep(TOPIC_POLL_S)


def _queue_count(config: Mapping[str, Any]) -> int:
    return max(int(config.get("readQueueNums", 0)), int(config.get("writeQueueNums", 0)))


def identify(message: StoredMessage) -> tuple[str, str | None]:
    """Our own id of a message (or where it lies, if it is nobody's), and in what it differs from what was sent."""
    found, altered = examine(message.body, message.properties.get("KEYS"), checksum=message.crc_matches)
    return found or f"unidentified@{message.physical_offset}", altered


def lines(phase: str, replica: str, broker: str, read: QueueRead, time_ns: int, note: str = "") -> list[dict[str, Any]]:
    """The READ lines of one queue of one replica and its DRAIN line, which comes last; `note` is for its detail."""
    topic, queue = read.queue.topic, read.queue.queue
    where: dict[str, Any] = {"s": phase, "r": replica, "b": broker, "tp": topic, "q": queue}
    rows = [_row(message, where, time_ns) for message in read.messages]
    jumps = [f"offsets {jump.at} to {jump.to} were skipped by the broker" for jump in read.jumps]
    detail = read.remark if not read.complete else "; ".join(filter(None, (*jumps, note))) or None
    outcome = OpType.OK if read.complete else OpType.FAIL
    return [*rows, line(OpName.DRAIN, outcome, time_ns, **where, k=len(rows), e=detail, a=COMPARED)]


def _row(message: StoredMessage, where: Mapping[str, Any], time_ns: int) -> dict[str, Any]:
    found, altered = identify(message)
    place = {**where, "o": message.queue_offset}
    return line(OpName.READ, OpType.OK, time_ns, **place, id=found, e=message.digest, a=altered)
