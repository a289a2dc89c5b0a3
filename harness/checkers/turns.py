"""Two loads that send in turns, compared round by round: what the one costs more than the other.

In turns, because a machine is quicker in one minute than in the next, and both must get the same of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import NormalDist, fmean, median, stdev
from typing import Any, Final, Literal

import polars as pl

from harness.checkers import narrow
from harness.checkers.standstills import Stall, stalls
from harness.core.errors import MetricUnavailable
from harness.core.history import History

FEWEST_ROUNDS: Final = 6
"""With fewer the interval is so wide, and rests so much on how the logarithms are distributed, that it says nothing."""
_CONFIDENCE: Final = 0.95


def turns_ratio(
    history: History,
    *,
    name: str,
    what: Literal["rate", "latency"] = "rate",
    bound: Literal["mid", "low", "high", "width"] = "mid",
) -> float:
    """What the first load of the look `name` (see the probe TakeTurns) came to, divided by what the second one did.

    `rate` is acknowledged sends per second of their turns, `latency` the median time of those. Each round gives one
    ratio; `mid` is their geometric mean, `low` and `high` bound it at 95 % (Student's t of the logarithms), `width` is
    `high` by `low`. A round in which the harness, a client of the two or the disk stood still is left out. Raises
    MetricUnavailable for fewer than six rounds, for a turn without an acknowledged send, for one in which the other
    load sent as well, and for a round that only one of them was in.
    """
    exponent = _logarithms(history, name, what)
    return math.exp(exponent[bound])


def _logarithms(history: History, name: str, what: str) -> dict[str, float]:
    """The bounds of `turns_ratio` and its middle, before they are raised: all from one pass over the turns."""
    seen = look(history, name)
    measure = _rate if what == "rate" else _latency
    first, second = str(seen["first"]), str(seen["second"])
    turns: dict[int, dict[str, dict[str, Any]]] = {}
    for turn in seen["turns"]:
        turns.setdefault(int(turn["round"]), {})[str(turn["who"])] = turn
    for number, pair in turns.items():
        if set(pair) != {first, second}:
            raise MetricUnavailable(
                f"round {number} of {name!r} is not whole: it has turns of {', '.join(sorted(pair))}"
            )
        _check_alone(history, pair[first], second)
        _check_alone(history, pair[second], first)
    concerned = re.compile(f"{_worker_of(first)}|{_worker_of(second)}")
    felt = [s for s in stalls(history) if s.not_a_client or concerned.search(s.process)]
    calm = [pair for pair in turns.values() if not _stood_still(felt, pair)]
    logs = [math.log(measure(history, pair[first]) / measure(history, pair[second])) for pair in calm]
    if len(logs) < FEWEST_ROUNDS:
        raise MetricUnavailable(
            f"{name!r} has {len(logs)} rounds in which nobody stood still; "
            f"{FEWEST_ROUNDS} are the fewest that say something"
        )
    half = quantile_of_t(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return {"mid": fmean(logs), "low": fmean(logs) - half, "high": fmean(logs) + half, "width": 2 * half}


def in_words(history: History, name: str) -> str:
    """What the two loads of a look came to, for the table. Raises as `turns_ratio` does."""
    seen = look(history, name)

    def interval(what: str) -> str:
        exponent = _logarithms(history, name, what)
        mid, low, high = (math.exp(exponent[bound]) for bound in ("mid", "low", "high"))
        return f"{mid:.2f} ({low:.2f} to {high:.2f} at 95 %)"

    return (
        f"{seen['first']} sends at {interval('rate')} of the rate of {seen['second']}, "
        f"and takes {interval('latency')} times as long"
    )


def quantile_of_t(freedom: int) -> float:
    """Student's t that 95 % of all lie within, by the Cornish-Fisher expansion: within 0.01 from 5 degrees on."""
    z = NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def is_look(value: object) -> bool:
    """An observation is one of loads that took turns."""
    return isinstance(value, dict) and {"first", "second", "turns"} <= set(value)


def look(history: History, name: str) -> dict[str, Any]:
    """The last look of that name at loads that took turns. Raises MetricUnavailable if there is none."""
    try:
        seen = history.observed(name)
    except KeyError:
        raise MetricUnavailable(f"{name!r} was never observed: nobody took turns") from None
    if not is_look(seen):
        raise MetricUnavailable(f"{name!r} is no look at loads that take turns")
    told: dict[str, Any] = seen
    return told


def _check_alone(history: History, turn: dict[str, Any], other: str) -> None:
    """Raises MetricUnavailable if the other load began a send in this turn: it was not held, and it was no turn."""
    inside = pl.col("invoke_ns").is_between(turn["begin_ns"], turn["end_ns"], closed="left")
    if history.sends.filter(narrow.text("process").str.contains(_worker_of(other)) & inside).height:
        raise MetricUnavailable(f"{other} sent in the turn of {turn['who']} in round {turn['round']}")


def _stood_still(felt: Sequence[Stall], pair: dict[str, dict[str, Any]]) -> bool:
    """Something stood still in one of the turns that would not have weighed on the other."""
    return any(s.from_ns < turn["end_ns"] and s.to_ns > turn["begin_ns"] for s in felt for turn in pair.values())


def _worker_of(load: str) -> str:
    """What the processes of a load are called, as a regular expression: `sync-1`, and not `sync-more-1`."""
    return rf"^{re.escape(load)}-\d+$"


def _acked_in(history: History, turn: dict[str, Any]) -> pl.DataFrame:
    """What the load of this turn was acknowledged in it. Raises MetricUnavailable if that is nothing."""
    inside = pl.col("complete_ns").is_between(turn["begin_ns"], turn["end_ns"], closed="left")
    mine = narrow.text("process").str.contains(_worker_of(turn["who"]))
    acked = narrow.acked_of(history).filter(inside & mine)
    if not acked.height:
        raise MetricUnavailable(f"{turn['who']} was acknowledged nothing in its turn of round {turn['round']}")
    return acked


def _rate(history: History, turn: dict[str, Any]) -> float:
    length_s = (int(turn["end_ns"]) - int(turn["begin_ns"])) / 1e9
    return _acked_in(history, turn).height / length_s


def _latency(history: History, turn: dict[str, Any]) -> float:
    acked = _acked_in(history, turn)
    took: list[int] = (acked["complete_ns"] - acked["invoke_ns"]).to_list()
    return max(1.0, float(median(took)))
