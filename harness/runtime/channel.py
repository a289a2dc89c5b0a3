"""Messages with descriptors between the harness and the holder: JSON over SOCK_SEQPACKET and SCM_RIGHTS."""

from __future__ import annotations

import json
import os
import socket
from array import array
from collections.abc import Sequence
from typing import Any

MAX_PACKET_BYTES = 60_000
MAX_FDS = 16
_FD_BYTES = array("i").itemsize

Message = dict[str, Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends that keep message boundaries; neither is inherited by programs started later."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Sends one message with descriptors. What does not fit into a packet travels as a memory file.

    Raises OSError when the other side is gone.
    """
    body = json.dumps(message).encode()
    if len(body) <= MAX_PACKET_BYTES:
        socket.send_fds(sock, [b"J" + body], list(fds))
        return
    memory = os.memfd_create("message")
    try:
        with os.fdopen(os.dup(memory), "wb") as out:
            out.write(body)
        socket.send_fds(sock, [b"M"], [memory, *fds])
    finally:
        os.close(memory)


def receive(sock: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors (the caller's to close), or None when the other side has closed.

    The descriptors are close-on-exec. Raises OSError, TimeoutError included.
    """
    try:
        # Not socket.recv_fds: it drops the flags (3.11), and every program started later would inherit.
        packet, ancillary, _flags, _address = sock.recvmsg(
            MAX_PACKET_BYTES + 1, socket.CMSG_SPACE(MAX_FDS * _FD_BYTES), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return None
    if not packet:
        return None
    fds = array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % _FD_BYTES])
    if packet[:1] == b"J":
        return json.loads(packet[1:]), list(fds)
    memory = fds.pop(0)
    with os.fdopen(memory, "rb") as source:
        source.seek(0)
        return json.loads(source.read()), list(fds)
