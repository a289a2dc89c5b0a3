"""How long a stored run would have taken with so many suite functions side by side: its schedule, simulated.

A suite function waits for the product's timers, which needs no processor, and works, which needs one. Both are known of
every function of a stored run. In between they take turns, here in slices of equal length; those that work share the
processors evenly. Functions begin in the order of the run, each as soon as a worker is free.

Not modelled: that a cluster works on several processors at once while it comes up, memory, disks, and that timers
may run out later on a busy machine. So it is a lower bound; what was measured beside it says by how much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.bench.tables import Table
from harness.core.errors import EvidenceError
from harness.report.rows import Row, parse_verdicts

SLICES: Final = 10
WORKERS: Final = (1, 2, 3, 4, 6, 8, 12, 16)
PROCESSORS: Final = (2, 4, 8, 16)
_NOTHING_S: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Job:
    """One suite function: seconds of waiting and of work, its control's among them."""

    name: str
    waits_s: float
    works_s: float


@dataclass(slots=True)
class _Running:
    slices: list[tuple[bool, float]]
    """Whether it works, and for how much longer; the one that is under way first."""

    @classmethod
    def of(cls, job: Job) -> _Running:
        parts = [(True, job.works_s / SLICES), (False, job.waits_s / SLICES)] * SLICES
        return cls([part for part in parts if part[1] > _NOTHING_S])


def makespan_s(jobs: Sequence[Job], workers: int, processors: int) -> float:
    """From the begin of the first job to the end of the last. Raises `ValueError` without a worker or processor."""
    if workers < 1 or processors < 1:
        raise ValueError("nothing is done without a worker and a processor")
    waiting = list(jobs)
    running: list[_Running] = []
    now_s = 0.0
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(_Running.of(waiting.pop(0)))
        running = [job for job in running if job.slices]
        if not running:
            continue
        working = sum(job.slices[0][0] for job in running)
        pace = min(1.0, processors / working) if working else 1.0
        step_s = min(left_s / (pace if works else 1.0) for works, left_s in (job.slices[0] for job in running))
        now_s += step_s
        for job in running:
            works, left_s = job.slices[0]
            left_s -= step_s * (pace if works else 1.0)
            job.slices[:1] = [(works, left_s)] if left_s > _NOTHING_S else []
    return now_s


def jobs_of(rows: Iterable[Row]) -> tuple[Job, ...]:
    """The suite functions of a run, each once: one that judges several rows is told in each of them."""
    found: dict[tuple[str, ...], Job] = {}
    for row in rows:
        names = tuple(scenario.name for scenario in row.scenarios)
        if names:
            found.setdefault(names, Job(names[0], row.waited_s, row.worked_s))
    return tuple(found.values())


def curve(run: Path) -> Table:
    """Minutes by functions side by side (lines) and processors (columns). Raises `EvidenceError`."""
    try:
        _run, rows = parse_verdicts((run / "verdicts.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{run.name} has no verdicts.json that can be read: {error}") from None
    jobs = jobs_of(rows)
    if not jobs:
        raise EvidenceError(f"{run.name} ran no suite function: there is nothing to schedule")
    waits, works = sum(job.waits_s for job in jobs), sum(job.works_s for job in jobs)
    longest = max(job.waits_s + job.works_s for job in jobs)
    lines = tuple(
        (str(n), *(f"{makespan_s(jobs, n, processors) / 60:.1f}" for processors in PROCESSORS))
        for n in WORKERS
        if n <= max(len(jobs), 1)
    )
    note = (
        f"Simulated from {len(jobs)} suite functions: {waits:.0f} s of waiting for the product's timers, {works:.0f} s"
        f" of work, the longest one {math.ceil(longest)} s. A lower bound: work is taken to need one processor."
    )
    heads = ("side by side", *(f"{n} processors, min" for n in PROCESSORS))
    return Table(f"Schedule of {run.resolve().name}", note, heads, lines)
