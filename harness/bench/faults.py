"""How long after the order a fault is in force: seen from outside, and for a cut also in a stream of packets."""

from __future__ import annotations

import bisect
import os
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.bench.lab import Lab
from harness.bench.tables import Table, percentile
from harness.cluster import Cluster
from harness.faults import Injector
from harness.faults.base import Fault
from harness.faults.network import Partition
from harness.faults.process import Kill, Pause
from harness.runtime.base import Process
from harness.waiting import pause_s, wait_for

TOPOLOGY = "2m-2s-sync"
SENDER, SINK = "bench-sender", "bench-sink"
PORT: Final = 4000
GAP_S: Final = 0.0002
SETTLE_S: Final = 0.1
STAMP = struct.Struct("<q")
NOTE = (
    f"On a running {TOPOLOGY}, one fault at a time, milliseconds from the order (before the first system call) until: "
    "pause - every thread of a master is in state T; resume - it runs; kill - a master's process was reaped and its "
    "port refuses; cut, first packet lost - the sending time of the first datagram that did not arrive, in a stream "
    "that sends about one every 0.2 ms between two nodes; healed, first packet through - the same after healing; cut, "
    "seen by the harness - its own probes went unanswered, three of them and 100 ms in all: what a scenario waits for."
)


@dataclass(slots=True)
class Stopwatch:
    """Stands for the recorder: what the injector tells it, with the instant."""

    at_ns: dict[str, int] = field(default_factory=dict)

    def __call__(self, _name: str, action: str, **_more: Any) -> None:
        """Remembers when an action was told."""
        self.at_ns[action] = time.monotonic_ns()

    def took_ms(self, begin: str, end: str) -> float:
        """Milliseconds between two actions."""
        return (self.at_ns[end] - self.at_ns[begin]) / 1e6


def measure(lab: Lab) -> list[Table]:
    """One table, on the first of the releases."""
    version = lab.versions[0]
    found: dict[str, list[float]] = {}
    with lab.cluster(TOPOLOGY, version) as cluster:
        cluster.start()
        with stream(cluster, lab.directory) as seen:
            cuts = [_cut(cluster, found) for _ in range(lab.samples)]
        _losses(cuts, seen, found)
        for number in range(lab.samples):
            _pause(cluster, found)
            if number == 0:
                lab.say("cuts done; pausing and killing")
            _kill(cluster, found)
    return [rendered(version, found)]


def rendered(version: str, found: dict[str, list[float]]) -> Table:
    """p50, p99 and the extremes of every series."""
    rows = []
    for name, values in found.items():
        figures = (min(values), percentile(values, 50), percentile(values, 99), max(values))
        rows.append((name, str(len(values)), *(f"{value:.1f}" for value in figures)))
    heads = ("fault", "n", "min ms", "p50 ms", "p99 ms", "max ms")
    return Table(f"Faults, RocketMQ {version}", NOTE, heads, tuple(rows), found)


def _pause(cluster: Cluster, found: dict[str, list[float]]) -> None:
    took, _ = inject(cluster, Pause(target="master/0"))
    found.setdefault("pause", []).append(took)
    master = cluster.masters()[0]
    began_ns = time.monotonic_ns()
    found.setdefault("resume", []).append((cluster.resume_node(master) - began_ns) / 1e6)


def _kill(cluster: Cluster, found: dict[str, list[float]]) -> None:
    took, _ = inject(cluster, Kill(target="master/0"))
    found.setdefault("kill", []).append(took)
    cluster.start_node(cluster.masters()[0])


def inject(cluster: Cluster, fault: Fault) -> tuple[float, Stopwatch]:
    """Milliseconds from the order until the injector saw it bite; the fault stays. Raises `FaultError`."""
    watch = Stopwatch()
    Injector(cluster, watch).inject("bench", fault)
    return watch.took_ms("inject", "observed"), watch


def _cut(cluster: Cluster, found: dict[str, list[float]]) -> tuple[int, int]:
    """Cuts and heals the stream once; the instants at which both were ordered."""
    fault = Partition(sources=f"client/{SENDER}", sinks=f"client/{SINK}", one_way=True, await_health=False)
    pause_s(SETTLE_S)
    took, watch = inject(cluster, fault)
    found.setdefault("cut, seen by the harness", []).append(took)
    healed_ns = time.monotonic_ns()
    fault.heal(cluster)
    fault.await_recovery(cluster)
    return watch.at_ns["inject"], healed_ns


@dataclass(slots=True)
class Stream:
    """Sending instants of a stream's datagrams (monotonic ns): all that left, and those that arrived."""

    sent: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)

    def silent_from(self, since_ns: int, until_ns: int) -> int | None:
        """The first of the datagrams sent between two instants of which, and after which, none arrived any more."""
        there = set(self.arrived)
        low, high = (bisect.bisect_left(self.sent, at_ns) for at_ns in (since_ns, until_ns))
        lost = None
        for stamp in reversed(self.sent[low:high]):
            if stamp in there:
                break
            lost = stamp
        return lost

    def first_arrived_after(self, at_ns: int) -> int | None:
        """The first datagram sent at or after an instant that arrived."""
        there = set(self.arrived)
        return next((s for s in self.sent[bisect.bisect_left(self.sent, at_ns) :] if s in there), None)


def _losses(cuts: Sequence[tuple[int, int]], seen: Stream, found: dict[str, list[float]]) -> None:
    """What the stream says of every cut; a cut without a lost packet is no sample, and n shows it."""
    for cut_ns, healed_ns in cuts:
        lost, through = seen.silent_from(cut_ns, healed_ns), seen.first_arrived_after(healed_ns)
        if lost is not None:
            found.setdefault("cut, first packet lost", []).append((lost - cut_ns) / 1e6)
        if through is not None:
            found.setdefault("healed, first packet through", []).append((through - healed_ns) / 1e6)


@contextmanager
def stream(cluster: Cluster, directory: Path) -> Iterator[Stream]:
    """Two nodes, the first sending to the second all the while; what was seen is filled in at the end."""
    seen = Stream()
    nodes = {name: cluster.add_client(name) for name in (SINK, SENDER)}
    logs = {name: directory / f"{name}.stamps" for name in nodes}
    for name in (SINK, SENDER):
        argv = (sys.executable, "-S", "-c", _SCRIPT, name.removeprefix("bench-"), nodes[SINK].address, str(PORT))
        fd = os.open(logs[name], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            cluster.runtime.start(name, Process((*argv, str(GAP_S)), fds={1: fd}))
        finally:
            os.close(fd)
    try:
        wait_for(lambda: logs[SINK].stat().st_size > 0, what="the first packet of the stream", timeout_s=30)
        yield seen
    finally:
        for name in (SENDER, SINK):
            cluster.remove_client(name)
    seen.sent, seen.arrived = (stamps(logs[name].read_bytes()) for name in (SENDER, SINK))


def stamps(data: bytes) -> list[int]:
    """The whole stamps in a log; what was being written at the end is not one."""
    whole = data[: len(data) // STAMP.size * STAMP.size]
    return [value for (value,) in STAMP.iter_unpack(whole)]


_SCRIPT = """
import select, socket, struct, sys, time, os
role, address, port, gap = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if role == "sink":
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    link.bind((address, port))
    while True:
        os.write(1, link.recv(8))
while True:
    stamp = struct.pack("<q", time.monotonic_ns())
    try:
        link.sendto(stamp, (address, port))
    except OSError:
        pass
    os.write(1, stamp)
    select.select((), (), (), gap)
"""
