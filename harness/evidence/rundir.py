"""Files of a run directory: written before they are judged, never deleted by the harness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.core.errors import EvidenceError


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all. Raises EvidenceError if the disk refuses."""
    scratch = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        scratch.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise EvidenceError(f"{path.name} cannot be written ({error}): free the disk of the reports") from None


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file of a run. Raises EvidenceError naming the file when it is missing or unreadable."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path.name} of {path.parent.name} is missing or unreadable ({error})") from None
    if not isinstance(value, dict):
        raise EvidenceError(f"{path.name} of {path.parent.name} is not a JSON object")
    return value


def link_latest(run: Path) -> None:
    """Points `latest`, beside the run, to it."""
    scratch = run.parent / f".latest.{uuid4().hex[:8]}"
    scratch.symlink_to(run.name)
    scratch.replace(run.parent / "latest")
