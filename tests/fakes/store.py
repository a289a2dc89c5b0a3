"""The log and queues of the fake broker, in the stored format of the real one."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field

from harness.wire.message import MAGIC_V1, MAGIC_V2, stored_crc


def encode_stored(
    *,
    topic: str = "t",
    queue_id: int = 0,
    queue_offset: int = 0,
    physical_offset: int = 0,
    body: bytes = b"",
    properties: str = "",
    born_ts_ms: int = 0,
    store_ts_ms: int = 0,
    born_host: tuple[bytes, int] = (b"\x7f\0\0\1", 1),
    store_host: tuple[bytes, int] = (b"\x7f\0\0\1", 10911),
    sys_flag: int = 0,
    flag: int = 0,
    reconsume_times: int = 0,
    prepared_tx_offset: int = 0,
    magic: int = MAGIC_V1,
    crc: int | None = None,
) -> bytes:
    """A stored message, byte for byte as a commit log has it; addresses of 16 bytes set the v6 flags."""
    sys_flag |= 0x10 if len(born_host[0]) == 16 else 0
    sys_flag |= 0x20 if len(store_host[0]) == 16 else 0
    name, props = topic.encode(), properties.encode()
    tail = b"".join(
        (
            struct.pack(">iiiqqiq", crc if crc is not None else stored_crc(body), queue_id, flag,
                        queue_offset, physical_offset, sys_flag, born_ts_ms),
            born_host[0], struct.pack(">i", born_host[1]),
            struct.pack(">q", store_ts_ms),
            store_host[0], struct.pack(">i", store_host[1]),
            struct.pack(">iqi", reconsume_times, prepared_tx_offset, len(body)), body,
            struct.pack(">b" if magic == MAGIC_V1 else ">h", len(name)), name,
            struct.pack(">h", len(props)), props,
        )
    )  # fmt: skip
    assert magic in (MAGIC_V1, MAGIC_V2)
    return struct.pack(">ii", 8 + len(tail), magic) + tail


@dataclass
class FakeQueue:
    """`entries[i]` is what index `first + i` points at: stored bytes, or None for a hole of the index."""

    first: int = 0
    entries: list[bytes | None] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + len(self.entries)

    def at(self, offset: int) -> bytes | None:
        return self.entries[offset - self.first]


@dataclass
class FakeStore:
    """Topics and their queues. A slave of a fake cluster has a store of its own, appended to by its master's."""

    port: int = 10911
    queues: dict[tuple[str, int], FakeQueue] = field(default_factory=dict)
    log_end: int = 0
    by_position: dict[int, bytes] = field(default_factory=dict)

    def queue(self, topic: str, number: int) -> FakeQueue:
        return self.queues.setdefault((topic, number), FakeQueue())

    def append(
        self,
        topic: str,
        number: int,
        body: bytes,
        properties: str,
        *,
        born_ts_ms: int = 0,
        offset: int | None = None,
        crc: int | None = None,
    ) -> bytes:
        """Stores a message; `offset` writes another queue offset into it than the index gives it."""
        queue = self.queue(topic, number)
        raw = encode_stored(
            topic=topic, queue_id=number, queue_offset=queue.end if offset is None else offset,
            physical_offset=self.log_end, body=body, properties=properties, born_ts_ms=born_ts_ms,
            store_ts_ms=time.time_ns() // 1_000_000, store_host=(b"\x7f\0\0\1", self.port), crc=crc,
        )  # fmt: skip
        self.append_raw(topic, number, raw)
        return raw

    def append_raw(self, topic: str, number: int, raw: bytes) -> None:
        self.queue(topic, number).entries.append(raw)
        self.by_position[self.log_end] = raw
        self.log_end += len(raw)

    def hole(self, topic: str, number: int) -> None:
        """An index entry that leads nowhere, as the roll of an index file leaves."""
        self.queue(topic, number).entries.append(None)

    def drop_head(self, topic: str, number: int, count: int) -> None:
        """Forgets the oldest messages, as the cleaning of a full disk does."""
        queue = self.queue(topic, number)
        del queue.entries[:count]
        queue.first += count

    def drop_tail(self, topic: str, number: int, count: int) -> None:
        """Forgets the newest messages, as a power cut does to what was not flushed."""
        del self.queue(topic, number).entries[-count:]

    def swap_tail(self, topic: str, number: int) -> None:
        """Exchanges the two newest messages."""
        entries = self.queue(topic, number).entries
        if len(entries) >= 2:
            entries[-1], entries[-2] = entries[-2], entries[-1]
