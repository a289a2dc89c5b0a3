"""`signoff.html`: the comparison on one page that stands for itself, to be signed and filed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.compare.sides import Side, Stored
from harness.compare.statistics import ALPHA, fewest_runs
from harness.compare.verdicts import Compared, Outcome
from harness.provenance import git_commit
from harness.report.html import page
from harness.report.rows import standing
from harness.report.words import figures_text

_DECISIONS = {
    0: "No guarantee that the base keeps is kept worse.",
    1: "The candidate is worse in at least one respect.",
    6: "Nothing was shown to be worse, but something that the base shows was not shown of the candidate.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """How one run came out in a row. `href` leads there in its report; empty where that is not, or not to stay."""

    side: str
    run: str
    standing: str
    figures: str
    reason: str
    href: str


def _told(sides: Sequence[Side], row: Compared, out: Path) -> list[Told]:
    return [
        Told(
            side.name,
            stored.run.id,
            standing(found).value,
            figures_text(found.figures),
            found.reason,
            _link(stored, row, out),
        )
        for side in sides
        for stored in side.runs
        if (found := stored.rows.get(row.key)) is not None
    ]


def _link(stored: Stored, row: Compared, out: Path) -> str:
    """A relative one, so that the page and the runs may be moved together."""
    if stored.place is None or not (stored.place / "report.html").is_file():
        return ""
    return (
        f"{os.path.relpath((stored.place / 'report.html').resolve(), out.resolve())}#g{[*stored.rows].index(row.key)}"
    )


def _decision(code: int, figures: bool) -> str:
    """In words; what was not judged is not passed over."""
    return _DECISIONS[code] + ("" if figures else " Of the figures none was judged: see below why.")


def signoff_page(
    sides: tuple[Side, Side],
    rows: Sequence[Compared],
    untested: Sequence[Compared],
    line: str,
    code: int,
    why_not: str,
    out: Path,
) -> str:
    """The whole page of base and candidate, to lie in `out`: it loads nothing and needs no script."""
    base, candidate = sides
    return page(
        "signoff.html.j2",
        base=base,
        candidate=candidate,
        rows=rows,
        told={row.key: _told(sides, row, out) for row in rows},
        untested=untested,
        figures=[figure for row in rows for figure in row.figures],
        tallies=[(outcome.value, sum(row.outcome is outcome for row in rows)) for outcome in Outcome],
        line=line,
        promised=max(stored.run.promised for side in sides for stored in side.runs),
        code=code,
        decision=_decision(code, any(figure.judged for row in rows for figure in row.figures)),
        why_not=why_not,
        alpha=ALPHA,
        fewest=fewest_runs(),
        anew=git_commit() if base.anew else "",
        commits=sorted({stored.run.git_commit or stored.run.harness for s in sides for stored in s.runs}),
    )
