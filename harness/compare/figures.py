"""Figures of two releases: how far apart, with what confidence, and which of them are worse or better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from harness.compare.sides import Key, Side, Stored
from harness.compare.statistics import ALPHA, adjusted, fewest_runs, median_shift

RELEVANT_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Kind:
    """A figure that is compared: whether less is better, and up to which difference nobody minds, in its own unit.

    Besides the floor a tenth of the base counts as nothing (`share`): what a release manager would not act on is no
    regression.
    """

    lower_is_better: bool
    floor: float
    share: float = RELEVANT_SHARE


KINDS: Final = MappingProxyType(
    {
        "rto_max_s": Kind(lower_is_better=True, floor=0.25),
        # The stages of a failover: how late a client tells its route is a fifth of a second, a nameserver a tenth.
        "dropped_s": Kind(lower_is_better=True, floor=0.25),
        "rerouted_s": Kind(lower_is_better=True, floor=0.5),
        "first_ok_s": Kind(lower_is_better=True, floor=0.25),
        "registered_s": Kind(lower_is_better=True, floor=1.0),
        "routed_again_s": Kind(lower_is_better=True, floor=1.0),
        "full_service_s": Kind(lower_is_better=True, floor=1.0),
        "rpo_ms": Kind(lower_is_better=True, floor=50.0),
        "lost": Kind(lower_is_better=True, floor=5.0),
        "lag_p99_ms": Kind(lower_is_better=True, floor=20.0),
        "latency_p50_ms": Kind(lower_is_better=True, floor=0.5),
        "latency_p99_ms": Kind(lower_is_better=True, floor=5.0),
        "success_ratio": Kind(lower_is_better=False, floor=0.001, share=0.0),
        "ok_per_s": Kind(lower_is_better=False, floor=1.0),
    }
)
FEWEST_VALUES: Final = 4
"""Of a figure on each side: with fewer it is shown, and not judged."""
_NEVER: Final = 3600.0
"""What an infinite figure (service that never came back) counts as, in the figure's own unit times 1; see `_number`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one scenario on both sides.

    `shift` is the median difference candidate - base with its 95 % interval where there can be one; `p` is adjusted for
    all figures of the comparison. `outcome` is better, same, worse, or not judged (`why`).
    """

    key: Key
    scenario: str
    name: str
    base: tuple[float, ...]
    candidate: tuple[float, ...]
    shift: float
    low: float | None
    high: float | None
    p: float
    outcome: str
    why: str = ""

    @property
    def judged(self) -> bool:
        """Whether there were values enough, on equal terms, to say better, same or worse."""
        return self.outcome in ("same", "better", "worse")


def figures(base: Side, candidate: Side, keys: Iterable[Key], why_not: str) -> list[Figure]:
    """Every figure that both sides have; `why_not` says why none may be judged at all, if so."""
    samples = {(key, *rest): values for key in keys for rest, values in _samples(base, candidate, key)}
    names = {"\0".join((*key, scenario, name)): (key, scenario, name) for key, scenario, name in samples}

    def lifted(number: int) -> dict[str, list[float | None]]:
        """Above zero, where logarithms are: by what nobody minds."""
        return {
            text: [None if v is None else v + KINDS[where[2]].floor for v in samples[where][number]]
            for text, where in names.items()
            # What few runs have is spread by chance as widely as can be, and would hide all others behind it.
            if min(sum(v is not None for v in side) for side in samples[where]) >= FEWEST_VALUES
        }

    chances = dict.fromkeys(names, 1.0) | adjusted(lifted(0), lifted(1))
    return [_figure(where, samples[where], chances[text], why_not) for text, where in names.items()]


def _samples(
    base: Side, candidate: Side, key: Key
) -> Iterable[tuple[tuple[str, str], tuple[list[float | None], list[float | None]]]]:
    """(scenario, figure) -> its values by run on both sides, of the scenarios that both were put to alike."""
    shared = dict.fromkeys(_scenarios(base, key))
    for scenario in (name for name in _scenarios(candidate, key) if name in shared):
        terms = [
            stored.terms[scenario] for side in (base, candidate) for stored in side.runs if scenario in stored.terms
        ]
        if any(other != terms[0] for other in terms[1:]):
            continue
        for name in KINDS:
            one, other = ([_value(stored, key, scenario, name) for stored in side.runs] for side in (base, candidate))
            if any(v is not None for v in one) and any(v is not None for v in other):
                yield (scenario, name), (one, other)


def _scenarios(side: Side, key: Key) -> list[str]:
    return [scenario.called for row in side.rows(key) for scenario in row.scenarios]


def _value(stored: Stored, key: Key, scenario: str, name: str) -> float | None:
    """A figure of a run whose scenario could be judged: of its repetitions the median, of what was lost the mean.

    A sum would grow with how often the scenario was repeated, and a median hides what one in three loses.
    """
    row = stored.rows.get(key)
    judged = [s for s in row.scenarios if s.called == scenario and s.verdict.value in ("held", "broken")] if row else []
    values = [value for each in judged if (value := _number(name, each.figures.get(name))) is not None]
    if not values:
        return None
    return fmean(values) if name == "lost" else median(values)


def _number(name: str, value: JsonValue) -> float | None:
    """An infinite one counts as an hour, whatever its unit."""
    if value == "inf":
        return _NEVER * (1000.0 if name.endswith("_ms") else 1.0)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _figure(
    where: tuple[Key, str, str], values: tuple[list[float | None], list[float | None]], p: float, why_not: str
) -> Figure:
    key, scenario, name = where
    one, other = ([v for v in side if v is not None] for side in values)
    shift, low, high = median_shift(one, other)
    outcome, why = _outcome(KINDS[name], one, other, shift, p)
    runs, fewest = min(map(len, values)), fewest_runs()
    if runs < fewest:  # also where a difference would be unlikely: who reads the rule must be able to trust it
        outcome, why = "not judged", f"of one side there are {runs} runs; it takes {fewest} of each"
    if why_not:
        outcome, why = "not judged", why_not
    return Figure(key, scenario, name, tuple(one), tuple(other), shift, low, high, p, outcome, why)


def _outcome(kind: Kind, one: Sequence[float], other: Sequence[float], shift: float, p: float) -> tuple[str, str]:
    fewest = fewest_runs()
    if p >= ALPHA and min(len(one), len(other)) < fewest:
        told = f"{len(one)} and {len(other)} runs tell nothing of how much runs differ; it takes {fewest} of each"
        return "not judged", told
    middle = sorted(one)[len(one) // 2]
    if p >= ALPHA or abs(shift) <= max(kind.floor, kind.share * abs(middle)):
        return "same", ""
    return ("worse" if (shift > 0) is kind.lower_is_better else "better"), ""
