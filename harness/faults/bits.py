"""Damage to single bytes: what a bad sector, memory or cable leaves behind."""

from __future__ import annotations

import signal
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.core.errors import FaultError
from harness.faults.base import Detail
from harness.faults.process import ProcessFault
from harness.wire.message import MAGIC_V1, MAGIC_V2, decode_message

if TYPE_CHECKING:
    from harness.cluster import Cluster

_START: Final = struct.Struct(">ii")
LEAST: Final = 100
"""So many messages the newest file must hold for one of them to be in its midst."""


class FlipByte(ProcessFault):
    """Kill -9, then one byte is changed in the body of one message of the commit log, in the midst of its newest file.

    The newest is the last one with at least `LEAST` messages. `flipped` tells for each node the file, the place in it
    and how many messages come `after`. Raises FaultError where no file holds so many.
    """

    kind: Literal["flip-byte"] = "flip-byte"

    def inject(self, cluster: Cluster) -> Detail:
        """Kills every target, then changes a byte on the disk of each."""
        nodes = self.targets(cluster)
        for node in nodes:
            cluster.runtime.signal(node, signal.SIGKILL)
        flipped: dict[str, dict[str, Any]] = {}
        for node in nodes:
            cluster.runtime.wait_exit(node, 10)
            flipped[node] = self._flip(cluster, node)
        return {"flipped": flipped}

    def bites(self, cluster: Cluster) -> bool:
        """The process is gone, and a message of each target's log does not have the checksum that is stored with it."""
        return super().bites(cluster) and all(
            any(
                not decode_message(raw).crc_matches
                for data in logs(cluster, node).values()
                for _at, raw in records(data)
            )
            for node in self.targets(cluster)
        )

    def _flip(self, cluster: Cluster, node: str) -> dict[str, Any]:
        for path, data in reversed(logs(cluster, node).items()):
            found = list(records(data))
            if len(found) >= LEAST:
                middle, raw = found[len(found) // 2]
                place = middle + raw.index(decode_message(raw).body)
                changed = bytearray(data)
                changed[place] ^= 0xFF
                cluster.runtime.write_file(node, path, bytes(changed))
                return {"file": path, "place": place, "after": len(found) - len(found) // 2 - 1}
        raise FaultError(f"no commit-log file of {node} holds {LEAST} messages; let the load run longer before")


def logs(cluster: Cluster, node: str) -> dict[str, bytes]:
    """The files of a node's commit log, the oldest first."""
    paths = sorted(file.path for file in cluster.runtime.list_files(node, "store/commitlog"))
    return {path: cluster.runtime.read_file(node, path) for path in paths}


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Place and bytes of every message of a commit-log file, up to the first thing that is none."""
    at = 0
    while at + _START.size <= len(data):
        size, magic = _START.unpack_from(data, at)
        if magic not in (MAGIC_V1, MAGIC_V2) or not _START.size < size <= len(data) - at:
            return
        yield at, data[at : at + size]
        at += size
