"""Who stood still and when, as a history records it: clients, the harness, the machine's disk, starved nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.checkers.narrow import FOREVER_NS
from harness.core.history import History
from harness.core.names import DISK_STALL, STALL, STARVED
from harness.core.window import FaultWindow

HARNESS: Final = "scenario"
DISK: Final = "the machine's disk"


@dataclass(frozen=True, slots=True)
class Stall:
    """A process, or the disk, did not get on from one instant to another; monotonic ns.

    One that is `starved` is a node which wanted a processor: it got on, late. `broker` is its name as a broker, if any.
    """

    process: str
    from_ns: int
    to_ns: int
    starved: bool = False
    broker: str = ""

    @property
    def not_a_client(self) -> bool:
        """It was the harness, the machine's disk or a node: what others than one client have felt."""
        return self.starved or self.process in (HARNESS, DISK)

    def text(self) -> str:
        """In words."""
        if self.starved:
            return f"{self.process} was starved of processors for {(self.to_ns - self.from_ns) / 1e9:.1f} s"
        who = "the harness" if self.process == HARNESS else self.process
        return f"{who} stood still for {(self.to_ns - self.from_ns) / 1e9:.1f} s"


def stalls(history: History) -> tuple[Stall, ...]:
    """Every recorded stall, but for those of a client that a fault of the scenario paused."""
    found = [
        Stall(DISK if e.name == DISK_STALL else e.process, int(e.detail["from_ns"]), int(e.detail["to_ns"]))
        for e in history.events
        if e.name in (STALL, DISK_STALL)
    ]
    return (*(s for s in found if not any(_paused(w, s) for w in history.windows)), *_starved(history))


def _starved(history: History) -> Iterator[Stall]:
    """Beats of one node that follow on each other are one."""
    beats: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for event in history.events:
        if event.name == STARVED:
            key = (str(event.detail["node"]), str(event.detail["broker"]))
            beats.setdefault(key, []).append((int(event.detail["from_ns"]), int(event.detail["to_ns"])))
    for (node, broker), spans in beats.items():
        for from_ns, to_ns in _joined(spans):
            yield Stall(node, from_ns, to_ns, starved=True, broker=broker)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for from_ns, to_ns in sorted(spans):
        if joined and from_ns <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], to_ns))
        else:
            joined.append((from_ns, to_ns))
    return joined


def stalls_text(seen: tuple[Stall, ...]) -> str:
    """The longest of them in words."""
    longest = sorted(seen, key=lambda s: s.from_ns - s.to_ns)
    return "; ".join(s.text() for s in longest[:3]) + (f" and {len(seen) - 3} more stalls" if len(seen) > 3 else "")


def _paused(window: FaultWindow, stall: Stall) -> bool:
    until = window.recovered_ns or window.heal_ns or FOREVER_NS
    hit = window.fault == "pause" and stall.process in window.targets
    return hit and stall.to_ns >= window.inject_ns and stall.from_ns <= until
