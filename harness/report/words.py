"""Figures and paths as a reader wants to see them: short, with units, and naming nothing of the machine."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from harness.core.names import IN_TURNS
from harness.core.spread import Quantile, Spread
from harness.core.verdict import Assumption
from harness.core.wording import several

_UNITS: Final = (("_per_s", "/s"), ("_ms", " ms"), ("_us", " µs"), ("_ns", " ns"), ("_s", " s"), ("_bytes", " B"))
_FILE_URL: Final = re.compile(r"file://(?=/)")
_HOME: Final = re.compile(r"(?<![\w.\-/])/(?:home/[^/\s\"'<>:,;)]+|Users/[^/\s\"'<>:,;)]+|root(?![\w.\-]))")
_PATH: Final = re.compile(r"(?<![\w.\-/])(?:~|/(?!/|(?:rmq|dev|proc|sys)/))(?:[\w.@+~%=-]*)(?:/[\w.@+~%=-]+)+")
_LEADING: Final = frozenset(
    {IN_TURNS, "faults", "invoked", "acked", "failed", "unknown", "unknown_stored", "lost", "lost_of", "lost_bound_95"}
)
NO_BREAK: Final = "\u00a0"
"""A space at which no line may end: between a figure and what it is a figure of."""
_LAST_NUMBER: Final = re.compile(rf"[^ {NO_BREAK}]*\d[^ {NO_BREAK}]*$")
_SPACE: Final = re.compile(rf"[^\S{NO_BREAK}]+")
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INSIDE: Final = re.compile(r"(?<=\d) (?=[a-zµ%])|(?<=of|<=) (?=\d)")


def upper_bound_95(n: int) -> float | None:
    """The rate that "0 of n" excludes with 95 % confidence: 3/n. None if n is 0; 1 at most."""
    return min(1.0, 3.0 / n) if n > 0 else None


def loss_text(lost: int | None, acked: int | None, faults: int | None = None, whole: int | None = None) -> str:
    """`0 lost of 48,211 at 2 faults, <= 6.2e-5 at 95 %`; empty when nothing was counted.

    Where the demand is about some of the `whole` that was acknowledged: `0 lost of 9,851 of the 14,850 acknowledged`.
    The bound is one on messages; how often the product was put to the test is how many faults there were.
    """
    if lost is None or acked is None:
        return "" if acked is None else f"{acked:,} acknowledged"
    bound = upper_bound_95(acked) if lost == 0 else None
    at = f" at {several(faults, 'fault')}" if faults else ""
    of = f"{acked:,}" if whole is None or whole == acked else f"{acked:,} of the {whole:,} acknowledged"
    return f"{lost:,} lost of {of}{at}" + (f", <= {_power(bound)} at 95 %" if bound is not None else "")


def value_text(name: str, value: Any) -> str:
    """One figure with the unit its name carries (`rto_s` 1.834 -> `1.83 s`, `share_ratio` 0.051 -> `5.1 %`).

    Of a table only what is not empty is named; nothing at all is the empty text.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if name.endswith("_ratio"):
            return f"{number(100 * value)} %"
        return number(value) + next((unit for end, unit in _UNITS if name.endswith(end)), "")
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(name, item) for item in value)
    if isinstance(value, Mapping):
        texts = ((key, value_text(str(key), item)) for key, item in value.items())
        return ", ".join(f"{key} {text}" for key, text in texts if text)
    return str(value)


def not_known(assumption: Assumption) -> bool:
    """Nobody could look at it: it counts as met, and nothing was seen that says so."""
    return assumption.met and assumption.message.startswith("not known")


def label_text(name: str) -> str:
    """The name of a figure without its unit, in words."""
    for end in ("_ratio", *(end for end, _ in _UNITS)):
        name = name.removesuffix(end)
    return name.replace("_", " ")


