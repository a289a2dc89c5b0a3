"""Damage to single bytes: what a bad sector, memory or cable leaves behind."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.core.errors import FaultError
from harness.faults.base import Detail
from harness.faults.process import ProcessFault, kill_and_wait
from harness.wire.message import MAGIC_V1, MAGIC_V2, body_span, decode_message

if TYPE_CHECKING:
    from harness.cluster import Cluster

_START: Final = struct.Struct(">ii")
LEAST: Final = 100
"""So many messages the newest file must hold for one of them to be in its midst."""


class FlipByte(ProcessFault):
    """Kill -9, then one byte is changed in the body of one message of the commit log, in the midst of its newest file.

    The newest is the last one with a message in it: where recovery certainly looks. `flipped` tells for each node the
    file, the place in it and how many messages come `after`. Raises FaultError where it holds fewer than `LEAST`. Files
    are read whole: for a cluster whose commit-log files are small.
    """

    kind: Literal["flip-byte"] = "flip-byte"

    def inject(self, cluster: Cluster) -> Detail:
        """Kills every target, then changes a byte on the disk of each."""
        nodes = self.targets(cluster)
        kill_and_wait(cluster, nodes)
        return {"flipped": {node: self._flip(cluster, node) for node in nodes}}

    def bites(self, cluster: Cluster) -> bool:
        """The process is gone, and a message of its newest file does not have the checksum that is stored with it."""
        return super().bites(cluster) and all(
            any(not decode_message(raw).crc_matches for _at, raw in newest(cluster, node)[1])
            for node in self.targets(cluster)
        )

    def _flip(self, cluster: Cluster, node: str) -> dict[str, Any]:
        path, found = newest(cluster, node)
        with_body = [(at, raw) for at, raw in found if body_span(raw)[0] < body_span(raw)[1]]
        if len(with_body) < LEAST:
            there = f"{path or 'the commit log'} of {node} holds {len(with_body)} messages"
            raise FaultError(f"{there}, {LEAST} are needed for one in its midst; let the load run longer before")
        at, raw = with_body[len(with_body) // 2]
        place = at + body_span(raw)[0]
        cluster.runtime.patch_file(node, path, place, bytes([raw[place - at] ^ 0xFF]))
        return {"file": path, "place": place, "after": sum(other > at for other, _raw in found)}


def newest(cluster: Cluster, node: str) -> tuple[str, list[tuple[int, bytes]]]:
    """The last file of a node's commit log with a message in it, and its messages; no name and none without one."""
    paths = sorted(file.path for file in cluster.runtime.list_files(node, "store/commitlog"))
    for path in reversed(paths):
        found = list(records(cluster.runtime.read_file(node, path)))
        if found:
            return path, found
    return "", []


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Place and bytes of every message of a commit-log file, up to the first thing that is none."""
    at = 0
    while at + _START.size <= len(data):
        size, magic = _START.unpack_from(data, at)
        if magic not in (MAGIC_V1, MAGIC_V2) or not _START.size < size <= len(data) - at:
            return
        yield at, data[at : at + size]
        at += size
