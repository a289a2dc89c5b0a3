"""One short exchange over a link, as its users have them: what a link does is seen in it, and in nothing else.

A broker is asked for an offset and a nameserver for its table. A master's HA port answers a slave alone: it is asked as
one that has nothing, and sends from the beginning of its newest log file. That slave is connected for the moment and
acknowledges nothing, so no send is answered because of it.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from harness.topology.links import LinkKind
from harness.wire.codes import RequestCode
from harness.wire.frame import Frame, encode

Word = Literal["answered", "reset", "closed", "silent", "refused"]
HA_HEADER_BYTES: Final = 12
_NOTHING: Final = struct.pack(">q", 0)
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Exchange:
    """How it ended, after how many seconds from the first byte sent, and how many bytes had come back."""

    word: Word
    took_s: float
    got_bytes: int = 0

    @property
    def answered(self) -> bool:
        """All that was to come back has come."""
        return self.word == "answered"


def exchange(connection: socket.socket, kind: LinkKind, topic: str, size_bytes: int, timeout_s: float) -> Exchange:
    """Sends a request and reads its answer, within so many seconds. Closes the connection.

    `size_bytes` is what is carried at least: in the request to a broker or nameserver, in the answer of a master.
    """
    began = time.monotonic()
    got = 0
    try:
        with connection:
            connection.settimeout(timeout_s)
            connection.sendall(_NOTHING if kind == "ha" else _request(kind, topic, size_bytes))
            wanted = max(HA_HEADER_BYTES, size_bytes) if kind == "ha" else 1
            while got < wanted:
                left_s = timeout_s - (time.monotonic() - began)
                if left_s <= 0:
                    return Exchange("silent", time.monotonic() - began, got)
                connection.settimeout(left_s)
                data = connection.recv(_CHUNK)
                if not data:
                    return Exchange("closed", time.monotonic() - began, got)
                got += len(data)
            answered = Exchange("answered", time.monotonic() - began, got)
            if kind == "ha":
                _drain(connection, timeout_s)
            return answered
    except TimeoutError:
        return Exchange("silent", time.monotonic() - began, got)
    except OSError:
        return Exchange("reset", time.monotonic() - began, got)


def farewell(connection: socket.socket, timeout_s: float) -> Exchange:
    """Says nothing more and waits until the other side closes, too: `closed` if it did in time."""
    began = time.monotonic()
    try:
        with connection:
            connection.settimeout(timeout_s)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(_CHUNK):
                pass
    except TimeoutError:
        return Exchange("silent", time.monotonic() - began)
    except OSError:
        return Exchange("reset", time.monotonic() - began)
    return Exchange("closed", time.monotonic() - began)


def _drain(connection: socket.socket, timeout_s: float) -> None:
    """Takes what is on its way before the connection closes, for so long at most.

    Toxiproxy 2.5 takes five seconds to remove a toxic for every piece of data that nobody takes from it any more.
    """
    until = time.monotonic() + timeout_s
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left_s := until - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(_CHUNK):
                return


def _request(kind: LinkKind, topic: str, size_bytes: int) -> bytes:
    """What is answered in a word and changes nothing; a body that nobody asked for is not looked at."""
    if kind == "nameservers":
        return encode(Frame(RequestCode.GET_BROKER_CLUSTER_INFO, {}, bytes(size_bytes)))
    return encode(Frame(RequestCode.GET_MAX_OFFSET, {"topic": topic, "queueId": "0"}, bytes(size_bytes)))
