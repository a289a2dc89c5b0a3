"""`junit.xml`: what a build server shows. Only an unexpected broken is a failure; what proves nothing is an error."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.core.verdict import Verdict
from harness.report.rows import Row, Run, ScenarioRow, Standing, standing
from harness.report.terminal import control_line, doubt
from harness.report.words import printable, value_text


@dataclass(frozen=True, slots=True)
class Case:
    """One row judged by one scenario: the unit of JUnit and Allure. `scenario` is None if none was executed."""

    row: Row
    scenario: ScenarioRow | None
    standing: Standing
    message: str

    @property
    def name(self) -> str:
        """`guarantee[scenario]`, or the guarantee alone."""
        return self.row.id if self.scenario is None else f"{self.row.id}[{self.scenario.name}]"


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """Every row x scenario with the verdict of that scenario.

    A row's verdict that none of its scenarios has (a control that failed makes held scenarios inconclusive) is the
    verdict of each of them: no green case may hide a row that is not.
    """
    for row in rows:
        whole = standing(row)
        if not row.scenarios:
            yield Case(row, None, whole, _message(doubt(row), row.reason))
            continue
        agree = whole in {_standing_of(row, scenario) for scenario in row.scenarios}
        for scenario in row.scenarios:
            if agree:
                yield Case(row, scenario, _standing_of(row, scenario), scenario.reason or row.reason)
            else:
                yield Case(row, scenario, whole, _message(doubt(row), row.reason, scenario.reason))


def junit_xml(run: Run, rows: Sequence[Row], *, strict: bool = False) -> bytes:
    """One suite per topology, one case per row and scenario; of several clients each has a class name of its own.

    A known broken row is `skipped` with its reason, or a failure under `strict`; held though expected broken is a
    failure, for the catalogue or the product changed. Not tested is skipped, a failure under `strict`. Held and
    measured have nothing below them.
    """
    root = ET.Element("testsuites", name="rmq-harness")
    tested = sorted(cases(rows), key=lambda case: case.row.topology)
    # Of two cases of one name build servers show one: a row that nothing was executed for has no scenario in its name.
    apart = len({row.client for row in rows}) > 1
    shared = {"run": run.id, "seed": run.seed, "harness": run.harness, "git_commit": run.git_commit}
    shared |= {f"version.{name}": value for name, value in run.versions.items()}
    for topology, group in groupby(tested, key=lambda case: case.row.topology):
        suite = ET.SubElement(root, "testsuite", name=printable(topology), timestamp=printable(run.started_utc))
        _properties(suite, shared)
        _counted(suite, [_case(suite, case, _class(case, apart=apart), {}, strict=strict) for case in group])
    return _bytes(root)


def _class(case: Case, *, apart: bool) -> str:
    return f"{case.row.topology}.{case.row.client}" if apart else case.row.topology


def junit_of_runs(
    clusters: Mapping[str, Sequence[tuple[Row, Mapping[str, str]]]], uncounted: Mapping[str, str]
) -> bytes:
    """One suite per cluster, named by its key, of rows of any runs; what stands beside each is a property of its cases.

    `uncounted` are runs that prove nothing, and why: an error each, for nothing else would show that they were begun.
    """
    root = ET.Element("testsuites", name="rmq-harness")
    for name, told in clusters.items():
        suite = ET.SubElement(root, "testsuite", name=printable(name))
        each = [(case, more) for row, more in told for case in cases([row])]
        _counted(suite, [_case(suite, case, name, more, strict=False) for case, more in each])
    if uncounted:
        suite = ET.SubElement(root, "testsuite", name="runs that are not counted")
        for place, reason in uncounted.items():
            element = ET.SubElement(suite, "testcase", classname="runs", name=printable(place))
            ET.SubElement(element, "error", message=printable(reason)[:1000], type="not-counted").text = printable(
                reason
            )
        _counted(suite, ["errors"] * len(uncounted))
    return _bytes(root)


def case_failed(case: Case, *, strict: bool) -> bool:
    """The case is a failure, as opposed to an error or a skip."""
    also = {Standing.KNOWN_BROKEN, Standing.NOT_TESTED} if strict else set()
    return case.standing in {Standing.BROKEN, Standing.HELD_UNEXPECTEDLY} | also


def case_errored(case: Case) -> bool:
    """The case proves nothing: inconclusive, or stopped by infrastructure."""
    stopped = case.row.infrastructure and not case.standing.is_held
    return case.standing is Standing.INCONCLUSIVE or (stopped and case.row.verdict is Verdict.NOT_TESTED)


def _standing_of(row: Row, scenario: ScenarioRow) -> Standing:
    if scenario.verdict is Verdict.BROKEN:
        return Standing.KNOWN_BROKEN if row.known and not scenario.unexpected else Standing.BROKEN
    if scenario.verdict is Verdict.HELD:
        # One of several scenarios of a known broken row may hold; only the row as a whole can deviate.
        whole = standing(row)
        return whole if whole in {Standing.HELD_UNEXPECTEDLY, Standing.MEASURED} else Standing.HELD
    return Standing.INCONCLUSIVE if scenario.verdict is Verdict.INCONCLUSIVE else Standing.NOT_TESTED


def _message(*parts: str) -> str:
    return "; ".join(dict.fromkeys(part for part in parts if part))


def _bytes(root: ET.Element) -> bytes:
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _counted(suite: ET.Element, kinds: Sequence[str]) -> None:
    suite.set("tests", str(len(kinds)))
    for kind in ("failures", "errors", "skipped"):
        suite.set(kind, str(kinds.count(kind)))


def _case(suite: ET.Element, case: Case, classname: str, more: Mapping[str, str], *, strict: bool) -> str:
    row = case.row
    element = ET.SubElement(suite, "testcase", classname=printable(classname), name=printable(case.name))
    took_s = (row.waited_s + row.worked_s) / max(1, len(row.scenarios))
    element.set("time", f"{took_s:.3f}")
    properties: dict[str, object] = {
        **more,
        "rocketmq": row.rocketmq,
        "java": row.java,
        "client": row.client,
        "runtime": row.runtime,
        "timers": row.timers,
        "verdict": row.verdict.value,
        "expected": row.expected.value,
    }
    if case.scenario is not None:
        properties |= {"seed": case.scenario.seed, "history": case.scenario.history}
    if row.control is not None:
        properties["control"] = control_line(row.control)
    _properties(element, properties | {f"figure.{k}": value_text(k, v) for k, v in row.figures.items()})
    tag, counted = _tag(case, strict=strict)
    if tag:
        message = printable(case.message or case.standing.value)
        if row.known:
            message = printable(f"{message} [expected broken: {row.known_text}]")
        ET.SubElement(element, tag, message=message[:1000], type=case.standing.value.replace(" ", "-")).text = message
    return counted


def _tag(case: Case, *, strict: bool) -> tuple[str, str]:
    if case_errored(case):
        return "error", "errors"
    if case_failed(case, strict=strict):
        return "failure", "failures"
    if case.standing in {Standing.KNOWN_BROKEN, Standing.NOT_TESTED}:
        return "skipped", "skipped"
    return "", ""


def _properties(parent: ET.Element, values: dict[str, object]) -> None:
    element = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(element, "property", name=printable(name), value=printable(str(value)))
