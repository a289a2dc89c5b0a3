"""`allure-results/`: one result per row and scenario, in Allure's own model."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, Parameter, Status, StatusDetails, TestResult, TestStepResult

from harness.report.explain import row_text
from harness.report.junit import Case, case_errored, case_failed, cases
from harness.report.material import Promise, ScenarioReport
from harness.report.rows import Row, Run, Standing
from harness.report.terminal import control_line
from harness.report.words import printable, shorten, value_text

_CONTROL_MOST: Final = 120
_NAMESPACE: Final = uuid.UUID("6f2b1d5e-6d3e-4b0e-9a53-2f4f7c1a9d10")
_STATUS: Final = {
    Standing.HELD: Status.PASSED,
    Standing.MEASURED: Status.PASSED,
    Standing.HELD_UNEXPECTEDLY: Status.FAILED,
    Standing.BROKEN: Status.FAILED,
    Standing.KNOWN_BROKEN: Status.FAILED,
    # Allure's "broken" is its word for a test that could not be carried out, not for a broken guarantee.
    Standing.INCONCLUSIVE: Status.BROKEN,
    Standing.NOT_TESTED: Status.SKIPPED,
}


def write_allure(
    directory: Path,
    run: Run,
    rows: Sequence[Row],
    scenarios: Sequence[ScenarioReport] = (),
    promises: Mapping[str, Promise] | None = None,
    *,
    strict: bool = False,
) -> int:
    """Writes the results, their attachments, `environment.properties` and `categories.json`; returns how many results.

    Known broken rows carry Allure's `known` flag and are failed only under `strict`, else skipped. Existing files
    are left alone: what another reporter put there stays.
    """
    logger = AllureFileLogger(str(directory))
    by_name = {scenario.name: scenario for scenario in scenarios}
    written = 0
    for case in cases(rows):
        report = by_name.get(case.scenario.name) if case.scenario is not None else None
        result, attachments = _result(run, case, report, (promises or {}).get(case.row.id), strict=strict)
        for name, body in attachments.items():
            logger.report_attached_data(body.encode(errors="replace"), name)
        logger.report_result(result)
        written += 1
    lines = {"run": run.id, "seed": str(run.seed), "git_commit": run.git_commit, **run.versions}
    text = "".join(f"{_flat(key)}={_flat(value)}\n" for key, value in lines.items())
    logger.report_attached_data(text, "environment.properties")
    logger.report_attached_data(json.dumps(_CATEGORIES, indent=1), "categories.json")
    return written


_CATEGORIES: Final = [
    {"name": "Broken guarantee", "matchedStatuses": [Status.FAILED]},
    {"name": "Inconclusive or infrastructure", "matchedStatuses": [Status.BROKEN]},
    {"name": "Known broken", "matchedStatuses": [Status.SKIPPED], "messageRegex": "(?s).*expected broken:.*"},
    {"name": "Not tested", "matchedStatuses": [Status.SKIPPED]},
]


def _result(
    run: Run, case: Case, report: ScenarioReport | None, promise: Promise | None, *, strict: bool
) -> tuple[TestResult, dict[str, str]]:
    row = case.row
    identity = str(uuid.uuid5(_NAMESPACE, "/".join((*row.key, case.name))))
    status = _STATUS[case.standing]
    if case.standing is Standing.KNOWN_BROKEN and not strict:
        status = Status.SKIPPED
    if case_errored(case):
        status = Status.BROKEN
    known = bool(row.known) and case.standing is not Standing.BROKEN
    message = printable(case.message) + (f" [expected broken: {printable(row.known_text)}]" if row.known else "")
    result = TestResult(
        uuid=str(uuid.uuid5(_NAMESPACE, f"{run.id}/{identity}")),
        historyId=identity,
        testCaseId=identity,
        fullName=f"{row.topology}.{case.name}",
        name=case.name,
        status=status,
        stage="finished",
        description=printable(promise.text) if promise else None,
        statusDetails=StatusDetails(known=known, message=message) if message else None,
        labels=[Label(name=name, value=value) for name, value in _labels(row)],
        parameters=[Parameter(name=name, value=value) for name, value in _parameters(case)],
        steps=_steps(report) if report else [],
    )
    if report is not None and report.started_epoch_ms is not None and report.series is not None:
        result.start = report.started_epoch_ms
        result.stop = report.started_epoch_ms + round(1000 * report.series["buckets"] * report.series["bucket_s"])
    bodies = _attachments(case, report, promise, strict=strict)
    return result, _attach(result, bodies, f"{run.id}/{identity}")


def _attach(result: TestResult, bodies: Mapping[str, str], identity: str) -> dict[str, str]:
    """Names each body as a file and lists it in the result."""
    attached: dict[str, str] = {}
    for title, body in bodies.items():
        kind, extension = ("application/json", "json") if title.endswith("json") else ("text/plain", "txt")
        name = f"{uuid.uuid5(_NAMESPACE, f'{identity}/{title}')}-attachment.{extension}"
        result.attachments.append(Attachment(name=title, source=name, type=kind))
        attached[name] = body
    return attached


def _labels(row: Row) -> list[tuple[str, str]]:
    return [
        ("framework", "rmq-harness"),
        ("parentSuite", row.topology),
        ("suite", row.id),
        ("epic", "RocketMQ guarantees"),
        ("feature", row.id),
        ("guarantee", row.id),
        ("topology", row.topology),
        ("version", row.rocketmq),
        ("severity", "critical"),
    ]


def _parameters(case: Case) -> list[tuple[str, str]]:
    row = case.row
    pairs = [(name, getattr(row, name)) for name in ("topology", "rocketmq", "java", "client", "runtime", "timers")]
    if case.scenario is not None:
        pairs.append(("seed", str(case.scenario.seed)))
    if row.control is not None:
        pairs.append(("control", printable(shorten(control_line(row.control), _CONTROL_MOST))))
    return pairs + [(f"figure {name}", value_text(name, value)) for name, value in row.figures.items()]


def _steps(report: ScenarioReport) -> list[TestStepResult]:
    """Steps of the procedure and faults, in the order in which they began."""
    if report.series is None:
        return []
    zero = report.started_epoch_ms or 0
    timed: list[tuple[float, TestStepResult]] = []
    for step in report.series["steps"]:
        status = Status.PASSED if step["ok"] else Status.FAILED
        timed.append((step["start_s"], _step(step["name"], status, zero, step["start_s"], step["end_s"])))
    for window in report.series["windows"]:
        title = f"fault {window['name']}: {window['fault']} on {', '.join(window['targets'])}"
        bit = window["observed_s"] is not None
        ends = [window[key] for key in ("recovered_s", "heal_s", "observed_s") if window[key] is not None]
        status = Status.PASSED if bit else Status.BROKEN
        step_result = _step(title, status, zero, window["inject_s"], ends[0] if ends else None)
        step_result.parameters = [
            Parameter(name=key, value=value_text(key, window[key]))
            for key in ("inject_s", "observed_s", "heal_s", "recovered_s")
        ]
        timed.append((window["inject_s"], step_result))
    return [step for _, step in sorted(timed, key=lambda pair: pair[0])]


def _step(name: str, status: str, zero_ms: int, start_s: float, end_s: float | None) -> TestStepResult:
    start = zero_ms + round(1000 * start_s)
    stop = start if end_s is None else zero_ms + round(1000 * end_s)
    return TestStepResult(name=printable(name), status=status, stage="finished", start=start, stop=stop)


def _attachments(case: Case, report: ScenarioReport | None, promise: Promise | None, *, strict: bool) -> dict[str, str]:
    bodies = {"why this verdict": row_text(case.row, [report] if report else [], promise)}
    if report is None:
        return bodies
    if report.series is not None:
        timeline: dict[str, Any] = {key: report.series[key] for key in ("windows", "steps", "totals")}
        bodies["fault timeline.json"] = json.dumps(timeline, indent=1, ensure_ascii=False)
    if report.history_sample:
        bodies["history sample"] = report.history_sample
    if case_failed(case, strict=True) or case.standing is Standing.INCONCLUSIVE or strict:
        bodies |= {f"log tail {name}": tail for name, tail in report.log_tails.items()}
    return bodies


def _flat(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\r", " ")
