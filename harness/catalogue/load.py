"""The catalogue's files -> `Catalogue`, strictly: an unknown key or source is an error of the harness itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from harness.core.errors import UsageError
from harness.core.guarantee import Control, ControlKind, Expectation, ExpectedVerdict, Guarantee, Rule, VersionRange
from harness.core.version import Version
from harness.core.where import TopologyFacts, Where

_HERE = Path(__file__).parent
_SHORT_WORD = 2
_LIKE = 0.75


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Rule(_Strict):
    verdict: ExpectedVerdict
    why: str = Field(min_length=10)
    source: str = Field(min_length=5)
    versions: str = ""
    where: str = ""
    """Of the topologies that promise the row; empty: all of them."""
    java: list[int] = []
    client: str = "*"
    demands: list[str] = []
    sometimes: bool = False


class _Control(_Strict):
    kind: ControlKind
    text: str = Field(min_length=10)


class _Row(_Strict):
    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$")
    promise: str = Field(min_length=10)
    sources: list[str] = Field(min_length=1)
    where: str
    tested: str = Field(min_length=10)
    control: _Control
    theme: str | None = None
    expected: list[_Rule] = []
    scenarios: list[str] = []
    nightly: list[str] = []
    needs: list[str] = []
    min_version: str | None = None
    figure: bool = False
    timers: Literal["documented"] | None = None
    untested: str = ""
    notes: str = ""


class _Section(_Strict):
    section: str = Field(pattern=r"^[A-Z]$")
    title: str
    guarantees: list[_Row] = Field(min_length=1)


@dataclass(frozen=True)
class Catalogue:
    """Every documented promise there is to prove, in the order of its sections."""

    guarantees: tuple[Guarantee, ...]
    titles: tuple[tuple[str, str], ...]
    documents: tuple[tuple[str, str], ...]

    @cached_property
    def by_id(self) -> dict[str, Guarantee]:
        """The rows by id."""
        return {guarantee.id: guarantee for guarantee in self.guarantees}

    def get(self, guarantee_id: str) -> Guarantee:
        """The row of that id. Raises `UsageError`, with the nearest id when there is one."""
        if guarantee_id in self.by_id:
            return self.by_id[guarantee_id]
        near = _near(guarantee_id, self.by_id)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise UsageError(
            f"guarantee {guarantee_id!r} is not in the catalogue: {hint}`rmq-harness explain` lists them all"
        )

    def promised(
        self, topology: TopologyFacts, version: Version | None = None, *, upgrade: bool = False
    ) -> tuple[Guarantee, ...]:
        """What that topology promises: one row each in its verdicts, tested or not. See `Guarantee.promised`."""
        return tuple(row for row in self.guarantees if row.promised(topology, version, upgrade=upgrade))

    def in_section(self, section: str) -> tuple[Guarantee, ...]:
        """The rows of one section."""
        return tuple(row for row in self.guarantees if row.section == section)


def _near(wrong: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Ids like a wrong one, best first: as a whole or, as one seldom types a whole sentence, word by word."""
    ids = list(known)
    whole = difflib.get_close_matches(wrong, ids, n=1)
    if whole:
        return whole
    words = {word for word in re.split(r"[^a-z0-9]+", wrong.lower()) if len(word) > _SHORT_WORD}

    def likeness(id_: str) -> int:
        return sum(bool(difflib.get_close_matches(word, id_.split("-"), n=1, cutoff=_LIKE)) for word in words)

    alike = sorted(((-likeness(id_), number) for number, id_ in enumerate(ids)))
    return [ids[number] for score, number in alike[:most] if score]


@cache
def load_catalogue() -> Catalogue:
    """Reads the catalogue that comes with the harness. Fails loudly when a file of it is wrong."""
    documents: dict[str, str] = yaml.safe_load((_HERE / "sources.yaml").read_text(encoding="utf-8"))
    paths = sorted((_HERE / "guarantees").glob("*.yaml"))
    return build_catalogue([yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths], documents)


def build_catalogue(sections: list[Any], documents: dict[str, str]) -> Catalogue:
    """Builds a catalogue from parsed section files. Raises `ValueError` for anything wrong in them."""
    parsed = [_Section.model_validate(section) for section in sections]
    guarantees = tuple(_guarantee(row, section.section, documents) for section in parsed for row in section.guarantees)
    ids = [guarantee.id for guarantee in guarantees]
    repeated = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if repeated:
        raise ValueError(f"guarantee {repeated[0]} is in the catalogue twice")
    titles = tuple((section.section, section.title) for section in parsed)
    return Catalogue(guarantees, titles, tuple(documents.items()))


def _guarantee(row: _Row, section: str, documents: dict[str, str]) -> Guarantee:
    return Guarantee(
        id=row.id,
        section=section,
        theme=row.theme or section,
        promise=row.promise,
        sources=tuple(_source(source, documents) for source in row.sources),
        where=Where.parse(row.where),
        tested=row.tested,
        control=Control(row.control.kind, row.control.text),
        rules=tuple(_rule(rule, row.where) for rule in row.expected),
        scenarios=tuple(row.scenarios),
        nightly=tuple(row.nightly),
        needs=frozenset(row.needs),
        min_version=Version.parse(row.min_version) if row.min_version else None,
        timers=row.timers,
        figure=row.figure,
        untested=row.untested,
        notes=row.notes,
    )


def _rule(rule: _Rule, where: str) -> Rule:
    return Rule(
        Expectation(rule.verdict, rule.why, rule.source, tuple(rule.demands), rule.sometimes),
        VersionRange.parse(rule.versions),
        Where.parse(rule.where or where),
        tuple(rule.java),
        rule.client,
    )


def _source(source: str, documents: dict[str, str]) -> str:
    if source in documents:
        return documents[source].partition(":")[0]
    if source.startswith("RocketMQ "):
        return source
    raise ValueError(f"source {source!r} is neither in sources.yaml nor one of RocketMQ's own")
