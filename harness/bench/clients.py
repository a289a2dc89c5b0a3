"""What recording costs: the harness's producers beside plain Java ones, on one broker, in turn."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from harness.bench.lab import Lab
from harness.bench.tables import Table, spread
from harness.clients.config import JavaSetup, ProducerConfig
from harness.clients.handle import Worker
from harness.clients.spawn import RuntimeSpawner
from harness.cluster import Cluster, TopicSpec
from harness.core.errors import ClientError, EvidenceError
from harness.distribution import obtain_client
from harness.foreign import DEFAULT_CLIENT
from harness.runtime.base import Process

TOPOLOGY = "1m"
TOPIC = TopicSpec("bench", queues=8)
THREADS: Final = 8
WINDOW: Final = 256
BODY_BYTES: Final = 100
READY_S: Final = 120.0
DONE_S: Final = 600.0
SIZES: Final[Mapping[str, tuple[int, int]]] = {"sync": (20_000, 5_000), "async": (100_000, 25_000)}
"""Mode -> messages in all, and how many of them (the first ones) are not counted: both JVMs start cold."""
_LINE = re.compile(r"^PLAIN (\d+) (\d+) (\d+)$", re.MULTILINE)

Mode = Literal["sync", "async"]
Series = tuple[str, Mode]
RECORDED_SYNC: Final = "Java client, recorded"
PLAIN: Final = "plain Java producer"
REMOTING: Final = "remoting client, recorded"


@dataclass(frozen=True, slots=True)
class Bench:
    """One broker, the client's jars and, if there is a compiler, the plain producer's class."""

    lab: Lab
    cluster: Cluster
    jars: tuple[Path, ...]
    classes: Path | None
    number: int = 0


def measure(lab: Lab) -> list[Table]:
    """One table per release. A plain producer without a compiler is a row that says so."""
    jars = obtain_client(DEFAULT_CLIENT, lab.cache)
    classes, why = compiled(lab.directory, jars)
    tables = []
    for version in lab.versions:
        found: dict[Series, list[float]] = {}
        # The broker with its optimising compiler: this is about clients, not about starting fast.
        with lab.cluster(TOPOLOGY, version, topics=(TOPIC,), short_run=False) as cluster:
            cluster.start()
            _plain_or_recorded(Bench(lab, cluster, jars, classes), found)
        tables.append(rendered(version, found, why))
    return tables


def _plain_or_recorded(bench: Bench, found: dict[Series, list[float]]) -> None:
    turns: list[tuple[Series, Callable[[Bench, Mode, int], float]]] = [
        ((PLAIN, "sync"), plain),
        ((RECORDED_SYNC, "sync"), lambda b, m, n: recorded(b, "java", m, n)),
        ((PLAIN, "async"), plain),
        ((REMOTING, "async"), lambda b, m, n: recorded(b, "remoting", m, n)),
    ]
    # Round 0 warms the broker: whoever comes first meets it cold.
    for number in range(bench.lab.rounds + 1):
        for (name, mode), act in turns if number % 2 else turns[::-1]:
            if act is plain and bench.classes is None:
                continue
            rate = act(bench, mode, number)
            if number:
                found.setdefault((name, mode), []).append(rate)
                bench.lab.say(f"round {number} {name}, {mode}: {rate:.0f} messages/s")


def recorded(bench: Bench, client: str, mode: Mode, number: int) -> float:
    """Acknowledged messages per second of one worker with its history, from the history itself.

    Raises `ClientError`, or `EvidenceError` if a send was not acknowledged.
    """
    total, warm = SIZES[mode]
    name = f"{client}-{mode}-{number}"
    history = bench.lab.directory / f"{bench.cluster.plan.release.version}-{name}.jsonl"
    bench.cluster.add_client(name)
    try:
        with Worker(RuntimeSpawner(bench.cluster.runtime), name, history) as worker:
            worker.configure(
                ProducerConfig(
                    process=name,
                    namesrv=bench.cluster.nameserver_list(),
                    topic=TOPIC.name,
                    client=client,
                    mode=mode,
                    threads=THREADS,
                    window=WINDOW,
                    body_bytes=BODY_BYTES,
                    max_messages=total,
                    java=JavaSetup(tuple(map(str, bench.jars)), str(bench.lab.jre.libjvm), DEFAULT_CLIENT),
                )
            )
            worker.ready(READY_S)
            worker.go()
            worker.done(DONE_S)
    finally:
        bench.cluster.remove_client(name)
    return rate_of(history, total, warm)


def rate_of(history: Path, total: int, warm: int) -> float:
    """Messages per second from the invocation of number `warm` to the last answer. Raises `EvidenceError`."""
    lines = pl.read_ndjson(history, schema={"f": pl.String, "y": pl.String, "t": pl.Int64, "c": pl.Int64})
    sends = lines.filter(pl.col("f") == "send")
    done = sends.filter(pl.col("y") == "ok")
    if done.height != total:
        raise EvidenceError(f"{history.stem}: {done.height} of {total} sends were acknowledged; this is no rate")
    began: int = sends.filter((pl.col("y") == "invoke") & (pl.col("c") == warm))["t"].item()
    ended: int = done.select(pl.col("t").max()).item()
    return (total - warm) / ((ended - began) / 1e9)


def plain(bench: Bench, mode: Mode, number: int) -> float:
    """Acknowledged messages per second of the plain producer, from its own clock. Raises `ClientError`."""
    total, warm = SIZES[mode]
    name = f"plain-{mode}-{number}"
    classpath = os.pathsep.join([str(bench.classes), *map(str, bench.jars)])
    width = THREADS if mode == "sync" else WINDOW
    words = (bench.cluster.nameserver_list(), TOPIC.name, mode, width, total, warm, BODY_BYTES)
    node = bench.cluster.add_client(name)
    argv = [str(bench.lab.jre.java), "-Xms64m", "-Xmx512m", f"-Duser.home={node.home}", "-cp", classpath]
    try:
        bench.cluster.runtime.start(name, Process([*argv, "PlainProducer", *map(str, words)]))
        state = bench.cluster.runtime.wait_exit(name, DONE_S)
        return plain_rate(bench.cluster.runtime.tail(name, 40), str(state))
    finally:
        bench.cluster.remove_client(name)


def plain_rate(printed: str, state: str) -> float:
    """The rate in what the plain producer printed. Raises `ClientError` if a send failed or it printed none."""
    found = _LINE.search(printed)
    if found is None:
        raise ClientError(f"the plain producer {state} without a result; its last lines:\n{printed}")
    count, nanos, failed = map(int, found.groups())
    if failed:
        raise ClientError(f"{failed} sends of the plain producer were not acknowledged; this is no rate")
    return count / (nanos / 1e9)


def compiled(directory: Path, jars: tuple[Path, ...]) -> tuple[Path | None, str]:
    """Where the plain producer's class is; or None and why there is none. The harness itself needs no compiler."""
    compiler = shutil.which("javac")
    if compiler is None:
        return None, "not measured: no javac on PATH (a JDK is needed for this comparison alone)"
    source = Path(__file__).with_name("PlainProducer.java")
    classes = directory / "classes"
    classes.mkdir()
    argv = [compiler, "-nowarn", "--release", "8", "-cp", os.pathsep.join(map(str, jars)), "-d", str(classes)]
    done = subprocess.run([*argv, str(source)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return None, f"not measured: javac ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    return classes, ""


def rendered(version: str, found: Mapping[Series, list[float]], why: str) -> Table:
    """Recorded beside plain, mode by mode."""
    rows = []
    pairs: tuple[tuple[str, Mode], ...] = ((RECORDED_SYNC, "sync"), (REMOTING, "async"))
    for name, mode in pairs:
        ours, theirs = found.get((name, mode), []), found.get((PLAIN, mode), [])
        width = f"{THREADS} threads" if mode == "sync" else f"{WINDOW} in flight"
        share = f"{statistics.median(ours) / statistics.median(theirs):.2f}" if ours and theirs else "-"
        rows.append((f"{name}, {mode}", width, str(len(ours)), spread(ours, 0), share))
        rows.append((f"{PLAIN}, {mode}", width, str(len(theirs)), spread(theirs, 0) if theirs else why, ""))
    note = (
        f"One broker ({TOPOLOGY}), {BODY_BYTES}-byte bodies, client and broker on the same CPUs, the Java client "
        f"{DEFAULT_CLIENT}. Messages per second, all acknowledged with SEND_OK, min / median / max; the first "
        f"{SIZES['sync'][1]} of {SIZES['sync'][0]} (sync) or {SIZES['async'][1]} of {SIZES['async'][0]} (async) are "
        "not counted, nor is the first round. Recorded: every send is in the kernel's hands before it leaves and after "
        "it is answered. Plain: `PlainProducer.java` on the same Java with its default flags, nothing recorded."
    )
    heads = ("producer", "width", "n", "messages/s", "recorded / plain, medians")
    raw = {f"{name}.{mode}": values for (name, mode), values in found.items()}
    return Table(f"Recorded sends, RocketMQ {version}", note, heads, tuple(rows), raw)
