"""What html and Allure render beside the rows: already parsed, so that rendering reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.core.errors import EvidenceError
from harness.core.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Promise:
    """What the catalogue says of a guarantee: the promise in words, who made it, how it is judged."""

    text: str
    source: str
    control: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """One executed scenario. `name` is its directory below `scenarios/`, and the name rows refer to it by.

    `series` is what `series.series` made of its history, None if there is none. Files are relative to the run
    directory. `log_tails` are the last lines of each node's log by file, `history_sample` a few lines of the history.
    """

    name: str
    title: str = ""
    judgement: Judgement | None = None
    series: Mapping[str, Any] | None = None
    histories: tuple[str, ...] = ()
    node_logs: tuple[str, ...] = ()
    started_epoch_ms: int | None = None
    log_tails: Mapping[str, str] = field(default_factory=dict)
    history_sample: str = ""


def judgement_from(data: Mapping[str, Any]) -> Judgement:
    """Reads `judgement.json` as `dataclasses.asdict` wrote it. Raises EvidenceError if a part is missing or unknown."""
    unknown = set(data) - {known.name for known in fields(Judgement)}
    if unknown:
        raise EvidenceError(f"judgement.json has unknown keys {sorted(unknown)}; judge the run again")
    try:
        return TypeAdapter(Judgement).validate_python(dict(data))
    except ValidationError as error:
        raise EvidenceError(f"judgement.json is unreadable: {error.errors()[0]['msg']}; judge the run again") from None
