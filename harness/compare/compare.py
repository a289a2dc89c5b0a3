"""Puts two sides together: the table, the page to sign, and the exit code."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.compare.figures import Figure, figures
from harness.compare.page import signoff_page
from harness.compare.sides import Side, side
from harness.compare.statistics import ALPHA
from harness.compare.verdicts import Compared, Outcome, compared
from harness.core.errors import UsageError
from harness.core.wording import several
from harness.evidence.files import refuse_unwritable, write_json, write_text
from harness.report.rows import EXIT_DEVIATION, EXIT_INCONCLUSIVE, EXIT_OK, graver
from harness.report.words import printable, shorten

_STYLE = {Outcome.WORSE: "bold red", Outcome.NOT_COMPARABLE: "yellow", Outcome.BETTER: "green", Outcome.SAME: ""}


def compare(base: Path, candidate: Path, out: Path, state_dir: Path, *, anew: bool = False) -> tuple[str, int]:
    """Compares what is stored of two releases; returns the table and an exit code, and writes to `out`.

    With `anew` every run is judged again first: then both sides are judged by the same checks and the same catalogue,
    whatever judged them when they ran.
    There: `signoff.html`, a page that stands for itself, and `compare.json`, the same for programs. The code is 1 if
    anything is worse, 6 if something that the base could be judged by is not comparable or nothing is, else 0.
    Raises UsageError and EvidenceError for what cannot be compared at all, before anything is written.
    """
    with side("base", base, state_dir, anew=anew) as one, side("candidate", candidate, state_dir, anew=anew) as other:
        if both := {s.run.id for s in one.runs} & {s.run.id for s in other.runs}:
            raise UsageError(f"run {min(both)} is on both sides: compare runs of two releases, or two runs of one")
        if out.resolve().is_relative_to(base.resolve()) or out.resolve().is_relative_to(candidate.resolve()):
            raise UsageError(f"{out} lies in what is compared: evidence is not written to; name another --out")
        refuse_unwritable(out, "--out")
        if not {key[1] for key in one.listed()} & {key[1] for key in other.listed()}:
            raise UsageError("base and candidate have no topology in common: compare runs of the same one")
        rows, why_not = _compared(one, other)
        untested = [row for row in rows if not row.tested]
        shown = [row for row in rows if row.tested]
        code, line = _verdict(shown)
        line += _unjudged(shown)
        if ended := _ended_worse(other):
            code, line = graver(code, EXIT_INCONCLUSIVE), f"{line}; {ended}"
        text = signoff_page((one, other), shown, untested, line, code, why_not, out)
        write_text(out / "signoff.html", text)
        write_json(out / "compare.json", _document(one, other, rows, code, line))
    return _table(one, other, shown, untested, line, why_not) + f"\n{out / 'signoff.html'}", code


def _compared(base: Side, candidate: Side) -> tuple[list[Compared], str]:
    """Every row of either side, and why figures are not judged, if so."""
    unlike = _unlike(base, candidate)
    keys = list(dict.fromkeys((*base.listed(), *candidate.listed())))
    why_not = unlike or _machines(base, candidate) or _apart(base, candidate)
    measured = figures(base, candidate, keys, why_not)
    rows = [compared(base, candidate, key, measured, unlike) for key in keys]
    return sorted(rows, key=lambda row: list(Outcome).index(row.outcome)), why_not


def _unlike(base: Side, candidate: Side) -> str:
    """Under which conditions the sides differ besides their release; nothing can be compared then."""
    differ = [name for name, value in base.conditions.items() if candidate.conditions.get(name) != value]
    return "; ".join(f"{name} {base.conditions[name]} against {candidate.conditions[name]}" for name in differ)


def _machines(base: Side, candidate: Side) -> str:
    kinds = base.machines() | candidate.machines()
    if len(kinds) == 1:
        return ""
    differing = sorted({name for kind in kinds for name, value in kind if any((name, value) not in k for k in kinds)})
    return f"the runs were made on different machines ({', '.join(differing)})"


def _apart(base: Side, candidate: Side) -> str:
    """Runs that were not made in turn: a machine that changed in between looks like the release."""
    if min(len(base.runs), len(candidate.runs)) < 2:
        return ""
    both = [(s.run.started_utc, side.name) for side in (base, candidate) for s in side.runs]
    names = [name for _, name in sorted(both)]
    turns = sum(one != other for one, other in pairwise(names))
    if turns >= min(len(base.runs), len(candidate.runs)):
        return ""
    return f"the runs of the two sides were not made in turn ({turns} turns): run base and candidate alternately"


def _ended_worse(candidate: Side) -> str:
    """A run of the candidate that ended in more than its rows account for: something went wrong beside them."""
    told = [f"{stored.run.id} ended in {stored.code}, not by its rows" for stored in candidate.runs if stored.graver]
    return "; ".join(told)


def _verdict(rows: Sequence[Compared]) -> tuple[int, str]:
    counts = {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}
    line = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items()) + f" of {len(rows)}"
    if counts[Outcome.WORSE]:
        return EXIT_DEVIATION, line
    owed = any(row.owed for row in rows) or counts[Outcome.NOT_COMPARABLE] == len(rows)
    return (EXIT_INCONCLUSIVE if owed else EXIT_OK), line


def _unjudged(rows: Sequence[Compared]) -> str:
    """Same by verdicts alone is not the same: it is said wherever the outcome is."""
    figures = [figure for row in rows for figure in row.figures]
    if not figures or any(figure.judged for figure in figures):
        return ""
    return f"; by verdicts alone, for none of {len(figures)} figures could be judged"


def _document(base: Side, candidate: Side, rows: Sequence[Compared], code: int, line: str) -> dict[str, object]:
    return {
        "schema": 1,
        "exit_code": code,
        "line": line,
        "alpha": ALPHA,
        **{
            each.name: {
                "release": each.release,
                "runs": [{"id": s.run.id, "commit": s.run.git_commit, "verdicts_sha256": s.digest} for s in each.runs],
            }
            for each in (base, candidate)
        },
        "rows": [asdict(row) for row in rows],
    }


def _table(
    base: Side, candidate: Side, rows: Sequence[Compared], untested: Sequence[Compared], line: str, why_not: str
) -> str:
    out = io.StringIO()
    console = Console(file=out, width=160, color_system=None, highlight=False)
    for each in (base, candidate):
        console.print(Text(f"{each.name}: RocketMQ {each.release}, {several(len(each.runs), 'run')}"))
    if why_not:
        console.print(Text(f"figures are not judged: {why_not}"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("guarantee", "topology", "base", "candidate", "outcome", "why"):
        table.add_column(name, no_wrap=name == "guarantee")
    for row in rows:
        outcome = Text(row.outcome.value, style=_STYLE[row.outcome])
        table.add_row(*row.key, row.base, row.candidate, outcome, Text(shorten(row.why, 200)))
    console.print(table)
    judged = sum(figure.judged for row in rows for figure in row.figures)
    console.print(Text(f"{judged} of {sum(len(row.figures) for row in rows)} figures could be judged"))
    promised = max(stored.run.promised for side in (base, candidate) for stored in side.runs)
    if promised > len(rows):
        console.print(Text(f"{promised} rows are promised, {len(rows)} were compared"))
    moved = [figure for row in rows for figure in row.figures if figure.outcome in ("worse", "better")]
    for figure in moved:
        console.print(Text(f"{figure.outcome}: {figure_text(figure)}"))
    if untested:
        console.print(Text(f"{several(len(untested), 'promised row')} of neither side was tested"))
    console.print(Text(line))
    return "\n".join(printable(text.rstrip()) for text in out.getvalue().splitlines())


def figure_text(figure: Figure) -> str:
    """`latency_p50_ms of <scenario>: 1.2 -> 4.8, by +3.6 (95 %: +3.1 to +4.0), p = 0.008`."""
    middle = map(median, (figure.base, figure.candidate))
    interval = "" if figure.low is None else f" (95 %: {figure.low:+.4g} to {figure.high:+.4g})"
    told = " -> ".join(f"{value:.4g}" for value in middle)
    return f"{figure.name} of {figure.scenario}: {told}, by {figure.shift:+.4g}{interval}, p = {figure.p:.2g}"
