"""Starting a node again over its store, and what is known of one that ends by itself instead."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.core.errors import HarnessError, NodeDied

if TYPE_CHECKING:
    from harness.cluster import Cluster

ATTEMPTS: Final = 2
_MEMORY_BYTES: Final = 1 << 30
_DISK_RATIO: Final = 0.9
_DISK_BYTES: Final = 256 << 20
_OF_THE_MACHINE: Final = (
    "insufficient memory",
    "Could not reserve enough space",
    "Cannot allocate memory",
    "OutOfMemoryError",
    "No space left",
    "Address already in use",
    "Too many open files",
    "out of memory",
    "pthread_create failed",
    "Resource temporarily unavailable",
    "Disk quota exceeded",
    "Input/output error",
)
"""Compared without regard to case."""
_OF_SOMEBODY_ELSE: Final = (126, 127, 129, 130, 143)
"""What a shell ends with that cannot run what it is told, and Java after SIGHUP, SIGINT or SIGTERM of somebody's."""


class RestartFailed(NodeDied):
    """A node ended by itself each time it was started again. `seen` is what is recorded of it."""

    def __init__(self, message: str, node: str, seen: dict[str, Any]) -> None:
        super().__init__(message)
        self.node = node
        self.seen = seen


def restart(cluster: Cluster, node: str) -> dict[str, Any] | None:
    """Starts the node; one that exits by itself is started a second time.

    Returns None, or what was seen of a first exit. Raises RestartFailed after two, other errors as they come: a node
    that only takes too long is not known to have failed.
    """
    exits: list[dict[str, Any]] = []
    words = ""
    for _ in range(ATTEMPTS):
        try:
            cluster.start_node(node)
        except NodeDied as error:
            words = str(error)
            exits.append(about_exit(cluster, node, words))
        else:
            return {"returned": True, "exits": exits} if exits else None
    raise RestartFailed(words, node, {"returned": False, "exits": exits})


def about_exit(cluster: Cluster, node: str, words: str) -> dict[str, Any]:
    """How it ended, and whether the machine had what it takes: if that is not known it is not the node's doing."""
    state = cluster.runtime.state(node)
    memory = _free_memory_bytes()
    free = ratio = None
    with suppress(HarnessError, OSError):
        usage = cluster.runtime.disk_usage(node)
        free, ratio = usage.usable_bytes, usage.ratio
    own = (
        state.exit_code is not None
        and state.exit_code not in _OF_SOMEBODY_ELSE
        and state.signal is None
        and memory is not None
        and memory >= _MEMORY_BYTES
        and free is not None
        and free >= _DISK_BYTES
        and ratio is not None
        and ratio < _DISK_RATIO
        and not any(word.lower() in words.lower() for word in _OF_THE_MACHINE)
    )
    return {
        "own": own,
        "how": str(state),
        "free_memory_bytes": memory,
        "free_disk_bytes": free,
        "disk_ratio": ratio,
        "words": words[-4000:],
    }


def _free_memory_bytes() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
