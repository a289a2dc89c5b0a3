"""One row in full, as text: what was demanded, on what assumptions, and why it could have come out red."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.core.verdict import Judgement, Verdict
from harness.report.material import Promise, ScenarioReport
from harness.report.rows import Row
from harness.report.terminal import doubt, scenario_counts, verdict_text
from harness.report.words import NO_BREAK, label_text, not_known, printable, spread_text, value_text


def row_text(row: Row, scenarios: Sequence[ScenarioReport] = (), promise: Promise | None = None) -> str:
    """Everything behind one row, for a reader who does not believe it yet.

    Without the judgements of `scenarios` the demands are not listed: the text says so rather than implying none.
    """
    by_name = {scenario.name: scenario for scenario in scenarios}
    lines = [f"{row.id}: {verdict_text(row)}"]
    if promise is not None:
        lines += [f"  promise: {promise.text}", f"  source: {promise.source}"]
    lines.append(
        f"  judged on: {row.topology}, RocketMQ {row.rocketmq}, Java {row.java}, client {row.client}, "
        f"runtime {row.runtime}, timers {row.timers}"
    )
    lines.append(f"  expected: {row.expected.value}" + (f", because {row.known_text}" if row.known else ""))
    lines += [f"  {label}: {text}" for label, text in (("but", doubt(row)), ("reason", row.reason)) if text]
    lines += [f"  missing capability: {row.missing}"] if row.missing else []
    lines += [f"  figure: {label_text(k)} = {value_text(k, v)}" for k, v in row.figures.items()]
    lines += [f"  repeated: {row.repeats.text()}"] if row.repeats is not None else []
    lines += [f"    {spread_text(name, spread)}" for name, spread in row.spread.items()]
    lines += [f"  differs from the product's defaults: {deviation}" for deviation in row.deviations]
    lines += _control(row)
    for scenario in row.scenarios:
        counted = scenario_counts(scenario).replace(NO_BREAK, " ")
        lines.append(f"  scenario {scenario.name} (seed {scenario.seed}): {scenario.verdict.value}; {counted}")
        if scenario.before:
            lines.append(f"    on the cluster that {', '.join(scenario.before)} left clean")
        lines.append(f"    evidence: {scenario.history}")
        report = by_name.get(scenario.name)
        lines += [f"    {line}" for line in _demands(report.judgement if report else None)]
    if row.verdict is not Verdict.NOT_TESTED:
        lines.append(f"  time: {row.waited_s:.0f} s waiting for the product's timers, {row.worked_s:.0f} s working")
    return "\n".join(printable(" ".join(line.splitlines())) for line in lines) + "\n"


def _control(row: Row) -> Iterator[str]:
    if row.control is None:
        yield "  control: none was run"
        return
    seen = f": {row.control.reason}" if row.control.reason else ""
    yield f"  control ({row.control.kind}): had to show {row.control.expected}; showed {row.control.observed}{seen}"
    if row.control.why:
        yield f"    what it is: {row.control.why}"
    yield from (f"    evidence: scenarios/{name}" for name in row.control.scenarios)
    if row.control.ok:
        yield "    so the check is able to fail: it did, where it had to"
    else:
        yield "    so the check was not seen to fail: a held verdict here would prove nothing"
    for demand in row.control.on_looks_alone:
        yield f"    rests on a look alone, of which only the number was falsified: {demand}"


def _demands(judgement: Judgement | None) -> Iterator[str]:
    if judgement is None:
        yield "its judgement is not at hand: see judgement.json of the scenario"
        return
    for check in judgement.checks:
        yield f"red unless {check.demand}: {'met' if check.met else 'VIOLATED'}, {check.message}"
        if check.excuse:
            yield f"  excused: {check.excuse}"
        if check.finding is not None:
            yield from (f"  for example {example}" for example in check.finding.examples)
    for assumption in judgement.assumptions:
        voids = "voids every verdict" if assumption.soundness else "voids held"
        word = (
            f"NOT MET ({voids})"
            if not assumption.met
            else "nothing speaks against it"
            if not_known(assumption)
            else "met"
        )
        yield f"assuming {assumption.name}: {word}, {assumption.message}"
