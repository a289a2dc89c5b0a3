"""What name servers and brokers answer, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.wire.codes import STORED, ResponseCode
from harness.wire.message import StoredMessage

PERM_READ = 4
PERM_WRITE = 2

MASTER_ID = 0


@dataclass(frozen=True, slots=True)
class QueueData:
    """A topic's queues on one broker name, as one name server tells it."""

    broker: str
    read_queues: int
    write_queues: int
    perm: int

    @property
    def readable(self) -> bool:
        """Whether clients that obey the route read from here."""
        return bool(self.perm & PERM_READ)

    @property
    def writable(self) -> bool:
        """Whether clients that obey the route write here. Says nothing of what the broker itself refuses."""
        return bool(self.perm & PERM_WRITE)


@dataclass(frozen=True, slots=True)
class Route:
    """One name server's route of a topic. `brokers` maps broker name to address by broker id (0 = master)."""

    topic: str
    queues: tuple[QueueData, ...]
    brokers: Mapping[str, Mapping[int, str]]

    def of(self, broker: str) -> QueueData | None:
        """The topic's queues on one broker name, if it has any."""
        return next((queues for queues in self.queues if queues.broker == broker), None)

    @property
    def masters(self) -> dict[str, str]:
        """Addresses of the masters alive in this route, by broker name."""
        return {name: ids[MASTER_ID] for name, ids in self.brokers.items() if MASTER_ID in ids}

    @property
    def writable_masters(self) -> dict[str, str]:
        """Where a client that obeys the route may send: masters alive whose queues are writable."""
        return {q.broker: self.masters[q.broker] for q in self.queues if q.writable and q.broker in self.masters}


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """One name server's view: addresses by broker name and id, broker names by cluster."""

    brokers: Mapping[str, Mapping[int, str]]
    clusters: Mapping[str, tuple[str, ...]]

    def address(self, broker: str, broker_id: int = MASTER_ID) -> str | None:
        """Where that replica is registered from, or None while it is not registered."""
        return self.brokers.get(broker, {}).get(broker_id)


@dataclass(frozen=True, slots=True)
class SendReply:
    """A broker's answer to one send. `queue`, `offset` and `msg_id` are set only if the message is stored."""

    code: int
    remark: str
    broker: str
    queue: int
    offset: int
    msg_id: str

    @property
    def acknowledged(self) -> bool:
        """SEND_OK: the only answer that promises anything."""
        return self.code == ResponseCode.SUCCESS

    @property
    def stored(self) -> bool:
        """Whether the answering broker has the message in its log (true for 10, 11 and 12 also)."""
        return self.code in STORED


@dataclass(frozen=True, slots=True)
class PullReply:
    """A broker's answer to one pull, whatever its code."""

    code: int
    remark: str
    next_offset: int
    min_offset: int
    max_offset: int
    messages: tuple[StoredMessage, ...]
    suggested_broker_id: int = MASTER_ID

    @property
    def found(self) -> bool:
        """Whether the answer carries messages."""
        return self.code == ResponseCode.SUCCESS


@dataclass(frozen=True, slots=True)
class QueueRef:
    """A queue of a topic on one replica."""

    address: str
    topic: str
    queue: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.queue}] on {self.address}"


@dataclass(frozen=True, slots=True)
class Jump:
    """Where the replica itself sent the reader on: offsets [`at`, `to`) were never delivered."""

    at: int
    to: int
    code: int


@dataclass(frozen=True, slots=True)
class QueueRead:
    """A queue as read from one replica, in its order, nothing merged.

    Only `complete` reads may be judged: the replica said there was no more, and its max offset stood still
    for two looks. Otherwise `code` (None if there was no answer) and `remark` say what ended the read.
    A complete read proves what this replica serves now, not what it will after a recovery.
    """

    queue: QueueRef
    messages: tuple[StoredMessage, ...]
    complete: bool
    code: int | None
    remark: str
    min_offset: int
    max_offset: int
    jumps: tuple[Jump, ...] = ()
    unanswered: bool = False
    """It ended because the broker, though connected, did not answer a request in time."""

    @property
    def repeated_offsets(self) -> tuple[int, ...]:
        """Queue offsets carried by more than one message, in order of the repeats."""
        seen: set[int] = set()
        repeats: list[int] = []
        for message in self.messages:
            if message.queue_offset in seen:
                repeats.append(message.queue_offset)
            seen.add(message.queue_offset)
        return tuple(repeats)

    @property
    def missing_offsets(self) -> tuple[range, ...]:
        """Runs of queue offsets within [min, max) that no message carries."""
        missing: list[range] = []
        expected = self.min_offset
        for offset in sorted({message.queue_offset for message in self.messages}):
            if offset > expected:
                missing.append(range(expected, offset))
            expected = max(expected, offset + 1)
        if self.complete and expected < self.max_offset:
            missing.append(range(expected, self.max_offset))
        return tuple(missing)


@dataclass(frozen=True, slots=True)
class HaConnection:
    """One slave's link as the master sees it."""

    address: str
    acked_offset: int
    behind_bytes: int
    in_sync: bool


@dataclass(frozen=True, slots=True)
class HaStatus:
    """A 5.x broker's own view of its replication; `max_offset` is where its own commit log ends."""

    is_master: bool
    max_offset: int
    in_sync_slaves: int
    connections: tuple[HaConnection, ...]
