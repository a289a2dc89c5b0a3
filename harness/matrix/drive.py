"""Runs what is missing or stale, cell by cell, and keeps the table up to date."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import harness
from harness.catalogue import load_catalogue
from harness.core.errors import HarnessError, UsageError
from harness.core.guarantee import STOCK_ROW
from harness.core.verdict import Verdict
from harness.evidence import refuse_unwritable
from harness.matrix.cells import (
    SCHEMA,
    Cell,
    CellSpec,
    Inputs,
    StoredRow,
    exit_code_of,
    not_reached,
    read_cell,
    stored,
    unjudged,
    write_cell,
)
from harness.matrix.digest import LONG_SUITES, SUITES, UPGRADE_SUITES, Digests
from harness.matrix.suites import Ran, SuiteRun
from harness.matrix.table import table
from harness.matrix.upgrades import Links
from harness.provenance import commit_of
from harness.report.rows import Row

Say = Callable[[str], None]
FOR_LONG: Final = "only the long suites judge this row: make matrix ARGS=--long"
Runner = Callable[[CellSpec, Sequence[str]], Ran]
"""Runs the suites for one cell, of these guarantees only (empty: all). Raises for a run that did not end well."""


@dataclass(frozen=True, slots=True)
class Todo:
    """What one cell needs: guarantee -> why it is to be run; and how many rows stand as they are."""

    spec: CellSpec
    why: dict[str, str]
    standing: int

    def text(self) -> str:
        """One line for the terminal."""
        if not self.why:
            return f"{self.spec.name}: up to date ({self.standing} rows)"
        reasons = sorted(set(self.why.values()))
        told = "; ".join(f"{list(self.why.values()).count(r)} {r}" for r in reasons)
        return f"{self.spec.name}: {len(self.why)} of {len(self.why) + self.standing} rows to run ({told})"


@dataclass(slots=True)
class Matrix:
    """The cells below `results`, shown on `page` as `render` does.

    `again` are verdicts that are run anew although nothing changed.
    Rows that only the long suites judge are run if `long` is set. Without it what is stored of them stays as it is.
    """

    root: Path
    results: Path
    run_suites: Runner
    say: Say
    again: Collection[Verdict] = ()
    fresh: bool = False
    long: bool = False
    render: Callable[[Sequence[Cell], Mapping[str, int]], str] = table
    page: str = "matrix.md"
    _failed: list[str] = field(default_factory=list)

    def todo(self, spec: CellSpec) -> Todo:
        """What is missing or stale of a cell now. Raises `UsageError`, `EvidenceError`."""
        digests = Digests(self.root)
        return self._todo(spec, digests.of_cell(spec), digests)

    def run(self, specs: Sequence[CellSpec]) -> int:
        """Runs every cell that needs it, and writes each and the table as soon as it has ended.

        An interrupted cell leaves what its suite files that had ended came to, and of the others what was there before.
        A row that was run and did not come back is not reached, whatever was there before.
        Returns the gravest exit code of the cells: 1 before 6 before 0; a cell whose suites did not end well counts as
        6, and the others are run all the same.
        """
        for spec in specs:
            self.say(self.todo(spec).text())
        for number, spec in enumerate(specs, 1):
            try:
                self._cell(spec, f"[{number}/{len(specs)}] ")
            except HarnessError as error:
                self._failed.append(spec.name)
                self.say(f"{spec.name}: not all of it is stored: {error}")
        return self._conclude(specs)

    def write_table(self, specs: Sequence[CellSpec]) -> None:
        """Renders `matrix.md` from these cells and all others that are stored."""
        self.results.mkdir(parents=True, exist_ok=True)
        stored_cells = sorted((self.results / "cells").glob("*.json"))
        known = {cell.spec.name: cell for path in stored_cells if (cell := read_cell(path)) is not None}
        order = [spec.name for spec in specs if spec.name in known]
        cells = [known[name] for name in (*order, *(name for name in known if name not in order))]
        digests = Digests(self.root)
        stale = {cell.spec.name: _stale(cell, digests) for cell in cells}
        (self.results / self.page).write_text(self.render(cells, stale), encoding="utf-8")

    def _path(self, spec: CellSpec) -> Path:
        return self.results / "cells" / f"{spec.name}.json"

    def _todo(self, spec: CellSpec, now: dict[str, Inputs], digests: Digests) -> Todo:
        cell = None if self.fresh else read_cell(self._path(spec))
        rows = cell.by_id if cell is not None else {}
        asked = {name: inputs for name, inputs in now.items() if self.long or name not in digests.long}
        why = {name: reason for name, inputs in asked.items() if (reason := self._why(rows.get(name), inputs))}
        parts = sum(name in digests.long for name in why)
        if parts and STOCK_ROW in asked and STOCK_ROW not in why:
            why[STOCK_ROW] = f"{parts} of its parts to run"
        return Todo(spec, why, len(asked) - len(why))

    def _why(self, row: StoredRow | None, now: Inputs) -> str:
        if row is None or row.reason == FOR_LONG:
            return "never run"
        changed = row.inputs.changed(now)
        if changed:
            return f"stale: {', '.join(changed)} changed"
        return f"{row.verdict.value}, asked for again" if row.verdict in self.again else ""

    def _cell(self, spec: CellSpec, prefix: str) -> None:
        # Taken before the run: an edit while it runs makes the rows stale at once, never wrongly fresh.
        digests = Digests(self.root)
        now = digests.of_cell(spec)
        todo = self._todo(spec, now, digests)
        self.say(prefix + todo.text())
        if not todo.why:
            return
        # What verdicts depend on: the cells that are being written do not count.
        commit = commit_of(self.root, "harness", SUITES, LONG_SUITES, "topologies")
        before = read_cell(self._path(spec))
        unasked = {name: unjudged(name, commit, now[name], FOR_LONG) for name in now if name in digests.long}
        rows = {} if before is None else before.by_id
        kept = unasked | {name: row for name, row in rows.items() if not self.fresh or name in unasked}
        versions = {} if before is None else before.versions
        parts = _parts(todo, digests)
        # What no suite judges, pytest would have nothing to run for, and says so with an exit code that means trouble.
        untested = {row.id: row.untested for row in load_catalogue().guarantees}
        found = {
            name: unjudged(name, commit, now[name], untested.get(name, ""))
            for name in todo.why
            if not any(name in part for part in parts)
        }
        waiting = {name: not_reached(name, commit) for name in todo.why}
        for part in parts:
            whole = not todo.standing and len(part) == len(todo.why)
            ran = self.run_suites(spec, () if whole else part)
            # A run for the row of the shipped configuration tells of all that it could be made of.
            run = ran.run.id
            found |= {
                row.id: _outcome(row, commit, now[row.id], digests, run) for row in ran.rows if row.id in todo.why
            }
            versions = dict(ran.run.versions)
            self._write(spec, commit, versions, now, waiting | kept | found)
        silent = {name: not_reached(name, commit, "its suites ended without a word on this row") for name in todo.why}
        merged = self._write(spec, commit, versions, now, kept | silent | found)
        self.say(f"{prefix}{spec.name}: exit code {merged.exit_code}, {len(found)} rows written")

    def _write(
        self, spec: CellSpec, commit: str, versions: dict[str, str], now: dict[str, Inputs], rows: dict[str, StoredRow]
    ) -> Cell:
        cell = _merged(spec, commit, versions, [rows[name] for name in now if name in rows])
        write_cell(self._path(spec), cell)
        self.write_table([spec])
        return cell

    def _conclude(self, specs: Sequence[CellSpec]) -> int:
        self.write_table(specs)
        ended = [spec for spec in specs if spec.name not in self._failed]
        cells = [cell for spec in ended if (cell := read_cell(self._path(spec))) is not None]
        codes = [cell.exit_code for cell in cells] + [6 for _ in self._failed]
        worst = 1 if 1 in codes else max(codes, default=6)
        failed = f"; no result of {', '.join(self._failed)}" if self._failed else ""
        self.say(f"matrix: {codes.count(0)} of {len(specs)} cells as expected{failed}; exit code {worst}")
        return worst


def _stale(cell: Cell, digests: Digests) -> int:
    """Rows that would come out of other code or on other terms now: changed, new, promised or judged no more.

    One that no suite judged, and none judges, is as it was; so is one that was left to the long suites.
    """
    now, rows = digests.of_cell(cell.spec), cell.by_id

    def stale(name: str) -> bool:
        if name not in rows:
            return name in digests.judged_by and name not in digests.long
        judged = name in digests.judged_by or rows[name].verdict is not Verdict.NOT_TESTED
        if name in digests.long and not rows[name].scenarios and not rows[name].infrastructure:
            return False
        return judged and (name not in now or bool(rows[name].inputs.changed(now[name])))

    return sum(map(stale, {*now, *rows}))


def _outcome(row: Row, commit: str, inputs: Inputs, digests: Digests, run: str) -> StoredRow:
    """What is kept of a row; one whose suite function broke off without a verdict is to be run again."""
    nothing = row.verdict in (Verdict.NOT_TESTED, Verdict.INCONCLUSIVE) and not row.scenarios
    broke_off = nothing and row.missing is None and row.id in digests.judged_by
    return not_reached(row.id, commit, row.reason) if broke_off else stored(row, commit, inputs, run)


def _parts(todo: Todo, digests: Digests) -> tuple[tuple[str, ...], ...]:
    """What is run at a time: the rows that one suite file judges, so that an interruption costs no more than these.

    Where the row of the shipped configuration is asked for, all at once: it is made of the others of the same run.
    """
    judged = [name for name in todo.why if name in digests.judged_by]
    if STOCK_ROW in todo.why:
        return (tuple(todo.why),)
    files: dict[Path, list[str]] = {}
    for name in judged:
        files.setdefault(digests.judged_by[name][0], []).append(name)
    return tuple(tuple(names) for names in files.values())


def _merged(spec: CellSpec, commit: str, versions: dict[str, str], rows: Sequence[StoredRow]) -> Cell:
    return Cell(
        format=SCHEMA,
        spec=spec,
        commit=commit,
        versions=versions,
        exit_code=exit_code_of(rows),
        waited_s=round(sum(row.waited_s for row in rows), 1),
        worked_s=round(sum(row.worked_s for row in rows), 1),
        rows=tuple(rows),
    )


def of_this_tree(
    *, results: Path, reports: Path, say: Say, again: Collection[Verdict] = (), fresh: bool = False, long: bool = False
) -> Matrix:
    """The matrix of the clone that this is. Raises `UsageError` for an installation, which has no suites."""
    suites = (SUITES, LONG_SUITES) if long else (SUITES,)
    root = _clone(results)
    return Matrix(root, results, SuiteRun(root, reports, suites=suites), say, again, fresh, long)


def upgrades_of_this_tree(
    *, results: Path, reports: Path, say: Say, again: Collection[Verdict] = (), fresh: bool = False
) -> Matrix:
    """The same of upgrades, on a page of their own, whose verdicts lead to the runs where these are still there."""
    root = _clone(results)
    links = Links(results, reports)
    run = SuiteRun(root, reports, suites=(UPGRADE_SUITES,))
    return Matrix(root, results, run, say, again, fresh, render=links.upgrades, page="upgrades.md")


def _clone(results: Path) -> Path:
    refuse_unwritable(results, "--results")
    root = Path(harness.__file__).resolve().parent.parent
    if not (root / SUITES).is_dir():
        raise UsageError("the matrix runs the suites of the repository, and this installation has none: use a clone")
    return root


def show_status(matrix: Matrix, specs: Sequence[CellSpec]) -> int:
    """Says what would be run, renders the table and says where it is, and runs nothing."""
    for spec in specs:
        matrix.say(matrix.todo(spec).text())
    matrix.write_table(specs)
    matrix.say(f"the table of what is stored: {matrix.results / matrix.page}")
    return 0
