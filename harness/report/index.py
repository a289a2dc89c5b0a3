"""`index.html` over many runs: what changed last, then every guarantee on every cluster, run after run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from markupsafe import Markup

from harness.core.wording import several
from harness.report.html import page
from harness.report.junit import junit_of_runs
from harness.report.past import (
    GRAVITY,
    Cluster,
    Course,
    Doubtful,
    Judged,
    Past,
    changes,
    courses,
    standing_still,
    unsteady,
)
from harness.report.rows import Standing
from harness.report.terminal import doubt
from harness.report.trend import trend, trend_words, values

MOST: Final = 30
"""Runs of a row that are shown, the newest."""
FIGURES: Final = {"rto_max_s": "longest outage", "ok_per_s": "acknowledged"}
# Each its own sign: a row of them must be read without colours and without words.
_MARKS: Final = {
    Standing.BROKEN: ("broken", "✕"),
    Standing.HELD_UNEXPECTEDLY: ("unexpected", "!"),
    Standing.INCONCLUSIVE: ("inconclusive", "?"),
    Standing.NOT_TESTED: ("untested", "–"),
    Standing.KNOWN_BROKEN: ("known", "k"),
    Standing.MEASURED: ("held", "≈"),
    Standing.HELD: ("held", "✓"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of one row: `text` is its standing and time in words, `href` leads to that run's report."""

    css: str
    mark: str
    word: str
    text: str
    href: Markup | None


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure of a row run after run, drawn and in words."""

    label: str
    picture: Markup
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """One guarantee on one cluster as the page shows it."""

    anchor: str
    course: Course
    cells: tuple[Cell, ...]
    hidden: int
    trends: tuple[Trend, ...]
    before: Cell | None
    sure: Cell | None
    since: str

    @property
    def now(self) -> Cell:
        """The newest."""
        return self.cells[-1]

    @property
    def reason(self) -> str:
        """Why it stands where it does."""
        row = self.course.last.row
        return "; ".join(part for part in (doubt(row), row.reason) if part)


def index_page(pasts: Sequence[Past], doubtful: Sequence[Doubtful], copies: int, order: Sequence[str] = ()) -> str:
    """The whole page: it loads nothing, needs no script and names no path of the machine. The same runs, the same page.

    `copies` of runs were found and left out; `order` is that of the guarantees.
    """
    every = courses(pasts, order)
    lines = {id(course): _line(number, course) for number, course in enumerate(every)}
    stands = [course.last.standing for course in every]
    clusters = [(c.title, [lines[id(one)] for one in mine]) for c, mine in groupby(every, key=_cluster)]
    times = sorted(past.at for past in pasts)
    return page(
        "index.html.j2",
        runs=len(pasts),
        span=(_time(times[0]), _time(times[-1])) if times else None,
        tallies=[(*_MARKS[s], s.value, stands.count(s)) for s in GRAVITY if s in stands],
        legend=[(*_MARKS[s], s.value) for s in GRAVITY],
        rows=len(every),
        changes=[lines[id(course)] for course in changes(every)],
        still=[lines[id(course)] for course in standing_still(every)],
        unsteady=[lines[id(course)] for course in unsteady(every, MOST)],
        clusters=clusters,
        doubtful=[(one, None if one.at is None else _time(one.at), _link(one.href)) for one in _sorted(doubtful)],
        copies=copies,
        most=MOST,
    )


def index_junit(pasts: Sequence[Past], doubtful: Sequence[Doubtful], order: Sequence[str] = ()) -> bytes:
    """The newest judgement of each guarantee on each cluster, and an error for each run that nothing has replaced."""
    clusters = {
        cluster.title: [(course.last.row, _told(course.last)) for course in mine]
        for cluster, mine in groupby(courses(pasts, order), key=_cluster)
    }
    return junit_of_runs(clusters, {one.place: one.reason for one in _sorted(doubtful) if not one.again})


def summary_line(pasts: Sequence[Past], doubtful: Sequence[Doubtful]) -> str:
    """What the page says first, for a terminal."""
    every = courses(pasts)
    changed = changes(every)
    worst = f", the gravest now {changed[0].last.standing.value}" if changed else ""
    parts = [several(len(pasts), "run"), several(len(every), "row"), f"{len(changed)} changed last{worst}"]
    if fell := unsteady(every, MOST):
        parts.append(f"{len(fell)} well again that {'was' if len(fell) == 1 else 'were'} not before")
    return ", ".join(parts) + (f"; {len(doubtful)} not counted or doubtful" if doubtful else "")


def _cluster(course: Course) -> Cluster:
    return course.cluster


def _sorted(doubtful: Sequence[Doubtful]) -> list[Doubtful]:
    """The newest first, and before them those of which nobody knows when they began."""
    dated = sorted((one for one in doubtful if one.at is not None), key=lambda one: (one.at, one.place), reverse=True)
    return [*sorted((one for one in doubtful if one.at is None), key=lambda one: one.place), *dated]


def _told(judged: Judged) -> dict[str, str]:
    return {"run": judged.past.run.id, "directory": judged.past.place, "started": _time(judged.past.at)}


def _line(number: int, course: Course) -> Line:
    trends = []
    for name, label in FIGURES.items():
        of = values(course, name, MOST)
        if any(value is not None for value in of):
            trends.append(Trend(label, trend(name, of), trend_words(name, of)))
    return Line(
        anchor=f"r{number}",
        course=course,
        cells=tuple(map(_cell, course.judged[-MOST:])),
        hidden=max(0, len(course.judged) - MOST),
        trends=tuple(trends),
        before=None if course.before is None else _cell(course.before),
        sure=None if course.sure is None else _cell(course.sure),
        since=_time(course.lasting[0].past.at),
    )


def _cell(judged: Judged) -> Cell:
    css, mark = _MARKS[judged.standing]
    text = f"{judged.standing.value}, {_time(judged.past.at)}"
    return Cell(css, mark, judged.standing.value, text, _link(judged.past.href))


def _link(href: str) -> Markup | None:
    """As it is: a quoted path has no character that means anything in HTML, and may look like one of the machine's."""
    return Markup(href) if href else None


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
