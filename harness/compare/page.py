"""`signoff.html`: the comparison on one page that stands for itself, to be signed and filed."""

from __future__ import annotations

from collections.abc import Sequence

from harness.compare.sides import Side
from harness.compare.statistics import ALPHA, fewest_runs
from harness.compare.verdicts import Compared, Outcome
from harness.provenance import git_commit
from harness.report.html import page

_DECISIONS = {
    0: "No guarantee that the base keeps is kept worse.",
    1: "The candidate is worse in at least one respect.",
    6: "Nothing was shown to be worse, but something that the base shows was not shown of the candidate.",
}


def _decision(code: int, figures: bool) -> str:
    """In words; what was not judged is not passed over."""
    return _DECISIONS[code] + ("" if figures else " Of the figures none was judged: see below why.")


def signoff_page(
    base: Side,
    candidate: Side,
    rows: Sequence[Compared],
    untested: Sequence[Compared],
    line: str,
    code: int,
    why_not: str,
) -> str:
    """The whole page: it loads nothing and needs no script."""
    return page(
        "signoff.html.j2",
        base=base,
        candidate=candidate,
        rows=rows,
        untested=untested,
        figures=[figure for row in rows for figure in row.figures],
        tallies=[(outcome.value, sum(row.outcome is outcome for row in rows)) for outcome in Outcome],
        line=line,
        promised=max(stored.run.promised for side in (base, candidate) for stored in side.runs),
        code=code,
        decision=_decision(code, any(figure.judged for row in rows for figure in row.figures)),
        why_not=why_not,
        alpha=ALPHA,
        fewest=fewest_runs(),
        anew=git_commit() if base.anew else "",
        commits=sorted({stored.run.git_commit or stored.run.harness for s in (base, candidate) for stored in s.runs}),
    )