def sends_text(figures: Mapping[str, Any]) -> str:
    """What became of the sends beyond those that were acknowledged: `11,904 unknown (212 stored), 0 failed of 23,233`.

    Empty where unknown and failed were not counted. The unknown come first, for they are what a loss figure leaves out.
    """
    unknown, failed, invoked, stored = (_count(figures, k) for k in ("unknown", "failed", "invoked", "unknown_stored"))
    if unknown is None or failed is None:
        return ""
    known = f" ({stored:,} stored)" if unknown and stored is not None else ""
    of = "" if invoked is None else f" of {invoked:,} sends"
    return f"{unknown:,} unknown{known}, {failed:,} failed{of}"


def figures_text(figures: Mapping[str, Any], *, most: int = 2) -> str:
    """The figures of a row in one line: what was measured, what was lost of how many, what became of the other sends.

    `lost_of` is how many could have been lost, where a demand is about some of the acknowledged sends alone. Where the
    others were not counted, at most `most` other figures take their place. A number and its noun are joined by
    `NO_BREAK`.
    """
    lost, acked, of = (_count(figures, key) for key in ("lost", "acked", "lost_of"))
    faults = _count(figures, "faults")
    measured = str(figures.get(IN_TURNS, ""))
    told = sends_text(figures)
    parts = [measured, loss_text(lost, acked if lost is None or of is None else of, faults, acked), told]
    if not told:
        others = [(k, v) for k, v in figures.items() if k not in _LEADING and isinstance(v, (int, float, str))]
        parts += [f"{label_text(k)}{NO_BREAK}{value_text(k, v)}" for k, v in others[:most]]
    return "; ".join(_joined(part) for part in parts if part)


def spread_text(name: str, spread: Spread) -> str:
    """`rto max: least 0.1 s, median 0.12 s (0.1 to 0.2), p95 0.31 s (0.25 to ?), most 0.33 s of 30`, bounds at 95 %.

    The least is the worst of a share or a rate. `?` is a bound that so few values do not give; `never` is a value that
    was not reached within its repetition.
    """

    def told(value: float | str | None) -> str:
        return "?" if value is None else "never" if isinstance(value, str) else value_text(name, value)

    def quantile(found: Quantile) -> str:
        return f"{told(found.value)} ({told(found.low)} to {told(found.high)})"

    never = f", of which {spread.never} never" if spread.never else ""
    return (
        f"{label_text(name)}: least {told(spread.least)}, median {quantile(spread.median)}, "
        f"p95 {quantile(spread.p95)}, most {told(spread.most)} of {spread.n}{never}"
    )


def number(value: float) -> str:
    """Three significant digits for fractions, thousands separators for counts."""
    if not math.isfinite(value):
        return "n/a"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def shorten(text: str, most: int) -> str:
    """At most `most` characters; what was cut is said, and no number is: half of it is another one.

    A `NO_BREAK` stays one.
    """
    text = _SPACE.sub(" ", text).strip(" ")
    if len(text) <= most:
        return text
    head, rest = text[: most - 1], text[most - 1]
    whole = head if rest in (" ", NO_BREAK) else _LAST_NUMBER.sub("", head)
    return f"{(whole.rstrip(f' {NO_BREAK}') or head)}…"


def scrub(text: str) -> str:
    """Replaces absolute paths of the machine by their last part; `/rmq/NODE`, kernel paths and URLs stay."""
    text = _HOME.sub("~", _FILE_URL.sub("file:", text))
    return _PATH.sub(lambda match: "…/" + match.group(0).rsplit("/", 1)[1], text)


def printable(text: str) -> str:
    """Replaces what XML 1.0 and terminals cannot carry (control characters, lone surrogates) by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _count(figures: Mapping[str, Any], name: str) -> int | None:
    value = figures.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _joined(text: str) -> str:
    """No line ends within `11,904 unknown`, `(212 stored)` or `of 23,233 sends`."""
    return _INSIDE.sub(NO_BREAK, text)


def _power(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
