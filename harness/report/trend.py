"""A figure run after run as a small inline SVG line, and the same in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from markupsafe import Markup, escape
from pydantic import JsonValue

from harness.core.verdict import Verdict
from harness.report.past import Course, Judged
from harness.report.words import label_text, value_text

NO_END: Final = "no end seen"
"""What an infinite figure says: what was waited for did not come while the run lasted."""
_WORST: Final = frozenset({"rto_max_s"})
"""Figures of which the page says that they are the longest there was."""
_WIDTH: Final = 150
_HEIGHT: Final = 34
_EDGE: Final = 5
_TOP: Final = 10


def values(course: Course, name: str, most: int) -> tuple[float | None, ...]:
    """A figure in each of the last `most` runs of a course, the oldest first; None where a run has none.

    It is that of one scenario, the first of the newest row that has any, for two scenarios are not comparable. One
    that came to no verdict has none. Infinite is one whose end was not seen. Of repetitions it is the longest outage of
    them all, and the median of anything else.
    """
    shown = course.judged[-most:]
    scenario = next((one.row.scenarios[0].called for one in reversed(shown) if one.row.scenarios), None)
    return tuple(_value(one, scenario, name) for one in shown)


def _value(judged: Judged, scenario: str | None, name: str) -> float | None:
    mine = [s for s in judged.row.scenarios if s.called == scenario and s.verdict in (Verdict.HELD, Verdict.BROKEN)]
    known = [value for each in mine if (value := _number(each.figures.get(name))) is not None]
    if not known:
        return None
    return max(known) if name in _WORST else median(known)


def _number(value: JsonValue) -> float | None:
    if value == "inf":
        return math.inf
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and isinstance(value, int | float) else None


def trend_words(name: str, of: Sequence[float | None]) -> str:
    """`min 0.08 s, max 5.1 s, last 5.05 s; 2 of 9: no end seen`; empty if no run has the figure.

    Least and greatest are of the values that have an end.
    """
    there = [value for value in of if value is not None]
    known = [value for value in there if math.isfinite(value)]
    if not there:
        return ""
    if len(there) == len(known) == 1:
        return "; ".join([f"once {value_text(name, known[0])}", *([f"{len(of) - 1} without"] if len(of) > 1 else [])])
    parts = [f"min {value_text(name, min(known))}", f"max {value_text(name, max(known))}"] if known else []
    parts.append(f"last {value_text(name, there[-1]) if math.isfinite(there[-1]) else NO_END}")
    endless = len(there) - len(known)
    more = [f"{endless} of {len(there)}: {NO_END}"] if endless else []
    more += [f"{len(of) - len(there)} without"] if len(of) > len(there) else []
    return "; ".join([", ".join(parts), *more])


def trend(name: str, of: Sequence[float | None]) -> Markup:
    """The line, from zero to the greatest finite value, the oldest left; empty if no run has the figure.

    Where a run has none the line has a gap. An infinite value is no point of it, but a mark above all of them.
    """
    words = trend_words(name, of)
    if not words:
        return Markup("")
    known = [value for value in of if value is not None and math.isfinite(value)]
    scale = _Scale(len(of), max(known, default=0.0))
    title = str(escape(f"{label_text(name)}: {words}"))
    lines = (
        f'<polyline points="{" ".join(f"{scale.x(i)},{scale.y(value)}" for i, value in stretch)}"/>'
        for stretch in _stretches(of)
        if len(stretch) > 1
    )
    parts = [
        f'<svg class="trend" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{title}"><title>{title}</title>',
        f'<line class="zero" x1="0" x2="{_WIDTH}" y1="{_HEIGHT - _EDGE}" y2="{_HEIGHT - _EDGE}"/>',
        *lines,
        *(_mark(scale, i, value) for i, value in enumerate(of) if value is not None),
        "</svg>",
    ]
    return Markup("".join(parts))


def _mark(scale: _Scale, index: int, value: float) -> str:
    x = scale.x(index)
    if math.isinf(value):
        return f'<path class="endless" d="M{x} 0L{x + 3.5} 6H{x - 3.5}Z"/>'
    return f'<circle cx="{x}" cy="{scale.y(value)}" r="1.6"/>'


class _Scale:
    """Where a value of a run is drawn."""

    def __init__(self, runs: int, greatest: float) -> None:
        self._runs = runs
        self._greatest = greatest

    def x(self, index: int) -> float:
        if self._runs == 1:
            return _WIDTH / 2
        return round(_EDGE + (_WIDTH - 2 * _EDGE) * index / (self._runs - 1), 1)

    def y(self, value: float) -> float:
        share = max(value, 0.0) / self._greatest if self._greatest > 0 else 0.0
        return round(_HEIGHT - _EDGE - (_HEIGHT - _EDGE - _TOP) * share, 1)


def _stretches(of: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Finite values without a gap between them."""
    stretch: list[tuple[int, float]] = []
    for index, value in enumerate((*of, None)):
        if value is not None and math.isfinite(value):
            stretch.append((index, value))
        elif stretch:
            yield stretch
            stretch = []
