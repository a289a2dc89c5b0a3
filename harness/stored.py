"""A session on disk: what `run.json` must hold so that a run can be judged again without a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from harness.catalogue import load_catalogue
from harness.core.errors import EvidenceError
from harness.core.expectation import Data
from harness.core.fields import refused
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.evidence.files import SCHEMA, read_json
from harness.outcome import Outcome
from harness.report.rows import Run
from harness.session import Session, Subject
from harness.settings import RUNTIMES, TIMERS, Settings
from harness.topology import Topology

KEY: Final = "session"
VERDICTS: Final = "verdicts.json"
JUDGED: Final = ("scenario.json", "result.json")
"""Besides the history, what a judgement is made from."""


_INSIDE: Final = r"^scenarios(/[^/.][^/]*)+$"
"""A place in the run directory, and nowhere else."""


class StoredControl(Data):
    """A control that was run: where, what kind, and how it must come out."""

    scenario: str = Field(pattern=_INSIDE)
    kind: Literal["product", "fault-off", "planted"]
    expect: Verdict
    why: str = ""


class StoredOutcome(Data):
    """What a suite function came to: the guarantees it judges, and where its scenarios lie."""

    topology: str
    guarantees: tuple[str, ...]
    scenario: str | None = Field(default=None, pattern=_INSIDE)
    controls: tuple[StoredControl, ...] = ()
    missing: str | None = None
    not_tested: str = ""
    broke_off: str = ""
    function: str = ""
    repetition: int = Field(default=1, ge=1)
    borrows: bool = False


class StoredTopology(Data):
    """A topology as it was run, and what it was held to."""

    topology: dict[str, Any]
    promised: tuple[str, ...]
    client: str = ""
    """Which of several clients; empty where the run has one."""


class StoredSession(Data):
    """All of it. `evidence` is the sha256 of every file that was judged, relative to the run directory."""

    version: str
    java_major: int
    allow_missing: tuple[str, ...] = ()
    topologies: dict[str, StoredTopology]
    outcomes: tuple[StoredOutcome, ...]
    evidence: dict[str, str] = Field(default_factory=dict)
    exit_code: int | None = None
    """What the process ended in, which may be graver than its rows; None where that was not stored."""
    verdicts_sha256: str = ""
    """Of `verdicts.json`; empty in a run that was cut short, and where it was not stored."""


def session_json(session: Session) -> dict[str, Any]:
    """The part of `run.json` that `load_session` reads back."""
    subject = session.tested()
    first = next(iter(session.settings.values()))
    return StoredSession(
        version=str(subject.version),
        java_major=subject.java_major,
        allow_missing=tuple(sorted(first.allow_missing)),
        topologies={
            name: StoredTopology(
                topology=settings.topology.model_dump(mode="json"),
                promised=tuple(g.id for g in session.promised[name]),
                client=settings.client if settings.one_of_several else "",
            )
            for name, settings in session.settings.items()
        },
        outcomes=tuple(
            _outcome(session.directory, name, outcome) for name, mine in session.outcomes.items() for outcome in mine
        ),
        evidence=checksums(session.directory),
        exit_code=session.exit_code,
        verdicts_sha256=sha256_of(session.directory / VERDICTS) if (session.directory / VERDICTS).is_file() else "",
    ).model_dump(mode="json")


def _outcome(directory: Path, topology: str, outcome: Outcome) -> StoredOutcome:
    return StoredOutcome(
        topology=topology,
        guarantees=outcome.guarantees,
        scenario=str(outcome.result.directory.relative_to(directory)) if outcome.result else None,
        controls=tuple(
            StoredControl(
                scenario=str(c.result.directory.relative_to(directory)),
                kind=c.control.kind,
                expect=c.control.expect,
                why=c.control.why,
            )
            for c in outcome.controls
        ),
        missing=outcome.missing,
        not_tested=outcome.not_tested,
        broke_off=outcome.broke_off,
        function=outcome.function,
        repetition=outcome.repetition,
        borrows=outcome.borrows,
    )


def load_session(directory: Path) -> tuple[Session, StoredSession, Run]:
    """The session of a run directory without its outcomes, what is stored of them, and what all rows share.

    Expectations are today's catalogue's. Raises EvidenceError where `run.json` is missing, cut short or of another
    version.
    """
    document = read_json(directory / "run.json", schema=SCHEMA)
    if KEY not in document:
        raise EvidenceError(f"{directory}/run.json does not say what was judged: it is of an older version, run again")
    try:
        stored = StoredSession.model_validate(document[KEY])
        run = Run.model_validate({key: document[key] for key in Run.model_fields if key in document})
        topologies = {name: Topology.model_validate(t.topology) for name, t in stored.topologies.items()}
    except ValidationError as error:
        raise EvidenceError(f"{directory}/run.json: {refused(error)[0]}; restore the file") from None
    if not topologies:
        raise EvidenceError(f"{directory}/run.json names no topology: restore the file")
    try:
        settings = {name: _settings(t, run, stored, stored.topologies[name].client) for name, t in topologies.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{directory}/run.json: options lack or garble {error}; restore the file") from None
    catalogue = load_catalogue()
    session = Session(
        run_id=run.id,
        directory=directory,
        seed=run.seed,
        command=run.replay,
        settings=settings,
        promised={name: tuple(map(catalogue.get, t.promised)) for name, t in stored.topologies.items()},
        offered=sum(
            len(catalogue.promised(each.topology, Version.parse(stored.version), upgrade=each.upgrade_to is not None))
            for each in settings.values()
        ),
        subject=Subject(Version.parse(stored.version), stored.java_major),
        started_utc=run.started_utc,
    )
    return session, stored, run


def _settings(topology: Topology, run: Run, stored: StoredSession, client: str) -> Settings:
    """`client` is empty where the run had one."""
    options: dict[str, Any] = dict(run.options)
    for name, known in (("timers", TIMERS), ("runtime", RUNTIMES)):
        if options[name] not in known:
            raise ValueError(f"{name} {options[name]!r}")
    return Settings(
        topology=topology,
        rocketmq=str(options["rocketmq"]),
        upgrade_to=None if options.get("upgrade_to") is None else str(options["upgrade_to"]),
        java=str(options["java"]),
        client=client or str(options["client"]),
        one_of_several=bool(client),
        absent={str(name): str(why) for name, why in options.get("absent_clients", {}).items()},
        runtime=options["runtime"],
        timers=options["timers"],
        seed=run.seed,
        guarantees=tuple(options["guarantees"]),
        strict=bool(options["strict"]),
        repeat=int(options.get("repeat", 1)),
        allow_missing=frozenset(stored.allow_missing),
    )


def checksums(directory: Path) -> dict[str, str]:
    """The sha256 of every file that a judgement of this run is made from."""
    found = {}
    for root in sorted(path.parent for path in (directory / "scenarios").rglob("scenario.json")):
        for path in _judged(root):
            try:
                found[str(path.relative_to(directory))] = sha256_of(path)
            except OSError as error:
                raise EvidenceError(
                    f"{path} cannot be read ({error.strerror}): make it readable for this user"
                ) from error
    return found


def sha256_of(path: Path) -> str:
    """In hex. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damage(directory: Path, recorded: Mapping[str, str]) -> dict[str, list[str]]:
    """Scenario directory -> what is wrong with its files: missing, changed or added since the run was judged.

    It finds accidents and careless hands. Who can write `run.json` can also write matching checksums.
    """
    seen = checksums(directory)
    problems: dict[str, list[str]] = {}
    for name in sorted(recorded.keys() | seen.keys()):
        if name not in seen:
            word = "is missing"
        elif name not in recorded:
            word = "was added after the run"
        elif seen[name] != recorded[name]:
            word = "was changed after the run"
        else:
            continue
        problems.setdefault(_scenario_of(name), []).append(f"{name.removeprefix(_scenario_of(name) + '/')} {word}")
    return problems


def _judged(root: Path) -> Iterator[Path]:
    yield from (root / name for name in JUDGED if (root / name).is_file())
    yield from sorted((root / "history").glob("*.jsonl"))


def _scenario_of(name: str) -> str:
    path = Path(name).parent
    return str(path.parent if path.name == "history" else path)
