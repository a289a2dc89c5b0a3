"""Writes everything a run leaves besides its scenarios: verdicts, JUnit, Allure results, the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.catalogue import load_catalogue
from harness.core.errors import EvidenceError, HarnessError
from harness.core.wording import several
from harness.evidence import load_history, remedy_for, write_atomically, write_json, write_text
from harness.provenance import now_utc
from harness.report.allure import write_allure
from harness.report.html import html_report
from harness.report.junit import junit_xml
from harness.report.material import Promise, ScenarioReport, judgement_from
from harness.report.rows import Row, Run, verdicts_json
from harness.report.series import series
from harness.session import Session
from harness.settings import Settings
from harness.stored import KEY, VERDICTS, session_json

LOG_TAIL_LINES = 60
SAMPLE_LINES = 40


def write_run(session: Session) -> None:
    """Writes `run.json` as far as the run has come: whoever kills it leaves what can be judged again."""
    shared = session.run().model_dump(mode="json")
    document = {"schema": 1, **shared, "scenarios": _specs(session), KEY: session_json(session)}
    write_json(session.directory / "run.json", document)


def publish(session: Session, rows: Sequence[Row], *, whole: bool = True) -> None:
    """Writes what a run ends with: `run.json`, `verdicts.json`, `junit.xml`, `report.html` and `allure-results/`.

    A run that is not `whole` was interrupted: it gets no time of its end, and is called cut short wherever it is shown.
    """
    session.ended_utc = now_utc() if whole else ""
    run = session.run()
    directory = session.directory
    settings = next(iter(session.settings.values()))
    write_text(directory / VERDICTS, verdicts_json(run, rows))
    # Behind the verdicts, whose checksum it has.
    write_run(session)
    junit = junit_xml(run, rows, strict=settings.strict)
    write_atomically(directory / "junit.xml", lambda part: part.write_bytes(junit))
    scenarios = write_page(directory, run, rows, tuple(session.settings.values()))
    allure = directory / "allure-results"
    try:
        write_allure(allure, run, rows, scenarios, promises_of(rows), strict=settings.strict)
    except OSError as error:
        raise EvidenceError(
            f"{allure} could not be written ({error.strerror or error}): {remedy_for(error, directory)}"
        ) from error


def write_page(directory: Path, run: Run, rows: Sequence[Row], settings: Sequence[Settings]) -> list[ScenarioReport]:
    """Writes `report.html` from what the run directory holds; returns what was read of its scenarios."""
    scenarios = scenario_reports(directory)
    page = html_report(
        run,
        rows,
        scenarios,
        promises_of(rows),
        clusters={each.topology.name: _in_words(each) for each in settings},
        strict=settings[0].strict,
        allow_missing=settings[0].allow_missing,
    )
    write_text(directory / "report.html", page)
    return scenarios


def promises_of(rows: Sequence[Row]) -> dict[str, Promise]:
    """What the catalogue says of each row's guarantee."""
    catalogue = load_catalogue()
    return {
        row.id: Promise(
            catalogue.get(row.id).promise, "; ".join(catalogue.get(row.id).sources), catalogue.get(row.id).control.text
        )
        for row in rows
    }


def scenario_reports(directory: Path) -> list[ScenarioReport]:
    """Reads back every scenario of a run, in the order of their names."""
    roots = sorted(path.parent for path in (directory / "scenarios").rglob("scenario.json"))
    return [_scenario_report(directory, root) for root in roots]


def _scenario_report(directory: Path, root: Path) -> ScenarioReport:
    def relative(paths: list[Path]) -> tuple[str, ...]:
        return tuple(str(path.relative_to(directory)) for path in sorted(paths))

    spec = json.loads((root / "scenario.json").read_text(encoding="utf-8"))
    judgement_file = root / "judgement.json"
    judgement = judgement_from(json.loads(judgement_file.read_text())) if judgement_file.exists() else None
    try:
        picture = series(load_history(root))
    except HarnessError:
        picture = None
    logs = [p for p in (root / "nodes").rglob("*.log") if p.stat().st_size] if (root / "nodes").exists() else []
    return ScenarioReport(
        name=str(root.relative_to(directory / "scenarios")),
        title=spec.get("claim", "").partition("\n")[0],
        judgement=judgement,
        series=picture,
        histories=relative(list((root / "history").glob("*.jsonl"))),
        node_logs=relative(logs),
        log_tails={str(p.relative_to(root)): _tail(p) for p in sorted(logs)},
        history_sample=_sample(root / "history"),
    )


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:])


def _sample(history: Path) -> str:
    lines: list[str] = []
    for path in sorted(history.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            lines += [f"{path.stem}: {line.rstrip()}" for line, _ in zip(file, range(SAMPLE_LINES), strict=False)]
    return "\n".join(lines)


def _specs(session: Session) -> list[str]:
    """Where each scenario's own data lies, relative to the run."""
    found = sorted((session.directory / "scenarios").rglob("scenario.json"))
    return [str(path.relative_to(session.directory)) for path in found]


def _in_words(settings: Settings) -> str:
    """What the cluster was, and above all how it flushed: what holds "whatever the flush" was shown for this one."""
    topology = settings.topology
    slaves = f"{several(topology.slaves, 'slave')}, {topology.replication} replication"
    flush = settings.broker_conf.get("flushDiskType") or f"{topology.flush.upper()}_FLUSH"
    parts = [
        several(topology.masters, "master"),
        slaves if topology.slaves else "no slave",
        flush,
        several(topology.nameservers, "nameserver"),
        *(["the release's own files"] if topology.stock else []),
    ]
    return ", ".join(parts)
