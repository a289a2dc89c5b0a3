"""How fast a stored history is judged: whole processes, Python's start included, from the packed file to the findings.

`python benchmarks/checkers.py 1000000 10000000` makes a history of so many operations, with one message lost, one
stored twice and one delivered out of order, and prints wall, CPU and peak memory of finding exactly these. An
operation is a send (its invoke and completion are one), a delivery, or a read of a stored message; a third are of each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parent.parent
PRODUCERS = 8
QUEUES = 16
EXPECTED = {"lost": 1, "phantom": 0, "duplicate": 1, "reordered": 1}


def raw_history(operations: int) -> pl.DataFrame:
    """Lines of a run: producers in turn, queues in turn, every message stored once and delivered once, in order.

    Planted: the message in the middle is not stored, the one behind it twice, and two deliveries of one queue change
    places.
    """
    from harness.core.history import RAW_SCHEMA

    n = operations // 3
    k = pl.int_range(n, dtype=pl.Int64, eager=True)
    base = pl.DataFrame({"n": k}).select(
        p=pl.format("producer-{}", pl.col("n") % PRODUCERS),
        c=pl.col("n"),
        id=pl.format("producer-{}-{}", pl.col("n") % PRODUCERS, pl.col("n") // PRODUCERS),
        tp=pl.lit("topic-0"),
        b=pl.format("broker-{}", (pl.col("n") % 2).replace_strict({0: "a", 1: "b"}, return_dtype=pl.String)),
        q=(pl.col("n") // 2 % (QUEUES // 2)).cast(pl.Int32),
        o=pl.col("n") // QUEUES,
        t=1_000_000_000 + pl.col("n") * 10_000,
    )
    invokes = base.select("p", "c", "id", "tp", "t", f=pl.lit("send"), y=pl.lit("invoke"))
    done = base.select(
        "p", "c", "id", "b", "q", "o", pl.col("t") + 9_000, f=pl.lit("send"), y=pl.lit("ok"), s=pl.lit("SEND_OK")
    )
    given = base.select(
        "id",
        "tp",
        "b",
        "q",
        "o",
        pl.col("t") + 900_000,
        p=pl.lit("consumer-0"),
        f=pl.lit("deliver"),
        y=pl.lit("ok"),
        r=pl.lit("g"),
        k=pl.lit(0, pl.Int32),
    )
    middle = n // 2
    at = pl.int_range(pl.len())
    swapped = (
        pl.when(at == middle)
        .then(pl.col("t").shift(-QUEUES))
        .when(at == middle + QUEUES)
        .then(pl.col("t").shift(QUEUES))
        .otherwise(pl.col("t"))
    )
    given = given.with_columns(t=swapped)
    reads = base.select(
        "id",
        "tp",
        "b",
        "q",
        "o",
        t=pl.lit(9_000_000_000_000),
        p=pl.lit("oracle"),
        f=pl.lit("read"),
        y=pl.lit("ok"),
        s=pl.lit("final"),
        r=pl.format("{}-0", "b"),
        e=pl.format("{}", pl.col("id").hash()),
    )
    twice = reads.slice(middle + 1, 1).with_columns(o=pl.col("o") + n)
    reads = pl.concat([reads.filter(at != middle), twice])
    drains = (
        reads.group_by("tp", "b", "q", "r", "s")
        .agg(k=pl.len().cast(pl.Int32))
        .with_columns(p=pl.lit("oracle"), f=pl.lit("drain"), y=pl.lit("ok"), t=pl.lit(9_000_000_000_001))
    )
    about = json.dumps({"config": {"role": "consumer", "group": "g", "listener": "orderly"}})
    hello = pl.DataFrame({"p": ["consumer-0"], "f": ["hello"], "y": ["info"], "t": [1], "x": [about]})
    frames = [invokes, done, given, reads, drains, hello]
    return pl.concat([pl.DataFrame(schema=RAW_SCHEMA), *frames], how="diagonal_relaxed").select(
        pl.col(name).cast(dtype) for name, dtype in RAW_SCHEMA.items()
    )


def make(operations: int, path: Path) -> None:
    """Packs the history as `load_history` does."""
    from harness.core.tables import pack

    pack(raw_history(operations)).write_parquet(path, row_group_size=250_000, compression="lz4")


def judge(path: Path) -> None:
    """What is measured: load, and find what is lost, phantom, duplicate and reordered."""
    from harness.checkers.finders import find
    from harness.evidence import read_packed

    history = read_packed(path)
    found = {kind: find(history, kind, {}).count for kind in EXPECTED}
    print(json.dumps(found))


def measure(operations: int, threads: int, directory: Path) -> dict[str, object]:
    """Wall and CPU seconds and peak MB of a process of its own."""
    path = directory / f"{operations}.parquet"
    if not path.exists():
        subprocess.run([sys.executable, __file__, "--make", str(path), str(operations)], check=True, cwd=ROOT)
    environment = os.environ | {"POLARS_MAX_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, __file__, "--judge", str(path)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    out, _ = child.communicate()
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(out)
    if found != EXPECTED:
        raise SystemExit(f"found {found} instead of {EXPECTED}")
    return {
        "operations": operations,
        "threads": threads,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb": peak_mb(path, environment),
        "file_mb": round(path.stat().st_size / 1e6, 1),
    }


def peak_mb(path: Path, environment: dict[str, str]) -> int:
    """Peak resident memory of the same process, told by itself (RUSAGE_CHILDREN keeps the largest child ever)."""
    code = (
        "import resource, runpy, sys; from pathlib import Path; module = runpy.run_path(sys.argv[1]);"
        "module['judge'](Path(sys.argv[2]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, __file__, str(path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=True,
    )
    return int(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operations", nargs="*", type=int, default=[1_000_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--make", type=Path)
    parser.add_argument("--judge", type=Path)
    options = parser.parse_args()
    if options.make:
        make(options.operations[0], options.make)
    elif options.judge:
        judge(options.judge)
    else:
        with tempfile.TemporaryDirectory() as name:
            for operations in options.operations:
                for _ in range(options.repeat):
                    print(json.dumps(measure(operations, options.threads, Path(name))), flush=True)


if __name__ == "__main__":
    main()
