"""The runs of one side, as they are stored: nothing is compared that was changed since, or that did not end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.bundle import unpacked
from harness.core.errors import EvidenceError, UsageError
from harness.evidence.files import read_json
from harness.recheck import judged_anew, run_directory, untouched
from harness.report.rows import Row, Run, exit_code, graver, parse_verdicts
from harness.settings import topology_of
from harness.stored import VERDICTS, load_session, sha256_of

Key = tuple[str, str]
"""What is compared with what: the guarantee and the topology."""
_DECIDES = ("java", "client", "runtime", "timers", "broker_conf", "namesrv_conf", "jvm_opts")
"""Options by which two clusters of one release would differ."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One run. `roots` are the directories of the rows' own scenarios, by name; `terms` what each was put to.

    The latter by the name that all repetitions of a scenario have in common. `shapes` say what each topology was.
    `code` is what the run itself ended in, `graver` that this is more than its rows account for, `digest` the SHA-256
    of its `verdicts.json`. `place` is its directory; a bundle has none that stays.
    """

    place: Path | None
    run: Run
    rows: dict[Key, Row]
    roots: dict[str, Path]
    terms: dict[str, dict[str, Any]]
    shapes: dict[str, dict[str, Any]]
    code: int | None
    graver: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Side:
    """All runs of one release under the same conditions."""

    name: str
    runs: tuple[Stored, ...]
    release: str
    conditions: dict[str, Any] = field(default_factory=dict)
    anew: bool = False
    """Judged again from its histories, and not as it was stored."""

    def listed(self) -> list[Key]:
        """Every row that any of its runs has, in the order of the first."""
        return list(dict.fromkeys(key for stored in self.runs for key in stored.rows))

    def rows(self, key: Key) -> list[Row]:
        """That row of each run that has it."""
        return [stored.rows[key] for stored in self.runs if key in stored.rows]

    def brokers(self) -> dict[str, str]:
        """The SHA-256 of every jar named rocketmq-broker that its runs had: a release candidate has no other name."""
        found = {k: v for stored in self.runs for k, v in stored.run.checksums.items()}
        return {jar: digest for jar, digest in sorted(found.items()) if "rocketmq-broker-" in jar}

    def machines(self) -> set[tuple[tuple[str, str], ...]]:
        """What kinds of machine they ran on; how busy each was is none of it."""
        kinds = ({k: str(v) for k, v in s.run.machine.items() if not k.startswith("load")} for s in self.runs)
        return {tuple(sorted(kind.items())) for kind in kinds}


@contextmanager
def side(name: str, path: Path, state_dir: Path, *, anew: bool = False) -> Iterator[Side]:
    """The runs at a path: a run directory, a bundle, or a directory of runs and bundles.

    With `anew` their rows are not what is stored but what comes out of their histories now.
    Raises UsageError for a path that holds no run, and for runs of several releases or under several conditions;
    EvidenceError for a run that was cut short or changed since it ended.
    """
    with ExitStack() as stack:
        places = [(found, _opened(stack, found, state_dir)) for found in _runs_at(path)]
        runs = tuple(_load(found, directory, anew=anew) for found, directory in places)
        _no_upgrade(runs)
        _each_once(name, runs)
        _one_terms(name, runs)
        yield Side(name, runs, _one(name, "release", runs, _release), _one(name, "options", runs, _conditions), anew)


def _runs_at(path: Path) -> list[Path]:
    if path.is_file() or (path / "run.json").is_file() or (path / "scenarios").is_dir():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path} is not there: name a run such as reports/latest, a bundle, or a directory of runs")
    inside = sorted(p for p in path.iterdir() if p.name != "latest" and not p.name.startswith("."))
    found = [p for p in inside if (p / "scenarios").is_dir() or p.name.endswith(".tar.gz")]
    if found and (others := [p for p in inside if p.is_dir() and p not in found]):
        raise UsageError(f"{others[0]} is no run, and lies among runs that are to be compared: move it elsewhere")
    if not found:
        raise UsageError(f"{path} holds no run: name a run such as reports/latest, a bundle, or a directory of runs")
    return found


def _opened(stack: ExitStack, path: Path, state_dir: Path) -> Path:
    return stack.enter_context(unpacked(path, state_dir))[0] if path.is_file() else run_directory(path)


def _load(told: Path, directory: Path, *, anew: bool) -> Stored:
    untouched(directory)
    if not (directory / VERDICTS).is_file():
        raise EvidenceError(
            f"{told} was cut short or is not at its end: only whole runs are compared; wait for it, or leave it out"
        )
    run, rows = parse_verdicts((directory / VERDICTS).read_text(encoding="utf-8"))
    if not run.ended_utc:
        raise EvidenceError(
            f"{told} was cut short or is not at its end: only whole runs are compared; wait for it, or leave it out"
        )
    stored_code = exit_code(rows)[0]
    rows = judged_anew(directory) if anew else rows
    clients = list(dict.fromkeys(row.client for row in rows))
    if len(clients) > 1:
        raise UsageError(
            f"{told} has several clients ({', '.join(clients)}): what holds with one must not stand for another; "
            "run both releases with one --client, and compare client by client"
        )
    by_key: dict[Key, Row] = {}
    for row in rows:
        if (row.id, row.topology) in by_key:
            raise UsageError(
                f"{told} has {row.id} on {row.topology} twice: it is no run of one release; compare others"
            )
        by_key[row.id, row.topology] = row
    session = load_session(directory)[1]
    code = session.exit_code
    scenarios = {scenario.name: scenario for row in rows for scenario in row.scenarios}
    roots = {name: directory / "scenarios" / name for name in scenarios}
    # Of repetitions whichever there is: all are put to the same.
    first = {scenario.called: roots[name] for name, scenario in reversed(scenarios.items())}
    return Stored(
        None if told.is_file() else directory,
        run,
        by_key,
        roots,
        {called: _terms(read_json(root / "scenario.json")) for called, root in first.items()},
        {topology_of(at): _shape(stored.topology) for at, stored in session.topologies.items()},
        code,
        code is not None and graver(code, stored_code) != stored_code,
        sha256_of(directory / VERDICTS),
    )


def _shape(topology: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in topology.items() if key != "description"}


def _terms(scenario: dict[str, Any]) -> dict[str, Any]:
    """What must be alike for figures to be: the load, and what is demanded."""
    return {"load": scenario.get("load"), "rules": scenario.get("rules")}


def _no_upgrade(runs: Sequence[Stored]) -> None:
    """Raises UsageError for the run of an upgrade: it is of two releases, and a page could not ask for either."""
    for stored in runs:
        if stored.run.options.get("upgrade_to") is not None:
            raise UsageError(
                f"run {stored.run.id} moved nodes from one release to another: compare runs of one release"
            )


def _each_once(name: str, runs: Sequence[Stored]) -> None:
    """Raises UsageError for a run that is there twice, as itself and as a bundle perhaps: it tells nothing more."""
    ids = [stored.run.id for stored in runs]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"run {twice} is among the runs of {name} twice: a run and its bundle are one; move one away")


def _one_terms(name: str, runs: Sequence[Stored]) -> None:
    """Raises UsageError if the runs of a side put a scenario to different loads or demands."""
    seen: dict[str, dict[str, Any]] = {}
    for stored in runs:
        for scenario, terms in stored.terms.items():
            if seen.setdefault(scenario, terms) != terms:
                raise UsageError(
                    f"the runs of {name} are not of one kind: {scenario} has another load or other demands in "
                    f"{stored.run.id}; compare runs of one version of the suites"
                )


def _release(stored: Stored) -> str:
    return stored.run.versions.get("rocketmq", str(stored.run.options.get("rocketmq")))


def _conditions(stored: Stored) -> dict[str, Any]:
    return {name: stored.run.options.get(name) for name in _DECIDES}


def _one(name: str, what: str, runs: Sequence[Stored], of: Any) -> Any:
    """What all runs have in common. Raises UsageError if they differ."""
    first = of(runs[0])
    for stored in runs[1:]:
        if of(stored) != first:
            raise UsageError(
                f"the runs of {name} are not of one kind: {what} {first} in {runs[0].run.id}, {of(stored)} in "
                f"{stored.run.id}; compare runs of one release under the same options"
            )
    return first
