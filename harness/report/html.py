"""`report.html`: one self-contained page for whoever must decide, and for whoever must find out why."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.core.verdict import Verdict
from harness.core.wording import several, were
from harness.report.chart import chart
from harness.report.clients import client_notes
from harness.report.material import Promise, ScenarioReport
from harness.report.rows import Row, Run, Standing, exit_code, standing
from harness.report.terminal import doubt, scenario_counts, verdict_text
from harness.report.words import (
    figures_text,
    label_text,
    not_known,
    number,
    printable,
    scrub,
    shorten,
    spread_text,
    value_text,
)

_MARKS: Final = {
    Standing.HELD: ("held", "✓"),
    Standing.MEASURED: ("held", "≈"),
    Standing.HELD_UNEXPECTEDLY: ("unexpected", "!"),
    Standing.BROKEN: ("broken", "✕"),
    Standing.KNOWN_BROKEN: ("known", "✕"),
    Standing.INCONCLUSIVE: ("inconclusive", "?"),
    Standing.NOT_TESTED: ("untested", "–"),
}
# Timers are no column: a row whose promise is a timer runs with the documented ones beside rows that do not.
_DIMENSIONS: Final = ("topology", "RocketMQ", "Java", "client", "runtime")
_NEEDS_ATTENTION: Final = (Standing.BROKEN, Standing.HELD_UNEXPECTEDLY, Standing.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class View:
    """One row with what the template needs to place it."""

    row: Row
    anchor: str
    standing: Standing
    css: str
    mark: str
    verdict: str
    doubt: str


@dataclass(frozen=True, slots=True)
class Column:
    """One configuration of the matrix: what distinguishes it from the others of the run."""

    key: tuple[str, ...]
    title: str


def html_report(
    run: Run,
    rows: Sequence[Row],
    scenarios: Sequence[ScenarioReport] = (),
    promises: Mapping[str, Promise] | None = None,
    *,
    clusters: Mapping[str, str] | None = None,
    strict: bool = False,
    allow_missing: Iterable[str] = (),
) -> str:
    """The whole page. It loads nothing, needs no script, and names no absolute path of the machine.

    `scenarios` are matched with rows by name; a row whose scenario is not among them is shown without chart and
    demands. Links are relative to the run directory, where the page lies. `clusters` says of each topology what it is.
    """
    code, line = exit_code(rows, strict=strict, allow_missing=allow_missing, promised=run.promised)
    views = [_view(index, row) for index, row in enumerate(rows)]
    columns, shared = _columns(rows)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            code=code,
            line=line,
            decision=_decision(code, sum(view.standing is Standing.NOT_TESTED for view in views)),
            views=views,
            tallies=_tallies(views),
            attention=[view for view in views if view.standing in _NEEDS_ATTENTION],
            columns=columns,
            shared=shared,
            matrix=_matrix(views),
            scenarios={scenario.name: scenario for scenario in scenarios},
            promises=promises or {},
            clusters=clusters or {},
            notes=client_notes(rows, run.options),
        )
    )


def page(template: str, **values: Any) -> str:
    """Another page with the same filters and style."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """One for every page of a process: to compile the templates takes longer than to fill them in."""
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "figures": figures_text,
        "label": label_text,
        "not_known": not_known,
        "counts": scenario_counts,
        "shorten": shorten,
        "spread": lambda pair: spread_text(pair[0], pair[1]),
        "figure": lambda pair: value_text(pair[0], pair[1]),
        "second": lambda value: "–" if value is None else f"{value:,.2f}",
        "number": number,
        "several": several,
        "middle": lambda values, name: value_text(name, statistics.median(values)),
    }
    environment.globals |= {"chart": chart, "not_tested": Verdict.NOT_TESTED}
    return environment


def _finalize(value: Any) -> Any:
    """Every value that enters the page passes here: no path of the machine and no control character gets through."""
    if isinstance(value, Markup):
        return value
    return scrub(printable(value)) if isinstance(value, str) else value


def _view(index: int, row: Row) -> View:
    stand = standing(row)
    css, mark = _MARKS[stand]
    return View(row, f"g{index}", stand, css, mark, verdict_text(row), doubt(row))


def _decision(code: int, not_tested: int) -> str:
    untested = f"; {were(not_tested, 'promised row')} not tested" if not_tested else ""
    return {
        0: f"Every row that was tested came out as expected{untested}.",
        1: "At least one row deviates from what is expected.",
        6: "Nothing deviates, but something that was to be shown was not shown.",
    }.get(code, "")


def _tallies(views: Sequence[View]) -> list[tuple[str, str, str, int]]:
    stands = [view.standing for view in views]
    return [(*_MARKS[s], s.value, stands.count(s)) for s in Standing if s in stands]


def _columns(rows: Sequence[Row]) -> tuple[list[Column], str]:
    """The configurations of the run, titled by what differs between them, and what they have in common."""
    keys = list(dict.fromkeys(_column_key(row) for row in rows))
    varying = [i for i in range(len(_DIMENSIONS)) if len({key[i] for key in keys}) > 1] or [0]
    columns = [Column(key, " · ".join(_part(key, i) for i in varying)) for key in keys]
    common = [f"{_DIMENSIONS[i]} {keys[0][i]}" for i in range(len(_DIMENSIONS)) if i not in varying] if keys else []
    return columns, ", ".join(common)


def _part(key: tuple[str, ...], index: int) -> str:
    return key[0] if index == 0 else f"{_DIMENSIONS[index]} {key[index]}"


def _column_key(row: Row) -> tuple[str, ...]:
    return row.configuration[: len(_DIMENSIONS)]


def _matrix(views: Sequence[View]) -> dict[str, dict[tuple[str, ...], list[View]]]:
    matrix: dict[str, dict[tuple[str, ...], list[View]]] = {}
    for view in views:
        matrix.setdefault(view.row.id, {}).setdefault(_column_key(view.row), []).append(view)
    return matrix
