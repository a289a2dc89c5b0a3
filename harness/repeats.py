"""Several repetitions of one suite function (`--repeat`): how often it held, and how its figures spread."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from harness.core.spread import Repeats, Spread, spread
from harness.core.verdict import Verdict, merge
from harness.outcome import Outcome

_MEASURED: Final = ("_s", "_ms", "_ratio")
"""What figures of time and share end in; counts are added up instead."""


def repeats_of(outcomes: Sequence[Outcome], verdicts: Sequence[Verdict], asked: int = 1) -> Repeats | None:
    """How the repetitions of a row came out; None where there was one. `verdicts` are those of the outcomes, in order.

    A repetition of several suite functions is as good as the worst of them. One of the `asked` that was not reached
    (-x, a worker that died, deselected) was not tested, unless none was.
    """
    by_number: dict[int, list[Verdict]] = defaultdict(list)
    for outcome, verdict in zip(outcomes, verdicts, strict=True):
        by_number[outcome.repetition].append(verdict)
    if not by_number or max(asked, *by_number) == 1:
        return None
    for number in range(1, asked + 1):
        by_number.setdefault(number, [Verdict.NOT_TESTED])
    counts = Counter(map(merge, by_number.values()))
    return Repeats(
        held=counts[Verdict.HELD],
        broken=counts[Verdict.BROKEN],
        inconclusive=counts[Verdict.INCONCLUSIVE],
        not_tested=counts[Verdict.NOT_TESTED],
    )


def spreads_of(ran: Sequence[Outcome]) -> dict[str, Spread]:
    """How every figure of time or share spreads over the repetitions that could be judged.

    Of several suite functions each has figures of its own, by its name. A figure that only some repetitions have is the
    spread of these: its `n` says of how many.
    """
    functions = list(dict.fromkeys(o.function for o in ran))
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in ran:
        if outcome.result is None or outcome.result.judgement.verdict not in (Verdict.HELD, Verdict.BROKEN):
            continue
        for name, value in _measured(outcome.result.judgement.figures):
            values[name if len(functions) == 1 else f"{outcome.function}.{name}"].append(value)
    return {name: spread(found) for name, found in values.items()}


def _measured(figures: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    for name, value in figures.items():
        if name.endswith(_MEASURED) and value == "inf":
            yield name, math.inf
        elif name.endswith(_MEASURED) and isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)
