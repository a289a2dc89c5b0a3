"""`matrix.md`: every cell in a line, every guarantee in a line per release, and every row that needs a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from harness.catalogue import load_catalogue
from harness.matrix.cells import Cell, StoredRow
from harness.report.rows import Standing

SIGNS: Final = {
    Standing.HELD: "held",
    Standing.MEASURED: "measured",
    Standing.KNOWN_BROKEN: "known broken",
    Standing.BROKEN: "**BROKEN**",
    Standing.HELD_UNEXPECTEDLY: "**HELD, expected broken**",
    Standing.INCONCLUSIVE: "?",
    Standing.NOT_TESTED: "-",
}
HEAD: Final = """# Verdicts by topology and release

Rendered by `make matrix` from the files in `cells/`; nothing in it is written by hand. `held` and `known broken` are as
the catalogue expects; `measured` is a promise of how much, and the cell's file says how much it was. `?` is
inconclusive: nothing can be said. `-` is promised and not tested. An empty field is not promised there. A commit with
`+` had changes that were not committed. Seconds are those of all scenarios and controls of a cell: waiting is for the
product's own timers. `stale` is how many rows were judged by other code, or on other terms, than those of the tree in
which this page was rendered; `make matrix ARGS=--status` says which they are now.
"""


def table(cells: Sequence[Cell], stale: Mapping[str, int]) -> str:
    """The page for these cells, in this order; `stale` counts the rows of a cell, by its name, that do not stand."""
    parts = [HEAD, _summary(cells, stale)]
    versions = dict.fromkeys((c.spec.rocketmq, c.spec.timers, c.spec.client, c.spec.java) for c in cells)
    for version in versions:
        mine = [c for c in cells if (c.spec.rocketmq, c.spec.timers, c.spec.client, c.spec.java) == version]
        rocketmq, timers, client, java = version
        parts.append(f"\n## RocketMQ {rocketmq}, {timers} timers, {client} client, Java {java}\n\n{_rows(mine)}")
    parts.append(words(cells))
    return "\n".join(part for part in parts if part)


def _summary(cells: Sequence[Cell], stale: Mapping[str, int]) -> str:
    words = ["held", "measured", "known broken", "broken", "held unexpectedly", "inconclusive", "not tested"]
    heads = ["cell", "commit", "stale", *words]
    lines = []
    for cell in cells:
        stands = [row.standing for row in cell.rows]
        order = (
            Standing.HELD,
            Standing.MEASURED,
            Standing.KNOWN_BROKEN,
            Standing.BROKEN,
            Standing.HELD_UNEXPECTEDLY,
            Standing.INCONCLUSIVE,
            Standing.NOT_TESTED,
        )
        counts = [str(stands.count(standing)) for standing in order]
        spent = [f"{cell.waited_s:.0f}", f"{cell.worked_s:.0f}", str(cell.exit_code)]
        lines.append([cell.spec.name, cell.commit, str(stale.get(cell.spec.name, 0)), *counts, *spent])
    return markdown([*heads, "waited s", "worked s", "exit code"], lines)


def _rows(cells: Sequence[Cell]) -> str:
    by_cell = [cell.by_id for cell in cells]
    ids = [row.id for row in load_catalogue().guarantees if any(row.id in rows for rows in by_cell)]
    ids += sorted({name for rows in by_cell for name in rows} - set(ids))
    lines = [[f"`{name}`", *(_sign(rows.get(name)) for rows in by_cell)] for name in ids]
    return markdown(["guarantee", *(cell.spec.topology for cell in cells)], lines)


def _sign(row: StoredRow | None) -> str:
    return "" if row is None else SIGNS[row.standing]


def _why(row: StoredRow) -> str:
    # A known broken row may be broken by something else: then why it was expected explains nothing.
    return row.reason if row.standing is Standing.BROKEN else row.known or row.reason


def words(cells: Sequence[Cell]) -> str:
    """A line for every row that needs a word; empty if all held."""
    lines = [
        [cell.spec.name, f"`{row.id}`", row.standing.value, _why(row)]
        for cell in cells
        for row in cell.rows
        if not row.standing.is_held and row.standing is not Standing.NOT_TESTED
    ]
    if not lines:
        return ""
    return "\n## What did not simply hold\n\n" + markdown(["cell", "guarantee", "standing", "why"], lines)


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""

    def row(fields: Sequence[str]) -> str:
        return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"

    return "\n".join([row(heads), row(["---"] * len(heads)), *(row(line) for line in lines)]) + "\n"
