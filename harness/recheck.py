"""Judges a stored run again, without a cluster, and says whether it comes out as it did."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.core.errors import EvidenceError, UsageError
from harness.core.verdict import Judgement, Verdict
from harness.core.wording import several
from harness.evidence.files import read_json
from harness.judging import ControlResult, PlantedControl, ScenarioResult, judge_directory
from harness.outcome import Outcome
from harness.provenance import git_commit
from harness.publish import write_page
from harness.report.rows import EXIT_INCONCLUSIVE, Row, Run, exit_code, graver, parse_verdicts, standing
from harness.report.terminal import summary, use_colour
from harness.scenario import Control, Scenario
from harness.session import Session
from harness.stored import VERDICTS, StoredOutcome, StoredSession, damage, load_session, sha256_of


def judged_anew(directory: Path) -> tuple[Row, ...]:
    """The rows of a whole run as they come out now: from its histories, by today's checks and catalogue.

    What is wrong with its evidence makes a row inconclusive. Raises EvidenceError if it cannot be judged at all.
    """
    session, stored, _shared = load_session(directory)
    return _judged_rows(directory, session, stored, damage(directory, stored.evidence))


def recheck(run: Path) -> tuple[str, int]:
    """The table of a run judged anew from its histories, how it compares with what is stored, and an exit code.

    The code is that of the rows, or of the run if that was graver, or 6 if a verdict differs, evidence is missing or
    was changed, or the run was cut short: then what had ended is judged, and nothing is said of the rest. Nothing is
    written: a run may be an archive.
    Raises UsageError if it is no run directory, EvidenceError if it cannot be judged at all.
    """
    directory = run_directory(run)
    session, stored, shared = load_session(directory)
    cut_short = [] if shared.ended_utc else _unfinished(directory, stored)
    problems = {name: words for name, words in damage(directory, stored.evidence).items() if name not in cut_short}
    rows = _judged_rows(directory, session, stored, problems)
    settings = next(iter(session.settings.values()))
    table = summary(
        shared,
        rows,
        strict=settings.strict,
        allow_missing=settings.allow_missing,
        colour=use_colour(is_a_tty=sys.stdout.isatty(), environment=os.environ),
    )
    code, _line = exit_code(rows, strict=settings.strict, allow_missing=settings.allow_missing)
    remarks = [f"{name}: {'; '.join(words)}" for name, words in problems.items()]
    if not shared.ended_utc:
        remarks += _changed_verdicts(directory, stored)
        return f"{table}\n{_cut_short(stored, cut_short, remarks)}", EXIT_INCONCLUSIVE
    try:
        run_then, rows_then = _stored_verdicts(directory)
    except EvidenceError as error:
        remarks.append(str(error))
    else:
        remarks += [*_edited(directory, stored, shared, run_then), *_differences(rows_then, rows)]
    if remarks:
        told = "\n".join(f"  {remark}" for remark in remarks)
        return f"{table}\nThis is not what is stored{_other_harness(shared)}:\n{told}", EXIT_INCONCLUSIVE
    came_out = f"{table}\n{len(rows)} of {len(rows)} rows came out as stored."
    ended = graver(code, stored.exit_code or 0)
    return came_out + (f"\nThe run itself ended in {ended}, not by its rows." if ended != code else ""), ended


def _judged_rows(
    directory: Path, session: Session, stored: StoredSession, problems: dict[str, list[str]]
) -> tuple[Row, ...]:
    for outcome in stored.outcomes:
        session.add(outcome.topology, _outcome(directory, outcome, problems))
    return session.rows()


def _other_harness(run: Run) -> str:
    """That another version judged the run: what is expected and looked at may have changed since."""
    now = git_commit()
    if not run.git_commit or not now or run.git_commit == now:
        return ""
    return f" (judged by the harness at {run.git_commit} then, at {now} now, which may look and expect otherwise)"


def rewrite_report(run: Path) -> str:
    """Renders `report.html` of a stored run anew from what is stored, judging nothing; returns its path.

    Raises EvidenceError if what is stored of the run was changed since: a page of it would be taken for the run's.
    """
    directory = run_directory(run)
    session, _stored, shared = load_session(directory)
    if not shared.ended_utc:
        raise EvidenceError(
            f"{run}: the run was cut short, or is not yet at its end, and has no report; "
            f"`rmq-harness recheck {run}` judges what had ended"
        )
    rows = _stored_verdicts(directory)[1]
    untouched(directory)
    write_page(directory, shared, rows, tuple(session.settings.values()))
    return str(directory / "report.html")


def untouched(directory: Path) -> None:
    """Raises EvidenceError if what is stored of a run, its evidence included, was changed since it ended.

    Of one that was cut short nothing says what it should be but the evidence of what had ended.
    """
    _session, stored, shared = load_session(directory)
    problems = damage(directory, stored.evidence)
    if shared.ended_utc:
        changed = _edited(directory, stored, shared, _stored_verdicts(directory)[0])
    else:
        changed = []
        problems = {name: words for name, words in problems.items() if name not in _unfinished(directory, stored)}
    told = [*(f"{name}: {'; '.join(words)}" for name, words in problems.items()), *changed]
    if told:
        raise EvidenceError(f"{directory}: {'; '.join(told)}: restore the files, or see what `recheck` says")


def run_directory(path: Path) -> Path:
    """A run directory, also through a link such as `reports/latest`. Raises UsageError naming what is not there."""
    if not path.is_dir():
        raise UsageError(f"{path} is no directory: name a run, such as reports/latest or reports/<run-id>")
    if not (path / "scenarios").is_dir():
        raise UsageError(f"{path} is no run: it has no scenarios/; name one such as reports/latest")
    if not (path / "run.json").is_file():
        raise EvidenceError(f"{path} has no run.json: the run was cut short before it could say what it judged")
    return path.resolve()


def _unfinished(directory: Path, stored: StoredSession) -> list[str]:
    """Scenarios that a run which was cut short had begun and that belong to no suite function that ended."""
    ended = {name for o in stored.outcomes for name in (o.scenario, *(c.scenario for c in o.controls))}
    begun = (path.parent for path in (directory / "scenarios").rglob("scenario.json"))
    return sorted(name for path in begun if (name := str(path.relative_to(directory))) not in ended)


def _cut_short(stored: StoredSession, unfinished: Sequence[str], remarks: Sequence[str]) -> str:
    ended = several(sum(not outcome.broke_off for outcome in stored.outcomes), "suite function")
    lines = [f"This run was cut short, or is not yet at its end: {ended} had ended, and nothing else is judged."]
    lines += [f"  {name}: not at its end, not judged" for name in unfinished]
    return "\n".join([*lines, *(f"  {remark}" for remark in remarks)])


def _stored_verdicts(directory: Path) -> tuple[Run, tuple[Row, ...]]:
    path = directory / VERDICTS
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read ({error.strerror}): restore it, or run the suites again") from None
    except UnicodeDecodeError:
        raise EvidenceError(f"{path} is no text: restore it, or run the suites again") from None
    return parse_verdicts(text)


def _edited(directory: Path, stored: StoredSession, shared: Run, run: Run) -> list[str]:
    """What was changed of the files that tell of a run, besides its evidence; `run` is as `verdicts.json` has it."""
    remarks = _changed_verdicts(directory, stored)
    fields = [name for name in Run.model_fields if getattr(run, name) != getattr(shared, name)]
    if fields:
        remarks.append(f"{VERDICTS} and run.json tell different things of the run's {', '.join(fields)}")
    names = (name for o in stored.outcomes for name in (o.scenario, *(c.scenario for c in o.controls)) if name)
    remarks += [
        f"{name}: judgement.json is missing" for name in names if not (directory / name / "judgement.json").is_file()
    ]
    return remarks


def _changed_verdicts(directory: Path, stored: StoredSession) -> list[str]:
    """Whether `verdicts.json` is another than the run wrote; one that was killed wrote none, and that is no change."""
    if not stored.verdicts_sha256:
        return []
    path = directory / VERDICTS
    if not path.is_file():
        return [f"{VERDICTS} is missing, and the run had written it"]
    return [] if sha256_of(path) == stored.verdicts_sha256 else [f"{VERDICTS} was changed after the run"]


def _outcome(directory: Path, stored: StoredOutcome, problems: dict[str, list[str]]) -> Outcome:
    outcome = Outcome(
        stored.guarantees,
        missing=stored.missing,
        not_tested=stored.not_tested,
        broke_off=stored.broke_off,
        function=stored.function,
        repetition=stored.repetition,
        borrows=stored.borrows,
    )
    if stored.scenario is not None:
        outcome.result = _judged(directory, stored.scenario, problems)
    controls = []
    for control in stored.controls:
        result = _judged(directory, control.scenario, problems)
        data: dict[str, Any] = {"kind": control.kind, "expect": control.expect, "why": control.why}
        controls.append(ControlResult(Control(scenario=result.scenario, **data), result))
    outcome.controls = tuple(controls)
    return outcome


def _judged(directory: Path, name: str, problems: dict[str, list[str]]) -> ScenarioResult:
    root = directory / name
    if name in problems:
        return _unjudged(root, f"evidence: {'; '.join(problems[name])}")
    try:
        scenario = Scenario.model_validate(read_json(root / "scenario.json"))
        result = read_json(root / "result.json")
        trouble = str(result["trouble"])
        # What is packed is a copy that anything may have changed: the lines are the evidence.
        judgement, planted = judge_directory(root, scenario.rules, trouble, from_lines=True)
    except (EvidenceError, ValidationError, KeyError, OSError) as error:
        return _unjudged(root, f"evidence: {' '.join(str(error).split())[:300]}")
    return _result(scenario, root, judgement, planted, result)


def _result(
    scenario: Scenario,
    root: Path,
    judgement: Judgement,
    planted: tuple[PlantedControl, ...],
    stored: dict[str, Any],
) -> ScenarioResult:
    return ScenarioResult(
        scenario,
        root,
        judgement,
        planted,
        str(stored["trouble"]),
        dict(stored.get("spent_s", {})),
        tuple(tuple(d) for d in stored.get("deviations", ())),
        stored.get("bring_up", {}),
        tuple(map(str, stored.get("before", ()))),
    )


def _unjudged(root: Path, reason: str) -> ScenarioResult:
    return ScenarioResult(
        Scenario(name=root.name), root, Judgement(Verdict.INCONCLUSIVE, reason, (), ()), trouble=reason
    )


def _differences(rows_then: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    before = {row.key: row for row in rows_then}
    now = {row.key: row for row in rows}
    remarks = [f"{key[0]} on {key[1]}: stored, but not promised any more" for key in before.keys() - now.keys()]
    remarks += [f"{key[0]} on {key[1]}: not stored" for key in now.keys() - before.keys()]
    for key in now.keys() & before.keys():
        remarks += _difference(before[key], now[key])
    return sorted(remarks)


def _difference(before: Row, now: Row) -> list[str]:
    where = f"{now.id} on {now.topology}"
    remarks = []
    if before.verdict is not now.verdict:
        told = f"now: {now.reason}; then: {before.reason or 'no reason is stored'}"
        remarks.append(f"{where}: {now.verdict.value} now, {before.verdict.value} when it ran ({told})")
    if before.verdict is now.verdict and standing(before) is not standing(now):
        known = now.known_text or before.known_text
        remarks.append(f"{where}: {standing(now).value} now, {standing(before).value} when it ran ({known})")
    if before.expected is not now.expected:
        remarks.append(f"{where}: the catalogue expects {now.expected.value} now, {before.expected.value} then")
    then = {s.name: s.verdict for s in before.scenarios}
    for scenario in now.scenarios:
        old = then.get(scenario.name)
        if old is not scenario.verdict and before.verdict is now.verdict:
            remarks.append(f"{where}, {scenario.name}: {scenario.verdict.value} now, {old} when it ran")
    return remarks or _details(where, before, now)


def _of_repetitions(where: str, before: Row, now: Row) -> list[str]:
    """How often it came out how, how each figure spreads, and the figures of each scenario, of which these are made."""
    remarks = []
    if before.repeats is not None and before.repeats != now.repeats:
        came_out = now.repeats.text() if now.repeats is not None else "there are no repetitions"
        remarks.append(f"{where}: {came_out} now, {before.repeats.text()} when it ran")
    remarks += [
        f"{where}: {name} spread otherwise when it ran"
        for name in sorted(before.spread)
        if before.spread[name] != now.spread.get(name)
    ]
    there = {scenario.name: scenario.figures for scenario in now.scenarios}
    for scenario in before.scenarios:
        found = there.get(scenario.name)
        if found is None:
            remarks.append(f"{where}, {scenario.name}: it is stored, and nothing is judged of it now")
            continue
        remarks += [
            f"{where}, {scenario.name}: {name} is {found.get(name)} now, {value} when it ran"
            for name, value in sorted(scenario.figures.items())
            if value != found.get(name)
        ]
    return remarks


def _details(where: str, before: Row, now: Row) -> list[str]:
    """Where a row with the same verdict says something else: figures that nobody counted are no evidence.

    A figure that is only known now is none of the run's: a later version of the harness tells more.
    """
    remarks = [
        f"{where}: {name} is {now.figures.get(name)} now, {before.figures.get(name)} when it ran"
        for name in sorted(before.figures)
        if before.figures[name] != now.figures.get(name)
    ]
    remarks += _of_repetitions(where, before, now)
    if before.reason != now.reason and not remarks:
        remarks.append(f"{where}: the reason reads {now.reason!r} now, {before.reason!r} when it ran")
    if before.control != now.control:
        told = now.control.reason if now.control is not None else "there is none"
        remarks.append(f"{where}: its control is another than when it ran: {told}")
    if before.deviations != now.deviations:
        gone = sorted(set(now.deviations) ^ set(before.deviations))
        remarks.append(f"{where}: its settings differ from what is stored: {'; '.join(gone[:3])}")
    return remarks
