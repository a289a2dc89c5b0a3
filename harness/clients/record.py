"""Writes a worker's history: one line per event, in the kernel's hands before anything that follows from it."""

from __future__ import annotations

import ctypes
import json
import os
import time
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from harness.core import content
from harness.core.errors import ClientError
from harness.core.names import COUNTED, REFUSED

MAX_ERROR_CHARS = 400
# Python's own write gives its lock away for a copy of 200 bytes, and eight senders then queue for it.
_write = ctypes.PyDLL(None, use_errno=True).write
_write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_write.restype = ctypes.c_ssize_t


class Recorder:
    """Appends lines to one file, each call in one write, from any thread.

    A write keeps the other threads of the process waiting; one that hangs makes it stand still, which its ticks tell.
    What was written survives the death of the worker, not of the machine. Raises `ClientError` where the disk
    refuses: a worker that cannot record must not go on.
    """

    def __init__(self, path: str) -> None:
        """`path` is a file, or `fd:N` for a descriptor that was handed to this process open for appending."""
        self._fd = (
            int(path[3:])
            if path.startswith("fd:")
            else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        )
        self.failed: ClientError | None = None
        """What `write` raised: in a callback of the Java client nobody else would learn of it."""

    def write(self, lines: str) -> None:
        """Hands whole lines, each ended by a line feed, to the kernel."""
        data = lines.encode()
        written = _write(self._fd, data, len(data))
        if written != len(data):
            why = os.strerror(ctypes.get_errno()) if written < 0 else f"{written} of {len(data)} bytes were taken"
            self.failed = ClientError(f"the history could not be written: {why}")
            raise self.failed

    def hello(self, client: str, versions: dict[str, str], config: dict[str, Any]) -> None:
        """The first line: what this process is, and wall time and monotonic time of one instant."""
        now = time.monotonic_ns()
        about = {"client": client, "versions": versions, "wall_ns": time.time_ns(), "config": config, COUNTED: True}
        about["body"] = content.FORMAT
        text = quoted(json.dumps(about, separators=(",", ":")))
        self.write(f'{{"f":"hello","y":"info","t":{now},"x":{text}}}\n')

    def route(self, topic: str, writable: dict[str, str], queues: int) -> None:
        """Where the client may send from now on: broker name -> address of its master, and how many queues."""
        text = quoted(json.dumps({"writable": writable, "queues": queues}, separators=(",", ":")))
        self.write(f'{{"f":"route","y":"info","t":{time.monotonic_ns()},"tp":{quoted(topic)},"x":{text}}}\n')

    def event(self, name: str, detail: dict[str, Any]) -> None:
        """Anything else worth a line on the time axis."""
        text = quoted(json.dumps(detail, separators=(",", ":")))
        self.write(f'{{"f":"event","y":"info","t":{time.monotonic_ns()},"s":{quoted(name)},"x":{text}}}\n')


class SendLines:
    """Formats the lines of one producer's sends. Pure text: stamps nothing, writes nothing."""

    def __init__(self, process: str, topic: str) -> None:
        self._process = process
        self._id = quoted(process)[:-1] + "-"
        self._topic = quoted(topic)

    def invoke(self, n: int, time_ns: int) -> str:
        """Message n is about to be sent."""
        return f'{{"f":"send","y":"invoke","t":{time_ns},"c":{n},"id":{self._id}{n}","tp":{self._topic}}}\n'

    def ended(self, n: int, time_ns: int, outcome: str, status: str, broker: str = "") -> str:
        """Message n ended with a status that says nothing of where it is, but for the broker name if that is known."""
        place = f',"b":{quoted(broker)}' if broker else ""
        return f'{{"f":"send","y":"{outcome}","t":{time_ns},"c":{n},"id":{self._id}{n}","s":"{status}"{place}}}\n'

    def done(self, n: int, time_ns: int, outcome: str, status: str, place: tuple[str, int, int], code: str = "") -> str:
        """Message n was answered with a status; `place` is broker, queue and offset, `code` a number or nothing."""
        broker, queue, offset = place
        number = f',"k":{code}' if code else ""
        return (
            f'{{"f":"send","y":"{outcome}","t":{time_ns},"c":{n},"id":{self._id}{n}","s":"{status}",'
            f'"b":{quoted(broker)},"q":{queue},"o":{offset}{number}}}\n'
        )

    def failed(self, n: int, time_ns: int, outcome: str, error: str, text: str, code: int | None = None) -> str:
        """Message n ended in an exception of class `error`, or in a refusal with `code`."""
        number = f',"k":{code}' if code is not None else ""
        return (
            f'{{"f":"send","y":"{outcome}","t":{time_ns},"c":{n},"id":{self._id}{n}","s":{quoted(error)}{number},'
            f'"e":{quoted(text[:MAX_ERROR_CHARS])}}}\n'
        )


class DeliverLines:
    """Formats the lines of one consumer's deliveries. A delivery is one line: the listener was given the message."""

    def __init__(self, group: str) -> None:
        self._group = quoted(group)

    def deliver(
        self,
        message_id: str,
        time_ns: int,
        topic: str,
        place: tuple[str, int, int],
        reconsume: int,
        altered: str | None = None,
        *,
        refused: bool = False,
    ) -> str:
        """`place` is broker, queue and offset of where it was read: of the retry topic if `reconsume` is above 0.

        `refused`: the listener is about to answer that it is to come again.
        `altered` is in what it differs from what was sent, as `examine` of `harness.core.content` says it.
        """
        broker, queue, offset = place
        differs = f',"a":{quoted(altered)}' if altered else ""
        status = f',"s":"{REFUSED}"' if refused else ""
        return (
            f'{{"f":"deliver","y":"ok","t":{time_ns},"id":{quoted(message_id)},"tp":{quoted(topic)},'
            f'"b":{quoted(broker)},"r":{self._group},"q":{queue},"o":{offset},"k":{reconsume}{status}{differs}}}\n'
        )
