"""Messages as a broker stores them: the concatenation in a pull answer, and the properties text."""

from __future__ import annotations

import hashlib
import ipaddress
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from harness.wire.errors import Malformed

MAGIC_V1 = -626843481
MAGIC_V2 = -626843477
MAGIC_BLANK = -875286124

SYS_COMPRESSED = 0x1
SYS_TRANSACTION_PREPARED = 0x4
SYS_BORN_HOST_V6 = 0x10
SYS_STORE_HOST_V6 = 0x20

_HEAD = struct.Struct(">iiiiiqqiq")
_REST = struct.Struct(">iqi")
_BYTE = struct.Struct(">b")
_LONG = struct.Struct(">q")
_INT = struct.Struct(">i")
_SHORT = struct.Struct(">h")
_COMPRESSIONS = {0: "zlib", 1: "lz4", 2: "zstd", 3: "zlib"}


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as it lies in one broker's log.

    `body` is the payload, decompressed where zlib was used; where it could not be, `undecoded` names the
    compression and `body` is what is stored. `queue_offset` is the one written into the message: two messages
    of a queue may carry the same.
    """

    topic: str
    queue_id: int
    queue_offset: int
    physical_offset: int
    born_ts_ms: int
    store_ts_ms: int
    born_host: str
    store_host: str
    reconsume_times: int
    flag: int
    sys_flag: int
    prepared_tx_offset: int
    body: bytes
    body_crc: int
    properties: Mapping[str, str]
    undecoded: str | None = None
    raw: bytes = field(default=b"", repr=False)

    @property
    def digest(self) -> str:
        """A digest of every stored byte (offsets, timestamps, hosts, properties, body as stored).

        Replicas hold a message byte for byte, so equal digests are what agreement means; different digests
        at one queue offset are divergence.
        """
        return hashlib.blake2b(self.raw, digest_size=16).hexdigest()

    @property
    def keys(self) -> tuple[str, ...]:
        """The message's keys, as its producer set them."""
        return tuple(self.properties.get("KEYS", "").split())

    @property
    def tags(self) -> str | None:
        """The message's tag."""
        return self.properties.get("TAGS")

    @property
    def crc_matches(self) -> bool:
        """False if the stored body is not the one whose checksum was stored: corruption at rest."""
        return stored_crc(_stored_body(self.raw)) == self.body_crc


def stored_crc(stored_body: bytes) -> int:
    """The checksum the product stores for a body: CRC-32 without its sign bit."""
    return zlib.crc32(stored_body) & 0x7FFFFFFF


def encode_properties(properties: Mapping[str, str]) -> str:
    """The properties text of a request. Raises `ValueError` for a name or value with a separator in it."""
    for name, value in properties.items():
        if "\x01" in name + value or "\x02" in name + value:
            raise ValueError(f"property {name!r} = {value!r} contains a separator (\\x01 or \\x02)")
    return "".join(f"{name}\x01{value}\x02" for name, value in properties.items())


def decode_properties(text: str) -> dict[str, str]:
    """The properties of a stored text; an item without a value separator is skipped, as the product does."""
    return dict([item.split("\x01", 1) for item in text.split("\x02") if "\x01" in item])


def decode_messages(body: bytes) -> Iterator[StoredMessage]:
    """Every message of a pull answer, in order. Raises `Malformed` where the bytes are not messages."""
    at = 0
    while at < len(body):
        if len(body) - at < _HEAD.size:
            raise Malformed(f"{len(body) - at} bytes at {at} are too few for a stored message")
        (size,) = _INT.unpack_from(body, at)
        if not _HEAD.size <= size <= len(body) - at:
            raise Malformed(f"a stored message of {size} bytes in the remaining {len(body) - at} bytes")
        (magic,) = _INT.unpack_from(body, at + 4)
        if magic != MAGIC_BLANK:
            yield decode_message(body[at : at + size])
        at += size


def decode_message(raw: bytes) -> StoredMessage:
    """One stored message, exactly its own bytes. Raises `Malformed`."""
    try:
        return _decode(raw)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise Malformed(f"a stored message of {len(raw)} bytes cannot be read: {error}") from None


def _decode(raw: bytes) -> StoredMessage:
    _, magic, crc, queue, flag, queue_offset, physical, sys_flag, born_ts = _HEAD.unpack_from(raw)
    if magic == MAGIC_V1:
        name_length = _BYTE
    elif magic == MAGIC_V2:
        name_length = _SHORT
    else:
        raise Malformed(f"magic {magic} is not that of a stored message")
    born_end = _HEAD.size + (20 if sys_flag & SYS_BORN_HOST_V6 else 8)
    at = born_end + 8 + (20 if sys_flag & SYS_STORE_HOST_V6 else 8)
    reconsumed, prepared, body_bytes = _REST.unpack_from(raw, at)
    stored, at = _slice(raw, at + _REST.size, body_bytes)
    topic, at = _slice(raw, at + name_length.size, name_length.unpack_from(raw, at)[0])
    properties, at = _slice(raw, at + 2, _SHORT.unpack_from(raw, at)[0])
    body, undecoded = _payload(stored, sys_flag) if sys_flag & SYS_COMPRESSED else (stored, None)
    return StoredMessage(
        topic.decode(),
        queue,
        queue_offset,
        physical,
        born_ts,
        _LONG.unpack_from(raw, born_end)[0],
        _host(raw[_HEAD.size : born_end]),
        _host(raw[born_end + 8 : born_end + (28 if sys_flag & SYS_STORE_HOST_V6 else 16)]),
        reconsumed,
        flag,
        sys_flag,
        prepared,
        body,
        crc,
        decode_properties(properties.decode()),
        undecoded,
        raw,
    )


def _slice(raw: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if length < 0 or end > len(raw):
        raise ValueError(f"a part of {length} bytes at {at}")
    return raw[at:end], end


@lru_cache(maxsize=1024)
def _host(raw: bytes) -> str:
    (port,) = _INT.unpack_from(raw, len(raw) - 4)
    if len(raw) == 20:
        return f"[{ipaddress.IPv6Address(raw[:16])}]:{port}"
    return f"{raw[0]}.{raw[1]}.{raw[2]}.{raw[3]}:{port}"


def _payload(stored: bytes, sys_flag: int) -> tuple[bytes, str | None]:
    compression = _COMPRESSIONS.get((sys_flag >> 8) & 0x7, "unknown compression")
    if compression != "zlib":
        return stored, compression
    try:
        return zlib.decompress(stored), None
    except zlib.error:
        return stored, compression


def body_span(raw: bytes) -> tuple[int, int]:
    """Where the body of a stored message lies in it, as stored: its first byte, and the one behind its last."""
    sys_flag = _HEAD.unpack_from(raw)[7]
    at = _HEAD.size + (20 if sys_flag & SYS_BORN_HOST_V6 else 8) + 8
    at += (20 if sys_flag & SYS_STORE_HOST_V6 else 8) + 12
    return at + 4, at + 4 + int(_INT.unpack_from(raw, at)[0])


def _stored_body(raw: bytes) -> bytes:
    begin, end = body_span(raw)
    return raw[begin:end]
