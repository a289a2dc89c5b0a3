"""Where the evidence of a run lies."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.core.errors import EvidenceError
from harness.evidence.files import SCHEMA, read_json, write_json

LATEST: Final = "latest"


@dataclass(frozen=True, slots=True)
class ScenarioDir:
    """One executed scenario: `scenario.json`, `history/`, `history.parquet`, `nodes/`, `judgement.json`."""

    path: Path

    @property
    def history(self) -> Path:
        """Where every process appends its lines."""
        return self.path / "history"

    @property
    def nodes(self) -> Path:
        """Every node's configuration and logs."""
        return self.path / "nodes"

    def write_scenario(self, scenario: dict[str, Any]) -> None:
        """Stores the scenario, before it runs."""
        write_json(self.path / "scenario.json", scenario)

    def read_scenario(self) -> dict[str, Any]:
        """The stored scenario. Raises EvidenceError."""
        return read_json(self.path / "scenario.json")

    def write_judgement(self, judgement: dict[str, Any]) -> None:
        """Stores the judgement beside what it judges."""
        write_json(self.path / "judgement.json", {"schema": SCHEMA} | judgement)

    def read_judgement(self) -> dict[str, Any]:
        """The stored judgement. Raises EvidenceError."""
        return read_json(self.path / "judgement.json", schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class RunDir:
    """`reports/<run-id>/`: `run.json`, `verdicts.json` and a directory per scenario."""

    path: Path

    @classmethod
    def create(cls, reports: Path, run_id: str) -> RunDir:
        """Makes a new run directory and points `latest` to it.

        Raises EvidenceError if a run of that id is there: evidence is never overwritten.
        """
        path = reports / run_id
        try:
            reports.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            (path / "scenarios").mkdir()
        except FileExistsError:
            raise EvidenceError(f"{path} exists: evidence is never overwritten; use another --reports") from None
        except OSError as error:
            raise EvidenceError(f"{path} cannot be made: {error}; choose another --reports directory") from error
        _point(reports / LATEST, run_id)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """An existing run, also through `reports/latest`. Raises EvidenceError if there is none."""
        if not (path / "scenarios").is_dir():
            raise EvidenceError(f"{path} is no run directory: it has no scenarios/; name reports/<run-id>")
        return cls(path.resolve())

    def discard(self) -> None:
        """Takes a run back in which no scenario was begun; `latest` then names the newest of the others, if any.

        Raises EvidenceError, and removes nothing, if a scenario left something.
        """
        if self.scenarios():
            raise EvidenceError(f"{self.path} holds scenarios: evidence is never removed")
        shutil.rmtree(self.path)
        link = self.path.parent / LATEST
        others = sorted(path.parent.name for path in self.path.parent.glob("*/scenarios") if path.parent != link)
        if others:
            _point(link, others[-1])
        else:
            link.unlink(missing_ok=True)

    def scenario(self, name: str) -> ScenarioDir:
        """The directory of one scenario, made if it is not there. Raises EvidenceError for a name that is a path."""
        if not name or name in (".", "..") or "/" in name:
            raise EvidenceError(f"{name!r} cannot be a directory; name the scenario without slashes")
        directory = self.path / "scenarios" / name
        directory.mkdir(parents=True, exist_ok=True)
        return ScenarioDir(directory)

    def scenarios(self) -> tuple[ScenarioDir, ...]:
        """Every scenario of the run, by name; also those that were cut short."""
        return tuple(ScenarioDir(path) for path in sorted((self.path / "scenarios").iterdir()) if path.is_dir())

    def write_run(self, run: dict[str, Any]) -> None:
        """Stores versions, checksums, seed, options and machine."""
        write_json(self.path / "run.json", {"schema": SCHEMA} | run)

    def read_run(self) -> dict[str, Any]:
        """What `write_run` stored. Raises EvidenceError."""
        return read_json(self.path / "run.json", schema=SCHEMA)

    def write_verdicts(self, verdicts: dict[str, Any]) -> None:
        """Stores the rows of the run."""
        write_json(self.path / "verdicts.json", {"schema": SCHEMA} | verdicts)

    def read_verdicts(self) -> dict[str, Any]:
        """The rows of the run. Raises EvidenceError."""
        return read_json(self.path / "verdicts.json", schema=SCHEMA)


def _point(link: Path, target: str) -> None:
    part = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        part.unlink(missing_ok=True)
        part.symlink_to(target, target_is_directory=True)
        part.replace(link)
    except OSError as error:
        raise EvidenceError(f"{link} cannot point to {target}: {error}; remove what is there") from error
