"""Whether every node was given a processor when it wanted one: what the kernel counts for each of its threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from harness.runtime.processes import children_of

BEAT_S: Final = 2.0
LONG_S: Final = 0.1
"""A wait of this length is no taking of turns. Seen of brokers on two processors: 0.1 to 22 ms at loads of 3 to 16, now
and then 50 ms at loads of 15 to 25, and 80 to 1,300 ms of one whose control group was given next to nothing."""
STARVED: Final = 0.5
"""The part of a beat for which a thread must have wanted a processor and had none. Brokers have threads that want one
every millisecond or every ten, whatever they are asked: a starved one is seen also when nobody asks it anything."""
SHARED_BY: Final = 0.25
"""The part of the threads that were given a processor at all, two at the least, which must have waited so long each
time. Of a starved broker five to ten get that far in two seconds, and half of them waited; on a machine that is busy it
is a hundred, and one or two waited. One alone proves nothing: of a nameserver that answered Linux 6.18 counted 20 s."""
OWN: Final = 0.5
"""The part of the machine that the nodes may have used themselves: what used more has starved itself."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A node's threads wanted a processor and had none between two instants, monotonic.

    One of them waited for `waited_s` altogether, which may have begun before that time. A moment of their waiting was
    part of a wait of `each_s`, on average. Of the `ran` threads that were given a processor at all `long` had waited so
    long each time; all nodes together used `used` of this machine's processors.
    """

    from_ns: int
    to_ns: int
    waited_s: float
    each_s: float
    ran: int = 0
    long: int = 0
    used: float = 0.0


@dataclass(frozen=True, slots=True)
class Turns:
    """What the kernel has counted for one thread: ns on a processor, ns in want of one, and how often it got one."""

    ran_ns: int
    waited_ns: int
    count: int

    def since(self, before: Turns) -> Turns:
        """What came after `before`; all, if that was of another thread which had the same number."""
        if self.count < before.count:
            return self
        return Turns(self.ran_ns - before.ran_ns, self.waited_ns - before.waited_ns, self.count - before.count)


_NONE: Final = Turns(0, 0, 0)
Threads = Mapping[int, Turns]


class ProcessorPulse:
    """Calls `starved(node, lack)` after each beat in which a node was in want of a processor for half the time.

    `pids` names the running nodes and their processes; it is asked at each beat, from a thread of its own. A wait is
    counted by the kernel when it ends, so that one which outlasts a beat is told in a later one, whole. Nodes that
    together used half of this machine's processors are not told: they starved themselves. Where the kernel does not
    count (no `schedstat`), nothing is ever told; `watches` says which it is.

    A stopped process wants no processor: pauses of ours are none of this. What a virtual machine is not given by its
    host is not seen either.
    """

    def __init__(
        self,
        pids: Callable[[], Mapping[str, int]],
        starved: Callable[[str, Lack], None],
        *,
        beat_s: float = BEAT_S,
        proc: Path = Path("/proc"),
    ) -> None:
        self._pids = pids
        self._starved = starved
        self._beat_s = beat_s
        self._proc = proc
        self._seen: dict[int, Threads] = {}
        self._at_ns = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="processor-pulse")
        self._thread.start()

    @property
    def watches(self) -> bool:
        """The kernel counts these waits."""
        return (self._proc / "self/schedstat").exists()

    def close(self) -> None:
        """Looks once more, and no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        over = not self.watches
        while not over:
            self._beat()
            over = self._ended.wait(self._beat_s)
        if self.watches:
            self._beat()

    def _beat(self) -> None:
        now_ns, before_ns = time.monotonic_ns(), self._at_ns
        seen: dict[int, Threads] = {}
        turns: dict[str, list[Turns]] = {}
        for node, pid in self._pids().items():
            seen[pid] = threads_of(pid, self._proc)
            if pid in self._seen:
                known = self._seen[pid]
                turns[node] = [t.since(known.get(tid, _NONE)) for tid, t in seen[pid].items()]
        self._seen, self._at_ns = seen, now_ns
        for node, lack in lacks(turns, before_ns, now_ns, len(os.sched_getaffinity(0))):
            self._starved(node, lack)


def lacks(
    turns: Mapping[str, Iterable[Turns]], from_ns: int, to_ns: int, processors: int
) -> Iterator[tuple[str, Lack]]:
    """The nodes that were starved between two looks, by what their threads did meanwhile."""
    length_ns = to_ns - from_ns
    nodes = {node: list(threads) for node, threads in turns.items()}
    used = sum(t.ran_ns for threads in nodes.values() for t in threads) / max(1, length_ns * processors)
    if used >= OWN:
        return
    for node, threads in nodes.items():
        ran = [t for t in threads if t.count]
        long = [t.waited_ns for t in ran if t.waited_ns >= LONG_S * 1e9 * t.count]
        worst_ns = max((t.waited_ns for t in ran), default=0)
        if len(long) < max(2, SHARED_BY * len(ran)) or worst_ns < STARVED * length_ns:
            continue
        # Weighed by time: who was let run a hundred times between two long waits has waited long all the same.
        each_ns = sum(t.waited_ns**2 / t.count for t in ran) / sum(t.waited_ns for t in ran)
        if each_ns >= LONG_S * 1e9:
            began_ns = min(from_ns, int(to_ns - median(long)))
            yield node, Lack(began_ns, to_ns, worst_ns / 1e9, each_ns / 1e9, len(ran), len(long), round(used, 3))


def threads_of(pid: int, proc: Path = Path("/proc")) -> dict[int, Turns]:
    """Every thread of a process and its descendants; what ends meanwhile is left out."""
    found: dict[int, Turns] = {}
    tasks = f"{proc}/{pid}/task"
    with suppress(OSError):
        with os.scandir(tasks) as there:
            names = [task.name for task in there]
        for name in names:
            with suppress(OSError, ValueError):
                ran, waited, count = _read(f"{tasks}/{name}/schedstat").split()
                found[int(name)] = Turns(int(ran), int(waited), int(count))
    for child in children_of(pid, proc):
        found |= threads_of(child, proc)
    return found


def _read(path: str) -> bytes:
    """Without what a file object costs: there are a thousand of these at each beat."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
