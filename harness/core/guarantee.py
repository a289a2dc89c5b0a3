"""One documented promise: where it is made, what is expected of it per release, and how it is put to the test."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from harness.core.version import Version
from harness.core.where import TopologyFacts, Where

STOCK_ROW: Final = "stock-config-keeps-the-promise"
"""The row that stands for others, and that no suite function judges for itself (see harness/stock.py)."""

ExpectedVerdict = Literal["held", "broken"]
ControlKind = Literal["product", "fault-off", "planted"]


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Releases within bounds, written `>=5.0.0,<5.4.0`; the empty text is every release."""

    text: str
    bounds: tuple[tuple[str, Version], ...]

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Reads the bounds. Raises `ValueError` for an unknown comparison, `UsageError` for a wrong version."""
        bounds = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            sign = next((sign for sign in (">=", "<=", "==", ">", "<") if part.startswith(sign)), None)
            if sign is None:
                raise ValueError(f"{part!r} is no bound on releases: write it like >=5.0.0")
            bounds.append((sign, Version.parse(part.removeprefix(sign))))
        return cls(text, tuple(bounds))

    def __contains__(self, version: object) -> bool:
        if not isinstance(version, Version):
            return False
        return all(_within(version, sign, bound) for sign, bound in self.bounds)


def _within(version: Version, sign: str, bound: Version) -> bool:
    ordered = (version > bound) - (version < bound)
    return {">=": ordered >= 0, "<=": ordered <= 0, "==": ordered == 0, ">": ordered > 0, "<": ordered < 0}[sign]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known beforehand: the verdict that surprises nobody, why, and where that was read or seen.

    `demands` name what is expected to be violated, as `core.expectation` names demands; none = any of the row's.
    `sometimes`: it shows itself in some runs and in others not, so that one that held surprises nobody either.
    """

    verdict: ExpectedVerdict
    reason: str
    source: str = ""
    demands: tuple[str, ...] = ()
    sometimes: bool = False


AS_DOCUMENTED = Expectation("held", "nothing is known against it")


@dataclass(frozen=True, slots=True)
class Rule:
    """An expectation for some releases, topologies, Java releases and clients (all of them where nothing is said)."""

    expectation: Expectation
    versions: VersionRange
    where: Where
    java: tuple[int, ...] = ()
    client: str = "*"

    def applies(self, version: Version, topology: TopologyFacts, java: int | None, client: str) -> bool:
        """Whether the rule speaks of this combination. An unknown Java release matches no rule about Java."""
        return (
            version in self.versions
            and self.where.matches(topology)
            and (not self.java or java in self.java)
            and fnmatchcase(client, self.client)
        )


@dataclass(frozen=True, slots=True)
class Control:
    """The run that must come out the other way: without it a check proves nothing."""

    kind: ControlKind
    text: str


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A row of the catalogue.

    `section` is the part of the catalogue it stands in, `theme` the one it is about (they differ in section H).
    `needs` are the capabilities of runtime and options without which it cannot be tested; `timers` is set when
    only the documented timers will do. `scenarios` names the suite functions of a
    sign-off that judge it, `nightly` those that a sign-off has no time for; `untested` is why there are neither.
    """

    id: str
    section: str
    theme: str
    promise: str
    sources: tuple[str, ...]
    where: Where
    tested: str
    control: Control
    rules: tuple[Rule, ...] = ()
    scenarios: tuple[str, ...] = ()
    nightly: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    min_version: Version | None = None
    timers: Literal["documented"] | None = None
    figure: bool = False
    untested: str = ""
    notes: str = ""

    def promised(self, topology: TopologyFacts, version: Version | None = None, *, upgrade: bool = False) -> bool:
        """Whether it can be held against that topology: made for it, by that release, with the versions it needs.

        `upgrade` says that two versions were given; without a `version` no release is too old.
        """
        if self.min_version is not None and version is not None and version < self.min_version:
            return False
        if "two-versions" in self.needs and not upgrade:
            return False
        return self.where.matches(topology)

    def expected(
        self, version: Version, topology: TopologyFacts, java: int | None = None, client: str = "java"
    ) -> Expectation:
        """The expectation of the first rule that speaks of this combination, else that it holds."""
        for rule in self.rules:
            if rule.applies(version, topology, java, client):
                return rule.expectation
        return AS_DOCUMENTED
