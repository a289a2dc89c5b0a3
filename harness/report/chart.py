"""The chart of a scenario as inline SVG: sends per second by outcome, deliveries, latency, faults shaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup, escape

from harness.report.words import number, scrub, shorten

_WIDTH: Final = 1080
_LEFT: Final = 58
_RIGHT: Final = 16
_LANE: Final = 18
_RATE: Final = 190
_GAP: Final = 30
_LATENCY: Final = 84
_MOST_BUCKETS: Final = 400
_STACK: Final = ("acked", "unknown", "failed")
_LABELS: Final = {"acked": "acknowledged", "unknown": "unknown", "failed": "failed"}


def chart(series: Mapping[str, Any], *, title: str = "") -> Markup:
    """One SVG from what `series.series` returned; empty if nothing was sent or delivered.

    Colours come from the page's CSS classes, so that it follows the light and dark scheme. Long runs are summed into
    at most 400 bars.
    """
    data = _thinned(series)
    if not data["buckets"]:
        return Markup("")
    lanes = _lanes(data["windows"])
    top = 14 + _LANE * max(1, len(lanes))
    has_latency = any(value is not None for value in data["p99_ms"])
    bottom = top + _RATE + (_GAP + _LATENCY if has_latency else 0)
    plot = _Plot(data, top)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {bottom + 24}" role="img" aria-label="{_text(title or "chart")}">',
        f"<title>{_text(title)}</title>",
        *plot.grid(),
        *plot.stack(),
        *plot.shades(lanes, bottom),
        plot.line("delivered", "deliveries"),
        *(plot.latency(top + _RATE + _GAP) if has_latency else ()),
        *plot.seconds(bottom),
        "</svg>",
    ]
    return Markup("".join(parts))


class _Plot:
    """Scales and strokes; x is seconds of the run, y of the upper panel messages per second."""

    def __init__(self, data: Mapping[str, Any], top: int) -> None:
        self.data = data
        self.top = top
        self.bucket_s = float(data["bucket_s"])
        self.end_s = float(data["buckets"] * self.bucket_s)
        sums = [sum(values) for values in zip(*(data[name] for name in _STACK), strict=True)]
        most = max(1.0, *sums, *data["delivered"]) / self.bucket_s
        self.step = _nice(most / 4)
        self.ceiling: float = self.step * math.ceil(most / self.step)

    def x(self, second: float) -> float:
        inside = min(max(second, 0.0), self.end_s)
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * inside / self.end_s, 1)

    def y(self, rate: float) -> float:
        return round(self.top + _RATE * (1 - rate / self.ceiling), 1)

    def grid(self) -> Iterator[str]:
        for index in range(round(self.ceiling / self.step) + 1):
            y = self.y(index * self.step)
            yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            yield f'<text class="tick" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{number(index * self.step)}</text>'
        middle = self.top + _RATE / 2
        yield _axis(middle, "per second")

    def stack(self) -> Iterator[str]:
        below = [0.0] * self.data["buckets"]
        for name in _STACK:
            above = [b + n / self.bucket_s for b, n in zip(below, self.data[name], strict=True)]
            if above != below:
                yield f'<path class="area {name}" d="{self._area(below, above)}"><title>{_LABELS[name]}</title></path>'
            below = above

    def _area(self, below: Sequence[float], above: Sequence[float]) -> str:
        forth = [(self.x(s * self.bucket_s), self.y(v)) for i, v in enumerate(above) for s in (i, i + 1)]
        back = [(self.x(s * self.bucket_s), self.y(v)) for i, v in enumerate(below) for s in (i, i + 1)]
        return "M" + "L".join(f"{x} {y}" for x, y in (*forth, *reversed(back))) + "Z"

    def line(self, key: str, title: str) -> str:
        points = " ".join(
            f"{self.x((i + 0.5) * self.bucket_s)},{self.y(n / self.bucket_s)}" for i, n in enumerate(self.data[key])
        )
        return f'<polyline class="line {key}" points="{points}"><title>{title} per second</title></polyline>'

    def latency(self, top: int) -> Iterator[str]:
        values = [v for key in ("p50_ms", "p99_ms") for v in self.data[key] if v]
        low = math.floor(math.log10(min(values, default=1.0)))
        high = max(low + 1, math.ceil(math.log10(max(values, default=10.0))))

        def y(value_ms: float) -> float:
            return round(top + _LATENCY * (1 - (math.log10(max(value_ms, 10**low)) - low) / (high - low)), 1)

        for power in range(low, high + 1):
            at = y(10.0**power)
            yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>'
            yield f'<text class="tick" x="{_LEFT - 8}" y="{at + 4}" text-anchor="end">{number(10.0**power)}</text>'
        middle = top + _LATENCY / 2
        yield _axis(middle, "ms (log)")
        for key in ("p50_ms", "p99_ms"):
            for run in _runs(self.data[key]):
                points = " ".join(f"{self.x((i + 0.5) * self.bucket_s)},{y(v)}" for i, v in run)
                yield f'<polyline class="line {key}" points="{points}"><title>{key[:3]} latency</title></polyline>'

    def shades(self, lanes: Sequence[Sequence[Mapping[str, Any]]], bottom: int) -> Iterator[str]:
        for lane, windows in enumerate(lanes):
            for window in windows:
                yield from self._shade(window, 12 + lane * _LANE, bottom)

    def _shade(self, window: Mapping[str, Any], y: int, bottom: int) -> Iterator[str]:
        edges = [window["inject_s"], window["observed_s"], window["heal_s"], window["recovered_s"]]
        filled: list[float] = []
        for i, edge in enumerate(edges):
            known_later = [later for later in edges[i:] if later is not None]
            filled.append(edge if edge is not None else known_later[0] if known_later else self.end_s)
        for kind, start, end in zip(("injected", "biting", "healing"), filled, filled[1:], strict=False):
            width = round(self.x(end) - self.x(start), 1)
            if width > 0:
                box = f'x="{self.x(start)}" y="{y + 4}" width="{width}" height="{bottom - y - 4}"'
                yield (
                    f'<rect class="fault {kind}" {box}>'
                    f"<title>{_text(window['name'])}: {kind} {number(start)} to {number(end)} s</title></rect>"
                )
        unseen = "" if window["observed_s"] is not None else " (never seen to bite)"
        label = shorten(f"{window['fault']} {', '.join(window['targets'])}{unseen}", 60)
        anchor = "end" if self.x(filled[0]) > _WIDTH * 0.7 else "start"
        yield f'<text class="faultname" x="{self.x(filled[0])}" y="{y}" text-anchor="{anchor}">{_text(label)}</text>'
        marks = ("inject", "observed", "heal", "recovered")
        for mark, edge in zip(marks, edges, strict=True):
            if edge is not None:
                at = self.x(edge)
                yield (
                    f'<line class="mark {mark}" x1="{at}" x2="{at}" y1="{y + 4}" y2="{bottom}">'
                    f"<title>{mark} at {number(edge)} s</title></line>"
                )

    def seconds(self, bottom: int) -> Iterator[str]:
        step = _nice(self.end_s / 8)
        for index in range(int(self.end_s / step) + 1):
            x = self.x(index * step)
            yield f'<line class="grid" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 5}"/>'
            yield f'<text class="tick" x="{x}" y="{bottom + 18}" text-anchor="middle">{number(index * step)} s</text>'


def _axis(middle: float, label: str) -> str:
    return f'<text class="axis" transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{label}</text>'


def _text(text: str) -> str:
    return str(escape(scrub(text)))


def _nice(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-3)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _lanes(windows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Windows in rows such that no two labels of a row are closer than a label is wide."""
    lanes: list[list[Mapping[str, Any]]] = []
    for window in sorted(windows, key=lambda w: w["inject_s"]):
        for lane in lanes:
            ends = lane[-1]["recovered_s"] or lane[-1]["heal_s"]
            if ends is not None and window["inject_s"] >= ends + 8:
                lane.append(window)
                break
        else:
            lanes.append([window])
    return lanes


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Maximal stretches without a gap: a missing value is a gap in the line, never a zero."""
    run: list[tuple[int, float]] = []
    for index, value in enumerate((*values, None)):
        if value is not None:
            run.append((index, value))
        elif run:
            yield run
            run = []


def _thinned(series: Mapping[str, Any]) -> dict[str, Any]:
    factor = max(1, math.ceil(series["buckets"] / _MOST_BUCKETS))
    data = dict(series)
    if factor == 1:
        return data

    def groups(values: Sequence[Any]) -> list[Sequence[Any]]:
        return [values[i : i + factor] for i in range(0, len(values), factor)]

    for key in (*_STACK, "delivered"):
        data[key] = [sum(group) for group in groups(series[key])]
    for key in ("p50_ms", "p99_ms"):
        data[key] = [max((v for v in group if v is not None), default=None) for group in groups(series[key])]
    return data | {"buckets": len(data["delivered"]), "bucket_s": series["bucket_s"] * factor}
