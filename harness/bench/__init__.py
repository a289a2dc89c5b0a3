"""Measurements of the harness beside what one would use without it, interleaved within one run.

Every table says how often was measured and how busy the machine was; a row that could not be measured says why.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from harness.bench import bringup, checkers, clients, faults
from harness.bench.lab import Lab, laboratory
from harness.bench.tables import Table, markdown
from harness.core.errors import HarnessError, UsageError
from harness.evidence import refuse_unwritable
from harness.provenance import git_commit, machine

Part = Callable[[Lab], list[Table]]
PARTS: Final[Mapping[str, Part]] = {
    "bring-up": bringup.measure,
    "faults": faults.measure,
    "clients": clients.measure,
    "checkers": checkers.measure,
}
Say = Callable[[str], None]


def bench(  # noqa: PLR0913
    parts: Sequence[str],
    *,
    rounds: int,
    versions: Sequence[str],
    cache: Path,
    state: Path,
    say: Say,
    samples: int = 30,
    operations: Sequence[int] = (1_000_000, 10_000_000),
    out: Path | None = None,
) -> int:
    """Measures these parts (none: all), prints their tables, and writes `bench-<date>.md` and `.json` below `out`.

    `rounds` is how often everything is measured, `samples` how often each fault is injected. Returns 0, or 6 if a
    part could not be measured; the others are measured all the same. Raises `UsageError`.
    """
    wanted = list(dict.fromkeys(parts)) or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown or rounds < 1 or samples < 1:
        what = f"part {unknown[0]!r} is none of {', '.join(PARTS)}" if unknown else "rounds and samples are at least 1"
        raise UsageError(f"bench: {what}")
    if out is not None:
        refuse_unwritable(out, "--out")
    tables: list[Table] = []
    failed = False
    with laboratory(cache, state, say, versions=tuple(versions), counts=(rounds, samples, *operations)) as lab:
        for part in wanted:
            say(f"== {part}")
            try:
                found = [table.on(lab.load()) for table in PARTS[part](lab)]
            except HarnessError as error:
                failed = True
                found = [Table(part, f"not measured: {error}", (), ())]
            tables += found
            say("\n".join(markdown(table) for table in found))
    if out is not None:
        say(f"written: {_write(out, tables)}")
    return 6 if failed else 0


def _write(out: Path, tables: Sequence[Table]) -> str:
    out.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    about = {"commit": git_commit(), "measured_utc": now.isoformat(timespec="minutes"), **machine()}
    name = f"bench-{now:%Y-%m-%d}"
    head = "# Measurements\n\nWritten by `rmq-harness bench`: " + ", ".join(f"{k} {v}" for k, v in about.items())
    (out / f"{name}.md").write_text("\n".join([head + ".\n", *(markdown(table) for table in tables)]), encoding="utf-8")
    document = {"format": 1, "about": about, "tables": [table.as_json() for table in tables]}
    (out / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return f"{name}.md and {name}.json"


__all__ = ["PARTS", "bench"]
