"""Finds every stored run below a directory and writes one page over all of them, and one JUnit file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

from pydantic import ValidationError

from harness.catalogue import load_catalogue
from harness.core.errors import EvidenceError, UsageError
from harness.core.verdict import Verdict
from harness.evidence import read_json, remedy_for, write_atomically, write_text
from harness.evidence.files import SCHEMA
from harness.evidence.rundir import LATEST
from harness.report.index import index_junit, index_page, summary_line
from harness.report.past import Doubtful, Past
from harness.report.rows import Row, Run, Standing, exit_code, graver, parse_verdicts, standing
from harness.settings import topology_of
from harness.stored import KEY, VERDICTS, StoredSession, sha256_of

PAGE: Final = "index.html"
JUNIT: Final = "junit.xml"
CUT_SHORT: Final = "cut short, or not yet at its end"
_TERMS: Final = (
    "topology",
    "rocketmq",
    "upgrade_to",
    "java",
    "client",
    "runtime",
    "timers",
    "broker_conf",
    "namesrv_conf",
    "jvm_opts",
)
"""Options by which two runs are of different clusters."""
_Which = tuple[str, str, str]
"""A row of a run: topology, guarantee, and of several clients which (empty where the run has one)."""


@dataclass(frozen=True, slots=True)
class Found:
    """One run directory as it was read: what of it is counted, and why not all of it is.

    `promised` are the rows that it was to judge, `rows` those that are counted, `whole` says that it came to its end,
    `copy_of` is alike for copies.
    """

    past: Past | None
    doubt: Doubtful | None
    promised: frozenset[_Which] = frozenset()
    rows: frozenset[_Which] = frozenset()
    terms: str = ""
    whole: bool = False
    copy_of: str = ""


def index(directory: Path) -> str:
    """Writes `index.html` and `junit.xml` there, over every run anywhere below; returns what is to be printed.

    A run that is cut short, changed or unreadable is told, and never counted as good. Links are not followed, and a
    copy of a run counts once.
    Raises UsageError if there is no run below, or if it is a run itself, whose files these would replace;
    EvidenceError if a directory cannot be read or the files cannot be written.
    """
    found, copies = _each_once([_read(directory, place) for place in _places(directory)])
    pasts = [one.past for one in found if one.past is not None]
    doubtful = [replace(one.doubt, again=_again(one, found)) for one in found if one.doubt is not None]
    order = [guarantee.id for guarantee in load_catalogue().guarantees]
    junit = index_junit(pasts, doubtful, order)
    write_text(directory / PAGE, index_page(pasts, doubtful, copies, order))
    write_atomically(directory / JUNIT, lambda part: part.write_bytes(junit))
    return f"{summary_line(pasts, doubtful)}: {directory / PAGE}"


def _places(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise UsageError(f"{directory} is no directory: name one with runs below it, such as reports/nightly")
    if _is_run(directory):
        raise UsageError(f"{directory} is a run itself, and has a page: name the directory that it lies in")
    found = []
    for folder, inside, _files in os.walk(directory, onerror=_refused):
        if _is_run(Path(folder)):
            found.append(Path(folder))
            inside.clear()
    if not found:
        raise UsageError(f"{directory} holds no run: name a directory that has some below it, as `make nightly` leaves")
    # Of copies the first is shown: one called latest was made of a link, and the run has a better name.
    return sorted(found, key=lambda place: (place.name == LATEST, place))


def _is_run(path: Path) -> bool:
    """Also what is left of one: a run that was killed early has nothing but scenarios."""
    return any((path / name).exists() for name in ("run.json", VERDICTS, "scenarios"))


def _refused(error: OSError) -> NoReturn:
    place = Path(str(error.filename))
    raise EvidenceError(f"{place} cannot be read ({error.strerror}): {remedy_for(error, place)}")


def _read(root: Path, directory: Path) -> Found:
    place = directory.relative_to(root).as_posix()
    report = directory / "report.html"
    href = quote(os.fsencode(f"{place}/report.html")) if report.is_file() else ""
    at: datetime | None = None
    try:
        if not (directory / "run.json").is_file():
            raise EvidenceError(f"it has no run.json: {CUT_SHORT}, and it never said what it was to judge")
        run, session = _run_and_session(directory)
        at = _instant(run)
        promised = _to_judge(run, session)
        terms = json.dumps({name: run.options.get(name) for name in _TERMS}, sort_keys=True)
    except EvidenceError as error:
        return Found(None, Doubtful(place, href, at, _told(error, directory)))
    try:
        rows, digest = _rows(directory, session)
    except EvidenceError as error:
        return Found(None, Doubtful(place, href, at, _told(error, directory)), promised, terms=terms)
    whole = bool(run.ended_utc)
    counted = _judged(rows, session) if whole else tuple(r for r in rows if standing(r) is Standing.BROKEN)
    past = Past(place, href, at, run, counted)
    reason = _why_doubtful(run, session, rows, counted)
    doubt = Doubtful(place, href, at, reason) if reason else None
    there = frozenset(_which(row, session) for row in counted)
    return Found(past if whole or counted else None, doubt, promised, there, terms, whole, f"{run.id} {digest}")


def _run_and_session(directory: Path) -> tuple[Run, StoredSession]:
    document = read_json(directory / "run.json", schema=SCHEMA)
    try:
        run = Run.model_validate({key: document[key] for key in Run.model_fields if key in document})
        return run, StoredSession.model_validate(document[KEY])
    except (KeyError, ValidationError) as error:
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"it has no {error}"
        raise EvidenceError(f"run.json: {told}; restore the file") from None


def _which(row: Row, session: StoredSession) -> _Which:
    several = any(told.client for told in session.topologies.values())
    return row.topology, row.id, row.client if several else ""


def _to_judge(run: Run, session: StoredSession) -> frozenset[_Which]:
    """Of what its topologies promise the rows that a suite function it was to run judges; all, if none is known to."""
    each = session.topologies.items()
    promised = {(topology_of(at), name, told.client) for at, told in each for name in told.promised}
    places = [word.rstrip("/") for word in run.replay.split() if word.startswith("suites")]
    functions = {g.id: (*g.scenarios, *g.nightly) for g in load_catalogue().guarantees}
    asked = {
        which
        for which in promised
        if any(f == at or f.startswith((f"{at}/", f"{at}::")) for f in functions.get(which[1], ()) for at in places)
    }
    return frozenset(asked or promised)


def _instant(run: Run) -> datetime:
    try:
        at = datetime.fromisoformat(run.started_utc)
    except ValueError:
        raise EvidenceError(f"run.json: started_utc {run.started_utc!r} is no time; restore the file") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _rows(directory: Path, session: StoredSession) -> tuple[tuple[Row, ...], str]:
    path = directory / VERDICTS
    try:
        text, digest = path.read_text(encoding="utf-8"), sha256_of(path)
    except FileNotFoundError:
        raise EvidenceError(f"it has no {VERDICTS}: {CUT_SHORT}; `rmq-harness recheck` judges what had ended") from None
    except OSError as error:
        raise EvidenceError(f"{VERDICTS} cannot be read ({error.strerror}): make it readable for this user") from None
    except UnicodeDecodeError:
        raise EvidenceError(f"{VERDICTS} is no text: restore it, or run the suites again") from None
    rows = parse_verdicts(text)[1]
    if session.verdicts_sha256 not in ("", digest):
        raise EvidenceError(f"{VERDICTS} was changed after the run: restore it, or run the suites again")
    return rows, digest


def _judged(rows: tuple[Row, ...], session: StoredSession) -> tuple[Row, ...]:
    """Without those that no suite function was run for: the run was not asked for them, or no suite judges them."""
    clients = {at: told.client for at, told in session.topologies.items()}
    ran = {
        (topology_of(outcome.topology), name, clients.get(outcome.topology, ""))
        for outcome in session.outcomes
        for name in outcome.guarantees
    }
    return tuple(row for row in rows if row.verdict is not Verdict.NOT_TESTED or _which(row, session) in ran)


def _why_doubtful(run: Run, session: StoredSession, rows: tuple[Row, ...], counted: tuple[Row, ...]) -> str:
    if not run.ended_utc:
        broken = ", ".join(row.id for row in counted)
        return CUT_SHORT + (f"; counted as broken all the same: {broken}" if broken else "; nothing of it is counted")
    code, _line = exit_code(rows, strict=bool(run.options.get("strict")), allow_missing=session.allow_missing)
    if session.exit_code is None or graver(code, session.exit_code) == code:
        return ""
    return f"it ended in {session.exit_code}, and its rows alone come to {code}; these are counted"


def _told(error: EvidenceError, directory: Path) -> str:
    """Without the place, which stands beside it."""
    return " ".join(str(error).replace(f"{directory}/", "").split())


def _each_once(found: list[Found]) -> tuple[list[Found], int]:
    """Without copies of the same verdicts of the same run, such as a link that was packed as what it leads to."""
    first: dict[str, Found] = {}
    for number, one in enumerate(found):
        first.setdefault(one.copy_of or str(number), one)
    return list(first.values()), len(found) - len(first)


def _again(one: Found, found: list[Found]) -> bool:
    """Whether whole runs of the same cluster that began later have every row that this one was to judge."""
    doubt = one.doubt
    if doubt is None or doubt.at is None or not one.promised:
        return False
    later = (
        other
        for other in found
        if other.whole and other.past is not None and other.terms == one.terms and other.past.at > doubt.at
    )
    # What a later run promised and no suite function of it was for was judged by nobody.
    return one.promised <= {which for other in later for which in other.rows}
