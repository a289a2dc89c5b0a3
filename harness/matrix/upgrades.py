"""`upgrades.md`: from which release to which, with which client, and how each row came out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.catalogue import load_catalogue
from harness.matrix.cells import Cell, StoredRow
from harness.matrix.table import SIGNS, markdown, words
from harness.report.rows import Standing

HEAD: Final = """# Upgrades by release and client

Rendered by `rmq-harness upgrade-matrix` from the files in `cells/`; nothing in it is written by hand. Each cell is a
cluster that is moved from one release to another under load: `held` and `known broken` are as the catalogue expects,
`?` is inconclusive, `-` was not tested. A verdict leads to the report of its run where that is still there. `stale` is
how many rows were judged by other code, or on other terms, than those of the tree in which this page was rendered.
"""


@dataclass(frozen=True, slots=True)
class Links:
    """Where the runs of a page at `results` are: below `reports`, one folder for each cell."""

    results: Path
    reports: Path

    def upgrades(self, cells: Sequence[Cell], stale: Mapping[str, int]) -> str:
        """The page for these cells, in this order."""
        known = [cell for cell in cells if cell.spec.upgrade_to is not None]
        ids = [row.id for row in load_catalogue().guarantees if any(row.id in cell.by_id for cell in known)]
        lines = [
            [
                cell.spec.topology,
                cell.spec.rocketmq,
                str(cell.spec.upgrade_to),
                cell.spec.client,
                *(self._verdict(cell, cell.by_id.get(name)) for name in ids),
                cell.commit,
                str(stale.get(cell.spec.name, 0)),
                str(cell.exit_code),
            ]
            for cell in known
        ]
        heads = ["topology", "from", "to", "client", *(f"`{name}`" for name in ids), "commit", "stale", "exit code"]
        return "\n".join(part for part in (HEAD, markdown(heads, lines), words(known)) if part)

    def _verdict(self, cell: Cell, row: StoredRow | None) -> str:
        if row is None:
            return ""
        sign = SIGNS[row.standing]
        page = self.reports / cell.spec.name / row.run / "report.html"
        if not row.run or row.standing is Standing.NOT_TESTED or not page.is_file():
            return sign
        return f"[{sign}]({os.path.relpath(page, self.results)})"
