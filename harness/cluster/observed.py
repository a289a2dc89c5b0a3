"""What the cluster saw of itself: timings of a bring-up, how a node ended, what is wrong now."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.plan import Progress
from harness.core.errors import CapabilityMissing, NodeDied
from harness.core.names import FORCED
from harness.runtime.base import ProcessState, Runtime


@dataclass(frozen=True, slots=True)
class StepTiming:
    """One step of a bring-up, from `began_s` after its start; waiting is all that a step does."""

    name: str
    began_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Unrestored:
    """A key that a node was brought up with and that is still in force, though the product's default is another."""

    node: str
    key: str
    ours: str
    default: str
    why: str


@dataclass(frozen=True, slots=True)
class BringUp:
    """How a cluster came to be ready: wall and CPU seconds (of all its JVMs; None if not measurable).

    `trained` names the nodes that will leave a start cache behind. `restored` are node, key and value of what was put
    back to the product's default after readiness.
    """

    wall_s: float
    cpu_s: float | None
    steps: tuple[StepTiming, ...]
    restored: tuple[tuple[str, str, str], ...] = ()
    unrestored: tuple[Unrestored, ...] = ()
    trained: tuple[str, ...] = ()

    def waited_s(self, prefix: str) -> float:
        """Seconds between the first beginning and the last end of the steps whose name begins so; 0 without any."""
        steps = [step for step in self.steps if step.name.startswith(prefix)]
        if not steps:
            return 0.0
        return max(step.began_s + step.wall_s for step in steps) - min(step.began_s for step in steps)


@dataclass(frozen=True, slots=True)
class Started:
    """A node's process was started and, unless nobody waited, its port answered after `took_s`."""

    node: str
    pid: int
    started_ns: int
    took_s: float | None

    def __str__(self) -> str:
        return f"{self.node} pid {self.pid}" + ("" if self.took_s is None else f", listening after {self.took_s:.2f} s")


@dataclass(frozen=True, slots=True)
class Ended:
    """A node's process has ended: how, and how long after the signal. `forced`: SIGTERM was not enough in time."""

    node: str
    signalled_ns: int
    took_s: float
    state: ProcessState
    forced: bool = False

    def __str__(self) -> str:
        how = FORCED if self.forced else str(self.state)
        return f"{self.node} {how} after {self.took_s:.2f} s"


@dataclass(frozen=True, slots=True)
class Health:
    """Everything that is wrong with a cluster, one line each; empty means nothing was found."""

    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        return "healthy" if self.ok else "; ".join(self.problems)


class Journal:
    """Steps of a bring-up as they happen, told to `progress` and timed; used by several threads."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress
        self._lock = threading.Lock()
        self._steps: list[StepTiming] = []
        self.started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the journal was begun."""
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        """Tells the caller something that takes no time."""
        if self.progress is not None:
            self.progress(f"{self.elapsed_s:6.2f} s  {text}")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times the block, and says when it has passed."""
        began = time.monotonic()
        yield
        wall = time.monotonic() - began
        with self._lock:
            self._steps.append(StepTiming(name, began - self.started, wall))
        self.say(f"{name} ({wall:.2f} s)")

    @property
    def steps(self) -> tuple[StepTiming, ...]:
        """What has passed, by beginning."""
        with self._lock:
            return tuple(sorted(self._steps, key=lambda step: step.began_s))


LOG_LINES = 25
_LOGS = ("broker.log", "namesrv.log")


def last_words(runtime: Runtime, node: str) -> str:
    """The end of what a node wrote to its output and its log: for the message about its death."""
    parts = [runtime.tail(node, LOG_LINES)]
    try:
        files = runtime.list_files(node, "logs/rocketmqlogs")
    except CapabilityMissing as missing:
        return f"({missing.reason})"
    for file in files:
        if file.path.rpartition("/")[2] in _LOGS:
            text = runtime.read_file(node, file.path).decode(errors="replace")
            parts.append(f"[{file.path}]\n" + "\n".join(text.splitlines()[-LOG_LINES:]))
    return "\n".join(part for part in parts if part) or "(it wrote nothing)"


def refuse_dead(runtime: Runtime, node: str, doing: str) -> None:
    """Raises `NodeDied` with the node's last words if its process has ended; else nothing."""
    state = runtime.state(node)
    if not state.alive:
        how = "has no process" if state.kind == "absent" else str(state)
        raise NodeDied(f"{node} {how} while {doing}; its last lines:\n{last_words(runtime, node)}")


def cpu_s(runtime: Runtime, nodes: list[str]) -> float | None:
    """User and system seconds of the nodes' processes so far, and of what these started and still runs.

    None where they cannot be read. Where a script starts it, the node's own process is a shell that waits.
    """
    below: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            fields = entry.read_text().rpartition(")")[2].split()
            pid, used = int(entry.parent.name), int(fields[11]) + int(fields[12])
            below.setdefault(int(fields[1]), []).append(pid)
            ticks[pid] = used
    mine = [runtime.host_pid(node) for node in nodes]
    if not all(pid in ticks for pid in mine):
        return None
    for pid in mine:
        mine += below.get(pid, ())
    return sum(ticks[pid] for pid in mine) / os.sysconf("SC_CLK_TCK")
