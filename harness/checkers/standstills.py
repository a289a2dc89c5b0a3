"""Who stood still and when, as a history records it: clients, the harness, the machine's disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.checkers.narrow import FOREVER_NS
from harness.core.history import History
from harness.core.names import DISK_STALL, STALL
from harness.core.window import FaultWindow

HARNESS: Final = "scenario"
DISK: Final = "the machine's disk"


@dataclass(frozen=True, slots=True)
class Stall:
    """A process, or the disk, did not get on from one instant to another; monotonic ns."""

    process: str
    from_ns: int
    to_ns: int

    @property
    def not_a_client(self) -> bool:
        """It was the harness or the machine's disk: what the whole run, or every store, has felt."""
        return self.process in (HARNESS, DISK)

    def text(self) -> str:
        """In words."""
        who = "the harness" if self.process == HARNESS else self.process
        return f"{who} stood still for {(self.to_ns - self.from_ns) / 1e9:.1f} s"


def stalls(history: History) -> tuple[Stall, ...]:
    """Every recorded stall, but for those of a client that a fault of the scenario paused."""
    found = [
        Stall(DISK if e.name == DISK_STALL else e.process, int(e.detail["from_ns"]), int(e.detail["to_ns"]))
        for e in history.events
        if e.name in (STALL, DISK_STALL)
    ]
    return tuple(s for s in found if not any(_paused(w, s) for w in history.windows))


def stalls_text(seen: tuple[Stall, ...]) -> str:
    """The longest of them in words."""
    longest = sorted(seen, key=lambda s: s.from_ns - s.to_ns)
    return "; ".join(s.text() for s in longest[:3]) + (f" and {len(seen) - 3} more stalls" if len(seen) > 3 else "")


def _paused(window: FaultWindow, stall: Stall) -> bool:
    until = window.recovered_ns or window.heal_ns or FOREVER_NS
    hit = window.fault == "pause" and stall.process in window.targets
    return hit and stall.to_ns >= window.inject_ns and stall.from_ns <= until
