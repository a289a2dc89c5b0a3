"""Figures as tables: how often, the least, the middle and the most."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """One measurement: what was measured and how (`note`), and its rows as text. `raw` are all values by series."""

    title: str
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    raw: dict[str, list[float]] = field(default_factory=dict)

    def on(self, load: str) -> Table:
        """The same, saying how busy the machine was."""
        return dataclasses.replace(self, note=f"{self.note} {load}".strip())

    def as_json(self) -> dict[str, Any]:
        """Everything in it as JSON values."""
        return dataclasses.asdict(self)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`min / median / max`; `-` without values."""
    if not values:
        return "-"
    least, most = min(values), max(values)
    return " / ".join(f"{value:.{digits}f}" for value in (least, statistics.median(values), most))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of all do not exceed. Raises `ValueError` without values."""
    if not values:
        raise ValueError("no values: there is no percentile of nothing")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def ratio(slow: Sequence[float], fast: Sequence[float], digits: int = 1) -> str:
    """How many times the median of the first is that of the second; `-` where there is none."""
    if not slow or not fast or statistics.median(fast) == 0:
        return "-"
    return f"{statistics.median(slow) / statistics.median(fast):.{digits}f}x"


def markdown(table: Table) -> str:
    """The table with its title and note."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    body = [line(table.heads), line(["---"] * len(table.heads)), *map(line, table.rows)] if table.heads else []
    return "\n".join([f"## {table.title}", "", table.note, "", *body, ""])
