"""The summary a run ends with: the same table as `verdicts.json`, for a terminal or a build log."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.core.verdict import Verdict
from harness.report.clients import client_notes, client_table
from harness.report.rows import Control, Row, Run, ScenarioRow, Standing, exit_code, standing
from harness.report.words import NO_BREAK, figures_text, printable, shorten, spread_text

_STYLE: Final = {
    Standing.HELD: "green",
    Standing.MEASURED: "green",
    Standing.HELD_UNEXPECTEDLY: "bold magenta",
    Standing.BROKEN: "bold red",
    Standing.KNOWN_BROKEN: "red",
    Standing.INCONCLUSIVE: "yellow",
    Standing.NOT_TESTED: "dim",
}
_REASON_MOST: Final = 600
_GLUE: Final = "\ue000"
"""What stands for `NO_BREAK` while the table is drawn, for rich ends lines at that too."""


def use_colour(*, is_a_tty: bool, environment: Mapping[str, str]) -> bool:
    """Colour only for a person at a terminal: never in CI, nor where NO_COLOR or TERM=dumb asks for none."""
    refused = any(environment.get(name) for name in ("CI", "NO_COLOR")) or environment.get("TERM") == "dumb"
    return is_a_tty and not refused


def summary(
    run: Run,
    rows: Sequence[Row],
    *,
    strict: bool = False,
    allow_missing: Iterable[str] = (),
    colour: bool = False,
    width: int = 160,
) -> str:
    """The table, the reasons of everything that did not simply hold, what was not tested, and the last line."""
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, color_system="standard" if colour else None, highlight=False
    )
    console.print(Text(f"run {run.id}  seed {run.seed}"))
    console.print(Text(_subject(run, rows)))
    if not run.ended_utc:
        console.print(Text("this run was cut short: what it did not reach is not tested", style="bold red"))
    tested = [row for row in rows if row.verdict is not Verdict.NOT_TESTED]
    if tested:
        console.print(_table(tested))
    if (by_client := client_table(rows, _verdict)) is not None:
        console.print(by_client)
    for line in client_notes(rows, run.options):
        console.print(Text(line))
    for text in (*_reasons(tested), *_repeats(tested), *_not_tested(rows)):
        console.print(text)
    code, line = exit_code(rows, strict=strict, allow_missing=allow_missing, promised=run.promised)
    console.print(Text(line, style="bold" if code == 0 else "bold red"))
    drawn = out.getvalue().replace(_GLUE, " ")
    lines = (printable(line.rstrip()) if not colour else line for line in drawn.splitlines())
    return "\n".join(lines) + "\n"


def _subject(run: Run, rows: Sequence[Row]) -> str:
    """What was judged, and with which settings of the user's: a table that is passed on must say it by itself."""
    topologies = ", ".join(dict.fromkeys(row.topology for row in rows)) or "no topology"
    to = f" to {run.versions['upgrade to']}" if "upgrade to" in run.versions else ""
    what = f"RocketMQ {run.versions.get('rocketmq', 'of a release that is not recorded')}{to} on {topologies}"
    return "; with ".join(part for part in (what, asked_for(run.options)) if part)


def asked_for(options: Mapping[str, JsonValue]) -> str:
    """The options of a run that change what its nodes run with, as they are written; empty if there are none."""
    words = []
    for name in ("broker_conf", "namesrv_conf"):
        pairs = options.get(name)
        if isinstance(pairs, dict):
            words += [f"--{name.replace('_', '-')} {key}={value}" for key, value in pairs.items()]
    by_role = options.get("jvm_opts")
    if isinstance(by_role, dict):
        for role, given in by_role.items():
            words += [f"--jvm-opt {role}:{option}" for option in given] if isinstance(given, list) else []
    return " ".join(words)


def control_text(control: Control | None) -> str:
    """The control in a few words: its kind, whether it came out, what it showed, how many demands rest on looks."""
    if control is None:
        return "-"
    word = "ok" if control.ok else "FAILED"
    looks = f"; {len(control.on_looks_alone)} on looks alone" if control.on_looks_alone else ""
    return f"{word}: {control.kind}, {control.observed}{looks}"


