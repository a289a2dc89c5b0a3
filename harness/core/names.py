"""Names under which the harness records what it did itself, for the judge to find."""

from __future__ import annotations

from typing import Final

DRAIN: Final = "drain."
"""An observation `drain.<group>`: what was undelivered when the wait for deliveries ended, and if it still got less."""

ROSTER: Final = "roster"
"""An event: a worker was started. `{"process", "role"}`."""

COUNTS: Final = "counts"
"""An event: what a worker said it had done. `{"process", "final", invoked, ok, fail, info, in_flight, delivered}`.

`final` is false of one that never said how much it was in the end: then it had done at least that.
"""

COUNTED: Final = "counted"
"""In a worker's first line: the harness that started it keeps a roster."""

STALL: Final = "stall"
"""An event of the process that stood still: `{"from_ns", "to_ns"}`."""

RAISED: Final = "raised"
"""An event of a consumer: `{"call", "error", "code", "text"}` of what its client raised, the first of several alike."""

TOLD: Final = "told"
"""An event of a producer: the end of a transaction was confirmed to it. `{"id"}` of the message."""

DISK_STALL: Final = "disk-stall"
"""An event of the harness: the disk below every store did not take a sync in time. `{"from_ns", "to_ns"}`."""

STARVED: Final = "starved"
"""An event: a node's threads wanted a processor and had none.

`{"node", "broker", "from_ns", "to_ns", "waited_s", "each_s", "ran", "long", "used"}`: as in `Lack` of the runtime.
"""

PROCESSORS_WATCHED: Final = "processors-watched"
"""An event: from here on such waits of every node's are looked at."""

RESTART_FAILED: Final = "restart-failed."
"""An observation `restart-failed.<node>`: it exited by itself when it was started again.

`{"returned", "exits": [{"own", "how", "free_memory_bytes", "free_disk_bytes", "disk_ratio", "words"}]}`.
"""
QUIET_S: Final = 20.0
"""A backlog that got less within so long is in progress: the Java client looks for queues to take over every 20 s."""

ACTED: Final = "acted"
"""An event: every step of the scenario was done. `{"faults", "looks"}` are the names of what was injected and seen."""

FORCED: Final = "had to be killed"
"""In the detail of a fault: a node that was to end by SIGTERM did not, and ended by SIGKILL."""

REFUSED: Final = "refused"
"""The status of a delivery of which the consumer said that it failed: the message is owed to it again."""

READ_ALL: Final = "read-all"
"""An event: the oracle has read a phase. `{"phase", "nodes", "messages"}`: of whom something is recorded, how much."""

DROPPED: Final = "dropped"
"""An observation of `AwaitRoutes`: when each nameserver no longer routed what a fault had hit."""

REGISTERED: Final = "registered"
"""An observation of `AwaitRoutes`: when each nameserver routed it again after the heal."""

IN_TURNS: Final = "in_turns"
"""A figure, in words: what one of two loads that took turns came to, against the other."""

INDEX_STILL: Final = "the index has stood still"
"""What the oracle says of a broker whose index does not follow its log; its other remarks on a drain doubt nothing."""


def repeated(name: str, repetition: int) -> str:
    """What that repetition of a thing is called; the first has the thing's own name."""
    return name if repetition == 1 else f"{name}-repeat-{repetition}"


def upgrade(first: str, last: str) -> str:
    """What rows of an upgrade say for their release: the two of them."""
    return f"{first} to {last}"
