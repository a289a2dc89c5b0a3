"""How fast stored histories are judged, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import harness
from harness.bench.lab import Lab
from harness.bench.tables import Table, spread
from harness.core.errors import SetupError

NOTE = (
    "A synthetic history from its packed file to the findings (lost, phantom, duplicate, reordered; one of each but "
    "phantom is planted and must be found), a process from exec to exit, one thread. min / median / max."
)
TIMEOUT_S = 1800.0


def measure(lab: Lab) -> list[Table]:
    """One table. Raises `SetupError` outside the repository, or if the checkers found anything but what was planted."""
    root = Path(harness.__file__).resolve().parent.parent
    script = root / "benchmarks" / "checkers.py"
    if not script.exists():
        raise SetupError("benchmarks/checkers.py is not part of an installation: measure in a clone")
    return [rendered([line for size in lab.operations for line in run(script, size, lab.rounds)])]


def run(script: Path, operations: int, rounds: int) -> list[dict[str, Any]]:
    """What the script printed, a mapping per round. Raises `SetupError` with its last words."""
    argv = [sys.executable, str(script), str(operations), "--threads", "1", "--repeat", str(rounds)]
    try:
        done = subprocess.run(
            argv, cwd=script.parents[1], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"judging {operations} operations took more than {TIMEOUT_S:.0f} s: take fewer") from None
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        raise SetupError(f"judging {operations} operations ended with exit code {done.returncode}: {last}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def rendered(lines: Sequence[Mapping[str, Any]]) -> Table:
    """The table of all rounds."""
    rows = []
    raw: dict[str, list[float]] = {}
    for size in dict.fromkeys(int(line["operations"]) for line in lines):
        mine = [line for line in lines if line["operations"] == size]
        wall, cpu, peak = ([float(line[key]) for line in mine] for key in ("wall_s", "cpu_s", "peak_mb"))
        rate = f"{size / min(wall) / 1e6:.2f}"
        file_mb = f"{mine[0]['file_mb']:.0f}"
        rows.append((f"{size:,}", file_mb, str(len(mine)), spread(wall), spread(cpu), spread(peak, 0), rate))
        raw |= {f"{size}.wall_s": wall, f"{size}.cpu_s": cpu, f"{size}.peak_mb": peak}
    heads = ("operations", "file MB", "n", "wall s", "CPU s", "peak MB", "best million/s")
    return Table("Judging a history", NOTE, heads, tuple(rows), raw)
