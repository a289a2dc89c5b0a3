"""The rows of `verdicts.json`: what a run says of each guarantee, and what the process ends with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from harness.core.errors import EvidenceError
from harness.core.expectation import Data
from harness.core.fields import refused
from harness.core.names import repeated
from harness.core.spread import Repeats, Spread
from harness.core.verdict import Verdict

SCHEMA: Final = 1
EXIT_OK: Final = 0
EXIT_DEVIATION: Final = 1
EXIT_INCONCLUSIVE: Final = 6


class Control(Data):
    """The run that had to come out the other way, and whether it did. `ok` is the judge's word, not computed here.

    `scenarios` names the directories below `scenarios/` that hold it (none if planted: the history is the row's own),
    `why` says what it had to show, and `reason` is what the judge said of it.
    `on_looks_alone` are demands about what a probe saw that no run violated: only another number was put in its place.
    """

    kind: Literal["product", "fault-off", "planted"]
    expected: str
    observed: str
    ok: bool
    scenarios: tuple[str, ...] = ()
    why: str = ""
    reason: str = ""
    on_looks_alone: tuple[str, ...] = ()

    @field_validator("scenarios")
    @classmethod
    def _below(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_relative(name) for name in value)


class ScenarioRow(Data):
    """One executed scenario of a row.

    `history` is relative to the run directory. Counts are messages, None = not counted: `failed`
    were surely not stored, `unknown` may have been, `lost` were acknowledged and never seen again. `unexpected` are
    violated demands of a row that is expected to be broken, but not by these. `before` are the scenarios that had run
    on its cluster before it.
    """

    name: str = Field(min_length=1)
    seed: int
    history: str
    verdict: Verdict
    reason: str = ""
    acked: int = 0
    failed: int | None = None
    unknown: int | None = None
    lost: int | None = None
    unexpected: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    repetition: int = 1
    figures: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def called(self) -> str:
        """Its name, without the number of its repetition."""
        return self.name.removesuffix(repeated("", self.repetition))

    @field_validator("history")
    @classmethod
    def _below(cls, value: str) -> str:
        return _relative(value)


class Row(Data):
    """One guarantee on one cluster: the unit of a sign-off.

    `known` is False, or why the catalogue expects this row to be broken for this version, Java and client; `expected`
    says the same as a verdict; `sometimes` why it may come out broken, also where it did not. `missing` names the
    capability whose absence blocked (part of) the row; `infrastructure` marks trouble of the machine or the cluster,
    not of the product. `figure` marks a promise of how much rather than whether: one that held was measured, and how
    much it is says the figure. `repeats` and `spread` say how repetitions came out, and how each figure of time or
    share spreads over them. `waited_s` was spent waiting for the product's own timers, `worked_s` doing everything
    else.
    """

    id: str = Field(min_length=1)
    topology: str
    rocketmq: str
    java: str
    client: str
    runtime: str
    timers: Literal["documented", "fast"]
    known: Literal[False] | str = False
    sometimes: str = ""
    expected: Verdict = Verdict.HELD
    verdict: Verdict
    reason: str = ""
    figure: bool = False
    figures: dict[str, JsonValue] = Field(default_factory=dict)
    repeats: Repeats | None = None
    spread: dict[str, Spread] = Field(default_factory=dict)
    control: Control | None = None
    scenarios: tuple[ScenarioRow, ...] = ()
    deviations: tuple[str, ...] = ()
    missing: str | None = None
    infrastructure: bool = False
    waited_s: float = 0.0
    worked_s: float = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Row:
        if self.known == "":
            raise ValueError(f"{self.id}: a known broken row says why; give the reason or False")
        if self.expected not in (Verdict.HELD, Verdict.BROKEN):
            raise ValueError(f"{self.id}: expected is held or broken, not {self.expected.value}")
        if (self.expected is Verdict.BROKEN) != bool(self.known):
            raise ValueError(f"{self.id}: expected {self.expected.value} does not agree with known={self.known!r}")
        if self.verdict is not Verdict.HELD and not self.reason:
            raise ValueError(f"{self.id}: verdict {self.verdict.value} without a reason")
        return self

    @property
    def unexpected(self) -> tuple[str, ...]:
        """Violated demands that the catalogue does not expect, of a row that it expects to be broken."""
        return tuple(dict.fromkeys(demand for scenario in self.scenarios for demand in scenario.unexpected))

    @property
    def known_text(self) -> str:
        """Why the row is expected to be broken, and by what it is not; empty if it is expected to hold."""
        more = f"; not expected to violate: {'; '.join(self.unexpected)}" if self.unexpected else ""
        return f"{self.known}{more}" if self.known else ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes a row unique within a run."""
        return (self.id, *self.configuration)

    @property
    def configuration(self) -> tuple[str, str, str, str, str, str]:
        """The cluster the row was judged on: topology, rocketmq, java, client, runtime, timers."""
        return (self.topology, self.rocketmq, self.java, self.client, self.runtime, self.timers)


class Run(Data):
    """What all rows of a run share. `checksums` are sha256 by artifact; `deviations` differ from product defaults.

    `moved_conf`: what a node's configuration file has otherwise after it was moved to the other release.
    """

    id: str = Field(min_length=1)
    seed: int
    started_utc: str
    ended_utc: str = ""
    harness: str = ""
    git_commit: str = ""
    replay: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    checksums: dict[str, str] = Field(default_factory=dict)
    options: dict[str, JsonValue] = Field(default_factory=dict)
    machine: dict[str, JsonValue] = Field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    moved_conf: tuple[str, ...] = ()
    promised: int = 0
    """Rows that the topologies promise; more than there are where only some were asked for. 0: not known."""


class Standing(StrEnum):
    """A verdict weighed against what the catalogue expects: the categories of the last line."""

    HELD = "held"
    MEASURED = "measured"
    HELD_UNEXPECTEDLY = "held though expected broken"
    BROKEN = "broken"
    KNOWN_BROKEN = "known broken"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTED = "not tested"

    @property
    def is_held(self) -> bool:
        """It held and was expected to, be the promise one of whether or of how much."""
        return self in (Standing.HELD, Standing.MEASURED)


def standing(row: Row) -> Standing:
    """Where a row stands.

    A row called held that no scenario judged, or whose control did not come out, proves nothing: inconclusive here,
    whatever its verdict says. A broken one stays broken, for one witness is enough; it is known to be only if every
    violated demand is one that was expected to be. Where a figure is promised, what was demanded is only that there is
    one worth its name: held would say more.
    """
    if row.verdict is Verdict.NOT_TESTED:
        return Standing.NOT_TESTED
    if row.verdict is Verdict.INCONCLUSIVE:
        return Standing.INCONCLUSIVE
    if row.verdict is Verdict.BROKEN:
        return Standing.KNOWN_BROKEN if row.known and not row.unexpected else Standing.BROKEN
    if not row.scenarios or (row.control is not None and not row.control.ok):
        return Standing.INCONCLUSIVE
    if row.known:
        return Standing.HELD_UNEXPECTEDLY
    return Standing.MEASURED if row.figure else Standing.HELD


def exit_code(
    rows: Sequence[Row], *, strict: bool = False, allow_missing: Iterable[str] = (), promised: int = 0
) -> tuple[int, str]:
    """What the process ends with, and the last line it prints.

    1 if a row is broken that is not expected to be, or held though expected broken; 6 if no scenario was executed at
    all, if a row is inconclusive, ended in infrastructure trouble or was blocked by a capability outside
    `allow_missing`; else 0. `strict` adds known broken and not tested rows to 1, tolerated capabilities included.
    1 outranks 6, but "nothing was executed" outranks what `strict` adds. `promised` is how many rows there would be
    if all were asked for.
    """
    stands = [standing(row) for row in rows]
    code = _code(rows, stands, strict=strict, tolerated=frozenset(allow_missing))
    return code, last_line(stands, executed=_executed(rows), promised=promised)


def graver(one: int, other: int) -> int:
    """The one of two exit codes that weighs more: a deviation before anything else, and that before 0."""
    return EXIT_DEVIATION if EXIT_DEVIATION in (one, other) else max(one, other)


def last_line(stands: Sequence[Standing], *, executed: int, promised: int = 0) -> str:
    """Counts every standing: `37 held, 2 known broken, 5 not tested of 44 promised`; the unusual ones only if any.

    Where fewer were asked for than are promised: `1 held, ... of 1 asked for; 44 are promised`.
    """
    always = (Standing.HELD, Standing.KNOWN_BROKEN, Standing.NOT_TESTED)
    counted = [f"{stands.count(s)} {s.value}" for s in Standing if s in always or s in stands]
    some = promised > len(stands)
    of = f"{len(stands)} asked for; {promised} are promised" if some else f"{len(stands)} promised"
    line = f"{', '.join(counted)} of {of}"
    return line if executed else f"no scenario was executed: {line}"


def verdicts_json(run: Run, rows: Sequence[Row]) -> str:
    """`verdicts.json`, schema 1. A figure that is not a finite number becomes null, for JSON has no word for it.

    Raises EvidenceError if two rows are of the same guarantee on the same configuration.
    """
    _unique(rows)
    document = {
        "schema": SCHEMA,
        "run": run.model_dump(mode="json"),
        "guarantees": [row.model_dump(mode="json") for row in rows],
    }
    return json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def parse_verdicts(text: str) -> tuple[Run, tuple[Row, ...]]:
    """Reads `verdicts.json` back. Raises EvidenceError on anything that `verdicts_json` would not have written."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise EvidenceError(f"verdicts.json is not JSON ({error}); the run was cut short: judge it again") from None
    if not isinstance(document, dict) or set(document) != {"schema", "run", "guarantees"}:
        raise EvidenceError("verdicts.json must have exactly the keys schema, run and guarantees")
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool):
        raise EvidenceError(f"verdicts.json has schema {document['schema']!r}; this version reads {SCHEMA}")
    if not isinstance(document["guarantees"], list):
        raise EvidenceError("verdicts.json: guarantees must be a list of rows")
    try:
        run = Run.model_validate_json(json.dumps(document["run"]), strict=True)
        rows = tuple(Row.model_validate_json(json.dumps(row), strict=True) for row in document["guarantees"])
    except ValidationError as error:
        told = refused(error, "row")[0]
        raise EvidenceError(f"verdicts.json: {told}; it was not written by this harness") from None
    _unique(rows)
    return run, rows


def _relative(path: str) -> str:
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        raise ValueError(f"{path!r} must be relative to the run directory")
    return path


def _executed(rows: Iterable[Row]) -> int:
    return sum(len(row.scenarios) for row in rows)


def _code(rows: Sequence[Row], stands: Sequence[Standing], *, strict: bool, tolerated: frozenset[str]) -> int:
    if Standing.BROKEN in stands or Standing.HELD_UNEXPECTEDLY in stands:
        return EXIT_DEVIATION
    if not _executed(rows):
        return EXIT_INCONCLUSIVE
    if strict and (Standing.KNOWN_BROKEN in stands or Standing.NOT_TESTED in stands):
        return EXIT_DEVIATION
    blocked = any(row.missing is not None and row.missing not in tolerated for row in rows)
    if blocked or Standing.INCONCLUSIVE in stands or any(row.infrastructure for row in rows):
        return EXIT_INCONCLUSIVE
    return EXIT_OK


def _unique(rows: Iterable[Row]) -> None:
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        if row.key in seen:
            raise EvidenceError(f"two rows for {' / '.join(row.key)}: merge their scenarios into one")
        seen.add(row.key)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
