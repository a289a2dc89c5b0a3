"""The row that stands for others: what a stock topology's own files make of everything its base topology promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from harness.core.guarantee import STOCK_ROW, Guarantee
from harness.core.verdict import Verdict, merge
from harness.report.rows import Row, ScenarioRow, Standing, standing

SECTIONS: Final = frozenset("ABCDEF")


def counts_for_stock(guarantee: Guarantee) -> bool:
    """Whether the stock row is made of this one: sections A to F, itself excepted."""
    return guarantee.id != STOCK_ROW and guarantee.section in SECTIONS


def with_parts(promised: Sequence[Guarantee], asked: Iterable[str]) -> tuple[Guarantee, ...]:
    """What is to be judged when only some rows were asked for: those, and what the stock row is made of if it is one.

    Nothing asked for means everything.
    """
    wanted = frozenset(asked)
    if not wanted:
        return tuple(promised)
    parts = STOCK_ROW in wanted and any(g.id == STOCK_ROW for g in promised)
    return tuple(g for g in promised if g.id in wanted or (parts and counts_for_stock(g)))


def stock_row(empty: Row, rows: Sequence[Row], guarantees: Sequence[Guarantee]) -> Row:
    """The stock row of one topology: broken if one of its parts is, inconclusive if one is, held if all tested held.

    Without a tested part it stays not tested. Its scenarios are those of its parts, each once; its control is the
    worst of theirs. Rows of other topologies must not be in `rows`.
    """
    parts_of_it = {g.id for g in guarantees if counts_for_stock(g)}
    parts = [row for row in rows if row.id in parts_of_it]
    verdicts = {row.id: _proved(row) for row in parts}
    verdict = merge(verdicts.values())
    names = [id_ for id_, seen in verdicts.items() if seen is verdict]
    counts = {f"rows_{v.value.replace('-', '_')}": list(verdicts.values()).count(v) for v in Verdict}
    scenarios = {s.name: s for row in parts for s in _marked(row)}
    controls = [row.control for row in parts if row.control is not None]
    return empty.model_copy(
        update={
            "verdict": verdict,
            "reason": _reason(verdict, names),
            "figures": counts,
            "scenarios": tuple(scenarios.values()),
            "control": next((c for c in controls if not c.ok), controls[0] if controls else None),
            "deviations": tuple(sorted({text for row in parts for text in row.deviations})),
        }
    )


def _marked(row: Row) -> tuple[ScenarioRow, ...]:
    """Its scenarios; what is expected of the whole does not cover a part that nobody expected to be broken."""
    if standing(row) is not Standing.BROKEN:
        return row.scenarios
    own = (f"any of {row.id}",)
    return tuple(s.model_copy(update={"unexpected": s.unexpected or own}) for s in row.scenarios)


def _proved(row: Row) -> Verdict:
    """A part that is called held although nothing proves it does not hold up the stock row."""
    unproved = row.verdict is Verdict.HELD and standing(row).value == Verdict.INCONCLUSIVE.value
    return Verdict.INCONCLUSIVE if unproved else row.verdict


def _reason(verdict: Verdict, names: Sequence[str]) -> str:
    if not names or verdict is Verdict.NOT_TESTED:
        return "none of the rows of sections A to F was tested in this run"
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    word = "all that were tested held" if verdict is Verdict.HELD else verdict.value
    return f"with the shipped files, {word}: {shown}"
