"""What is stored of a cell: enough to sign it off and to know when it is stale, and nothing of the machine."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from harness.clientele import check_client, check_proxies, parse_client
from harness.core import names
from harness.core.errors import EvidenceError, UsageError
from harness.core.expectation import Data
from harness.core.fields import refused
from harness.core.verdict import Verdict
from harness.distribution import check_proxy, parse_java, parse_release
from harness.report.rows import Control, Row, Standing, standing
from harness.topology import check_release, load_topology

SCHEMA: Final = 1
MAX_REASON_CHARS: Final = 300
_PATH = re.compile(r"(?<![\w:/.-])/(?!rmq/)(?:[\w.+@-]+/)+[\w.+@-]*")


class CellSpec(Data):
    """What one cell runs. The defaults are those of the suites, and do not show in its name."""

    topology: str
    rocketmq: str
    java: str = "25"
    client: str = "java"
    timers: Literal["fast", "documented"] = "fast"
    upgrade_to: str | None = None
    """The release that nodes are moved to: a cell of an upgrade has the rows that need two releases, and no others."""

    @property
    def releases(self) -> str:
        """What its rows say for their release: one, or the two of an upgrade."""
        return self.rocketmq if self.upgrade_to is None else names.upgrade(self.rocketmq, self.upgrade_to)

    @property
    def name(self) -> str:
        """`<topology>-<version>[-to-<version>]`, and whatever is not the default."""
        default = CellSpec(topology=self.topology, rocketmq=self.rocketmq)
        more: list[str] = [self.timers] if self.timers != default.timers else []
        more += [self.client.replace(":", "-")] if self.client != default.client else []
        more += [f"java{self.java}"] if self.java != default.java else []
        to = ["to", self.upgrade_to] if self.upgrade_to is not None else []
        return "-".join([self.topology, self.rocketmq, *to, *more])

    def checked(self) -> CellSpec:
        """Itself. Raises `UsageError` for what there is not, and for a path: nothing says what is in it."""
        for word in (self.topology, self.rocketmq, self.java, self.upgrade_to or ""):
            if "/" in word or ":" in word:
                raise UsageError(f"{word!r} cannot be a cell: only what has a name or version can be compared later")
        release = parse_release(self.rocketmq).version
        upgrade = None if self.upgrade_to is None else parse_release(self.upgrade_to).version
        if release is not None and upgrade is not None and upgrade <= release:
            raise UsageError(f"{self.upgrade_to} is not newer than {self.rocketmq}: it is no upgrade")
        parse_java(self.java)
        parse_client(self.client)
        topology = load_topology(self.topology)
        for version in filter(None, (release, upgrade)):
            check_release(topology, version)
            if topology.proxies:
                check_proxy(version)
        check_client(self.client, topology)
        check_proxies("local", topology, upgrade=upgrade is not None)
        return self


class Inputs(Data):
    """Digests of what one verdict depends on: the harness, the topology and locks, its suites, its catalogue row."""

    harness: str
    topology: str
    suites: str
    promise: str

    def changed(self, now: Inputs) -> tuple[str, ...]:
        """Which of them are not what they were."""
        before, after = self.model_dump(), now.model_dump()
        return tuple(name for name in before if before[name] != after[name])


class StoredRow(Data):
    """One verdict, and the commit and inputs it was found with."""

    id: str
    verdict: Verdict
    standing: Standing
    known: Literal[False] | str = False
    reason: str = ""
    figures: dict[str, JsonValue] = Field(default_factory=dict)
    control: Control | None = None
    deviations: tuple[str, ...] = ()
    missing: str | None = None
    infrastructure: bool = False
    scenarios: int = 0
    waited_s: float = 0.0
    worked_s: float = 0.0
    commit: str = ""
    run: str = ""
    """The id of the run that judged it; empty for one of before this was kept."""
    inputs: Inputs


class Cell(Data):
    """One file of the matrix. `exit_code` is what the suites would end with for exactly these rows."""

    format: Literal[1]
    spec: CellSpec
    commit: str
    versions: dict[str, str]
    exit_code: int
    waited_s: float
    worked_s: float
    rows: tuple[StoredRow, ...]

    @property
    def by_id(self) -> dict[str, StoredRow]:
        """The rows by guarantee."""
        return {row.id: row for row in self.rows}


def stored(row: Row, commit: str, inputs: Inputs, run: str = "") -> StoredRow:
    """What is kept of a row of `verdicts.json`."""
    return StoredRow(
        id=row.id,
        verdict=row.verdict,
        standing=standing(row),
        known=row.known and tidy(row.known),
        reason=tidy(row.reason),
        figures={key: value for key, value in _flat(row.figures).items()},
        control=row.control and _tidy_control(row.control),
        deviations=tuple(tidy(text) for text in row.deviations),
        missing=row.missing,
        infrastructure=row.infrastructure,
        scenarios=len(row.scenarios),
        waited_s=row.waited_s,
        worked_s=row.worked_s,
        commit=commit,
        run=run,
        inputs=inputs,
    )


def _tidy_control(control: Control) -> Control:
    """What a cell keeps of a control: no directories, for their evidence is not stored with it."""
    kept = {"scenarios": (), "why": tidy(control.why), "reason": tidy(control.reason)}
    return control.model_copy(update=kept)


def unjudged(guarantee: str, commit: str, inputs: Inputs, reason: str = "") -> StoredRow:
    """A promised row that no suite judges, or none of those that were asked for."""
    return StoredRow(
        id=guarantee,
        verdict=Verdict.NOT_TESTED,
        standing=Standing.NOT_TESTED,
        reason=reason or "no suite judges this row",
        commit=commit,
        inputs=inputs,
    )


def not_reached(
    guarantee: str, commit: str, reason: str = "the cell was interrupted before this row was run"
) -> StoredRow:
    """A row of a cell that is not whole yet: stale whatever the tree is, and as good as an interrupted run."""
    nothing = Inputs(harness="", topology="", suites="", promise="")
    row = unjudged(guarantee, commit, nothing)
    return row.model_copy(update={"reason": tidy(reason), "infrastructure": True})


def exit_code_of(rows: Iterable[StoredRow]) -> int:
    """1 if a row is not as the catalogue expects; 6 if one is inconclusive, blocked or none was executed; else 0."""
    kept = tuple(rows)
    if any(row.standing in (Standing.BROKEN, Standing.HELD_UNEXPECTEDLY) for row in kept):
        return 1
    shaky = any(r.standing is Standing.INCONCLUSIVE or r.infrastructure or r.missing is not None for r in kept)
    return 6 if shaky or not any(row.scenarios for row in kept) else 0


def tidy(text: str) -> str:
    """Short, in one line, without any path or name of the machine."""
    line = _PATH.sub("<path>", " ".join(text.split())).replace(socket.gethostname(), "<host>")
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 3] + "..."


def read_cell(path: Path) -> Cell | None:
    """The stored cell; None if there is none. Raises `EvidenceError` for a file that no cell was written to."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path.name} is no cell ({' '.join(str(error).split())}); remove it") from None
    try:
        return Cell.model_validate_json(text)
    except ValidationError as error:
        raise EvidenceError(f"{path.name} is no cell ({refused(error)[0]}); remove it to run it anew") from None


def write_cell(path: Path, cell: Cell) -> None:
    """All of it or nothing: whoever is interrupted leaves the file that was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = cell.model_dump(mode="json")
    document["rows"] = [row.model_dump(mode="json", exclude_defaults=True) for row in cell.rows]
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _flat(figures: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Numbers and words; lists and tables stay with the evidence. Rounded: more digits say nothing."""
    kept: dict[str, JsonValue] = {}
    for key, value in sorted(figures.items()):
        if isinstance(value, float):
            kept[key] = float(f"{value:.4g}")
        elif value is None or isinstance(value, bool | int):
            kept[key] = value
        elif isinstance(value, str):
            kept[key] = tidy(value)
    return kept