def scenario_counts(scenario: ScenarioRow) -> str:
    """What was lost in one scenario, of how many, and what became of its other sends."""
    counted = {name: getattr(scenario, name) for name in ("acked", "failed", "unknown", "lost")}
    return figures_text({**scenario.figures, **counted}, most=0)


def control_line(control: Control) -> str:
    """What the control was, what it showed, and the judge's reason: `product: broken, 48 lost of 5,077`."""
    return f"{control.kind}: {control.observed}" + (f", {control.reason}" if control.reason else "")


def _table(rows: Sequence[Row]) -> Table:
    configurations = {row.configuration[:-1] for row in rows}  # timers differ by row, not by cluster
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("guarantee", no_wrap=True)
    if len(configurations) > 1:
        table.add_column("cluster")
    for name in ("verdict", "figures", "control", "scenarios"):
        table.add_column(name)
    for row in rows:
        cells = [Text(row.id)]
        if len(configurations) > 1:
            cells.append(Text(f"{row.topology} {row.rocketmq} {row.client}"))
        cells += [
            _verdict(row),
            Text(shorten(figures_text(row.figures), 120).replace(NO_BREAK, _GLUE)),
            Text(shorten(control_text(row.control), 60)),
            Text(str(len(row.scenarios))),
        ]
        table.add_row(*cells)
    return table


def _verdict(row: Row) -> Text:
    return Text(verdict_text(row), style=_STYLE[standing(row)])


def verdict_text(row: Row) -> str:
    """The verdict as the table says it: `held`, `broken (known)`, `held (expected broken)`, `measured`."""
    stand = standing(row)
    if stand is Standing.INCONCLUSIVE and row.verdict is not Verdict.INCONCLUSIVE:
        return f"{row.verdict.value} (unproved)"
    if stand is Standing.MEASURED:
        return stand.value
    notes = {Standing.KNOWN_BROKEN: " (known)", Standing.HELD_UNEXPECTEDLY: " (expected broken)"}
    return row.verdict.value + notes.get(stand, "")


def doubt(row: Row) -> str:
    """Why a row that is called held is not counted as such; empty if nothing is wrong with it."""
    if row.verdict is Verdict.HELD and not row.scenarios:
        return "no scenario judged it"
    if row.verdict is Verdict.HELD and row.control is not None and not row.control.ok:
        return f"its control was to show {row.control.expected!r} and showed {row.control.observed!r}"
    return ""


def _reasons(rows: Sequence[Row]) -> list[Text]:
    texts = []
    for row in rows:
        stand = standing(row)
        if stand.is_held:
            continue
        known = f" [expected: {row.known_text}]" if row.known else ""
        reason = shorten("; ".join(part for part in (doubt(row), row.reason) if part), _REASON_MOST)
        head = Text(f"{row.id} ({_where(row, rows)}): {verdict_text(row)}: ", style=_STYLE[stand])
        texts.append(head.append(reason + known, style="default"))
    return texts


def _where(row: Row, rows: Sequence[Row]) -> str:
    """Its topology, and of several clients which."""
    return row.topology if len({each.client for each in rows}) < 2 else f"{row.topology}, {row.client}"


def _repeats(rows: Sequence[Row]) -> list[Text]:
    texts = []
    for row in rows:
        if row.repeats is not None:
            texts.append(Text(f"{row.id} ({_where(row, rows)}): {row.repeats.text()}"))
            texts += [Text(f"  {spread_text(name, spread)}") for name, spread in row.spread.items()]
    return texts


def _not_tested(rows: Sequence[Row]) -> list[Text]:
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.verdict is Verdict.NOT_TESTED:
            groups[row.reason].append(row.id)
    texts = []
    for reason, ids in sorted(groups.items()):
        named = shorten(", ".join(sorted(set(ids))), 300)
        texts.append(Text(f"not tested, {shorten(reason, 200)}: {len(ids)} ({named})", style="dim"))
    return texts
