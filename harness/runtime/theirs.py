"""What only a runtime with nodes of its own can do: disks, files and cuts. Asked of others it is missing."""

# ruff: noqa: ARG002 - the arguments are the protocol's

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from harness.core.errors import CapabilityMissing
from harness.runtime.base import NETWORK_CUT, NODE_CONFIG, DiskUsage, FailsBy, FileEntry, Pair, PowerCut

NOT_OURS: Final = "the cluster is somebody else's: only --runtime local and docker have nodes and disks of their own"


def not_here() -> NoReturn:
    """Raises `CapabilityMissing`."""
    raise CapabilityMissing(NODE_CONFIG, NOT_OURS)


class Theirs:
    """The part of a `Runtime` whose nodes are somebody else's: everything raises `CapabilityMissing`."""

    def cut(self, *pairs: Pair) -> None:
        """Raises `CapabilityMissing`."""
        raise CapabilityMissing(NETWORK_CUT, NOT_OURS)

    def passes(self, source: str, destination: str) -> bool:
        """Raises `CapabilityMissing`."""
        raise CapabilityMissing(NETWORK_CUT, NOT_OURS)

    def run(self, node: str, argv: Sequence[str], timeout_s: float) -> tuple[int, bytes, bytes]:
        """Raises `CapabilityMissing`."""
        not_here()

    def disk_usage(self, node: str) -> DiskUsage:
        """Raises `CapabilityMissing`."""
        not_here()

    def fill_disk(self, node: str, ratio: float) -> DiskUsage:
        """Raises `CapabilityMissing`."""
        not_here()

    def free_disk(self, node: str) -> DiskUsage:
        """Raises `CapabilityMissing`."""
        not_here()

    def empty_store(self, node: str) -> None:
        """Raises `CapabilityMissing`."""
        not_here()

    def sync_disk(self, node: str) -> None:
        """Raises `CapabilityMissing`."""
        not_here()

    def cut_power(self, node: str) -> PowerCut:
        """Raises `CapabilityMissing`."""
        not_here()

    def fail_disk(self, node: str, how: FailsBy = "eio") -> None:
        """Raises `CapabilityMissing`."""
        not_here()

    def mend_disk(self, node: str) -> None:
        """Raises `CapabilityMissing`."""
        not_here()

    def disk_answers(self, node: str) -> bool:
        """Raises `CapabilityMissing`."""
        not_here()

    def slow_disk(self, node: str, delay_s: float) -> None:
        """Raises `CapabilityMissing`."""
        not_here()

    def sync_s(self, node: str) -> float:
        """Raises `CapabilityMissing`."""
        not_here()

    def set_mtime(self, node: str, pattern: str, age_s: float) -> int:
        """Raises `CapabilityMissing`."""
        not_here()

    def list_files(self, node: str, subdir: str = "") -> tuple[FileEntry, ...]:
        """Raises `CapabilityMissing`."""
        not_here()

    def read_file(self, node: str, path: str) -> bytes:
        """Raises `CapabilityMissing`."""
        not_here()

    def patch_file(self, node: str, path: str, at: int, data: bytes) -> None:
        """Raises `CapabilityMissing`."""
        not_here()

    def write_file(self, node: str, path: str, data: bytes) -> None:
        """Raises `CapabilityMissing`."""
        not_here()
