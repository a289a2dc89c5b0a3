"""Frames of the remoting protocol: length, header, body. Headers are written as JSON and read as JSON or binary."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.wire import fastjson
from harness.wire.errors import Malformed

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""The product's own default limit (`com.rocketmq.remoting.frameMaxLength`)."""

CLIENT_VERSION = 401
"""The ordinal of 4.9.4: the first for which name servers write routes as standard JSON."""

FLAG_REPLY = 1
FLAG_ONEWAY = 2

_JSON, _BINARY = 0, 1
_LENGTHS = struct.Struct(">iI")
_LENGTH = struct.Struct(">i")
_BINARY_HEAD = struct.Struct(">hBhiii")
_SHORT = struct.Struct(">h")
_raw_decode = json.JSONDecoder().raw_decode
_LANGUAGES = (
    "JAVA CPP DOTNET PYTHON DELPHI ERLANG RUBY OTHER HTTP GO PHP OMS RUST NODE_JS".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One request or answer. `ext` is what the product calls extFields; all its values are text."""

    code: int
    ext: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    opaque: int = 0
    flag: int = 0
    remark: str | None = None
    language: str = "PYTHON"
    version: int = CLIENT_VERSION

    @property
    def is_reply(self) -> bool:
        """True for the answer to a request, false for a request (also for one that the peer sends us)."""
        return bool(self.flag & FLAG_REPLY)

    @property
    def is_oneway(self) -> bool:
        """True for a request that wants no answer."""
        return bool(self.flag & FLAG_ONEWAY)


def head(code: int, ext: Mapping[str, str], flag: int = 0) -> bytes:
    """The JSON header of a request up to its opaque; `seal` completes it. May be made once and sealed often."""
    return b'{"code":%d,"language":"PYTHON","version":%d,"flag":%d,"extFields":%b,"opaque":' % (
        code,
        CLIENT_VERSION,
        flag,
        json.dumps(ext, separators=(",", ":")).encode(),
    )


def seal(opened: bytes, opaque: int, body: bytes) -> bytes:
    """A whole frame from what `head` (or a send template) opened."""
    header = b"%b%d}" % (opened, opaque)
    length = len(header)
    return b"%b%b%b" % (_LENGTHS.pack(4 + length + len(body), length), header, body)


def encode(frame: Frame) -> bytes:
    """A whole frame with a JSON header, as the product writes it."""
    fields: dict[str, Any] = {
        "code": frame.code,
        "extFields": dict(frame.ext),
        "flag": frame.flag,
        "language": frame.language,
        "opaque": frame.opaque,
        "serializeTypeCurrentRPC": "JSON",
        "version": frame.version,
    }
    if frame.remark is not None:
        fields["remark"] = frame.remark
    header = json.dumps(fields, separators=(",", ":")).encode()
    return _LENGTHS.pack(4 + len(header) + len(frame.body), len(header)) + header + frame.body


def decode(payload: bytes) -> Frame:
    """The frame in `payload`, which is what follows the four bytes of total length. Raises `Malformed`."""
    if len(payload) < 4:
        raise Malformed(f"a frame of {len(payload)} bytes has no header length")
    kind = payload[0]
    end = 4 + int.from_bytes(payload[1:4], "big")
    if end > len(payload):
        raise Malformed(f"a header of {end - 4} bytes does not fit a frame of {len(payload)} bytes")
    if kind == _JSON:
        return _from_json(payload[4:end], payload[end:])
    if kind == _BINARY:
        return _from_binary(payload[4:end], payload[end:])
    raise Malformed(f"header type {kind} is neither JSON (0) nor ROCKETMQ (1)")


class FrameSplitter:
    """Cuts a byte stream into frames. After it has raised, the stream is out of step and must be closed."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_bytes = max_frame_bytes
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        """Bytes of a frame that has not arrived whole."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields every frame that `data` completes. Raises `Malformed` on a length no frame may have."""
        held = self._held
        held += data
        at = 0
        try:
            while len(held) - at >= 4:
                (total,) = _LENGTH.unpack_from(held, at)
                if not 4 <= total <= self._max_bytes:
                    raise Malformed(f"a frame of {total} bytes is not between 4 and {self._max_bytes} bytes")
                if len(held) - at - 4 < total:
                    break
                payload = bytes(memoryview(held)[at + 4 : at + 4 + total])
                at += 4 + total
                yield decode(payload)
        finally:
            del held[:at]


def _from_json(header: bytes, body: bytes) -> Frame:
    try:
        text = header.decode("utf-8")
        fields, end = _raw_decode(text)
        if end != len(text):
            fields = fastjson.loads(text)
    except (ValueError, RecursionError):
        fields = fastjson.loads(header)
    try:
        return Frame(
            code=int(fields["code"]),
            ext=_ext(fields.get("extFields")),
            body=body,
            opaque=int(fields["opaque"]),
            flag=int(fields["flag"]),
            remark=fields.get("remark"),
            language=fields.get("language", "JAVA"),
            version=int(fields.get("version", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"a JSON header without a usable {error}: {header[:200]!r}") from None


def _ext(fields: Any) -> dict[str, str]:
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise TypeError("extFields")
    return fields


def _from_binary(header: bytes, body: bytes) -> Frame:
    try:
        code, language, version, opaque, flag, remark_bytes = _BINARY_HEAD.unpack_from(header)
        at = _BINARY_HEAD.size
        remark = _text(header, at, remark_bytes) or None
        at += remark_bytes
        (ext_bytes,) = _LENGTH.unpack_from(header, at)
        ext = _binary_ext(header, at + 4, ext_bytes)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise Malformed(f"a ROCKETMQ header that ends early or lies about a length: {error}") from None
    name = _LANGUAGES[language] if language < len(_LANGUAGES) else f"language-{language}"
    return Frame(code, ext, body, opaque, flag, remark, name, version)


def _binary_ext(header: bytes, at: int, length: int) -> dict[str, str]:
    end = at + length
    if length < 0 or end > len(header):
        raise ValueError(f"extFields of {length} bytes")
    ext: dict[str, str] = {}
    while at < end:
        (key_bytes,) = _SHORT.unpack_from(header, at)
        key = _text(header, at + 2, key_bytes)
        at += 2 + key_bytes
        (value_bytes,) = _LENGTH.unpack_from(header, at)
        ext[key] = _text(header, at + 4, value_bytes)
        at += 4 + value_bytes
    return ext


def _text(header: bytes, at: int, length: int) -> str:
    if length < 0 or at + length > len(header):
        raise ValueError(f"a text of {length} bytes at {at}")
    return header[at : at + length].decode("utf-8")
