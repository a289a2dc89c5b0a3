"""Which suite functions a run keeps, and what it says of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from harness.catalogue import Catalogue
from harness.core.errors import UsageError
from harness.core.guarantee import Guarantee
from harness.core.names import repeated
from harness.core.version import Version
from harness.core.wording import several
from harness.distribution import parse_release
from harness.plugin.sidebyside import LeftOut
from harness.report.rows import EXIT_INCONCLUSIVE
from harness.session import Session
from harness.settings import Settings
from harness.settings import topology_of as topology_name
from harness.stock import with_parts

TWO_RELEASES = "name them with --upgrade-from and --upgrade-to"


def select(
    catalogue: Catalogue, session: Session, items: Sequence[pytest.Item], left_out: LeftOut
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those that judge what is promised and asked for, and those left out, which are counted by their reason.

    Raises pytest's UsageError for a suite function that says it judges what is not in the catalogue.
    """
    _check_marks(catalogue, items)
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        topology = topology_of(item)
        if topology is None:
            kept.append(item)
            continue
        promised = {g.id for g in session.promised[topology]}
        (kept if promised & set(marked(item)) else dropped).append(item)
    for item in dropped:
        topology = str(topology_of(item))
        offers = {g.id for g in offered(catalogue, session.settings[topology])}
        why = (
            "not asked for"
            if offers & set(marked(item))
            else f"{topology_name(topology)} does not promise what they judge"
        )
        if _needs_two_releases(catalogue, session.settings[topology], marked(item)):
            why = f"an upgrade is between two releases: {TWO_RELEASES}"
        if not marked(item):
            why = "no @guarantee says what they judge"
        counts = left_out.setdefault(topology, {})
        counts[why] = counts.get(why, 0) + 1
    return kept, dropped


def _needs_two_releases(catalogue: Catalogue, settings: Settings, ids: Iterable[str]) -> bool:
    """Only that there is no release to move to keeps the topology from promising one of these."""
    if settings.upgrade_to is not None:
        return False
    version = _version_of(settings)
    with_two = {g.id for g in catalogue.promised(settings.topology, version, upgrade=True)}
    return bool((with_two - {g.id for g in offered(catalogue, settings)}) & set(ids))


def _check_marks(catalogue: Catalogue, items: Iterable[pytest.Item]) -> None:
    """Raises pytest's UsageError for a suite function that says it judges what is not in the catalogue."""
    for item in items:
        for name in marked(item) if topology_of(item) is not None else ():
            try:
                catalogue.get(name)
            except UsageError as error:
                raise pytest.UsageError(f"{item.nodeid}: @guarantee: {error}") from None


def check_asked_for(catalogue: Catalogue, settings: Sequence[Settings]) -> None:
    """Raises UsageError naming every guarantee that was asked for and that none of the topologies promises."""
    promised = {g.id for s in settings for g in offered(catalogue, s)}
    missing = [name for name in dict.fromkeys(settings[0].guarantees) if name not in promised]
    lone = [name for name in missing if any(_needs_two_releases(catalogue, s, [name]) for s in settings)]
    if lone:
        raise UsageError(f"{', '.join(lone)}: an upgrade is between two releases: {TWO_RELEASES}")
    if missing:
        names = ", ".join(dict.fromkeys(s.topology.name for s in settings))
        verb = "promises" if len(settings) == 1 else "promise"
        raise UsageError(f"{names} {verb} none of {', '.join(missing)}; see `rmq-harness explain {missing[0]}`")


def offered(catalogue: Catalogue, settings: Settings) -> tuple[Guarantee, ...]:
    """What the topology promises on that release; of a path:DIR it is not known yet which one that is."""
    return catalogue.promised(settings.topology, _version_of(settings), upgrade=settings.upgrade_to is not None)


def _version_of(settings: Settings) -> Version | None:
    return settings.found.version if settings.found is not None else parse_release(settings.rocketmq).version


def promised_by(catalogue: Catalogue, settings: Settings) -> tuple[Guarantee, ...]:
    """What of that is asked for. Raises pytest's UsageError if it is nothing."""
    promised = offered(catalogue, settings)
    if settings.guarantees:
        promised = with_parts(promised, settings.guarantees)
        if not promised:
            raise pytest.UsageError(
                f"{settings.topology.name} promises none of {', '.join(settings.guarantees)}; "
                f"see `rmq-harness explain {settings.guarantees[0]}`"
            )
    return promised


def marked(item: pytest.Item) -> list[str]:
    """The guarantees that a suite function says it judges."""
    return [str(arg) for mark in item.iter_markers("guarantee") for arg in mark.args]


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a suite function: on which topology, and its how manieth repetition, from 1."""

    topology: str
    repetition: int

    def __str__(self) -> str:
        """As pytest shows it in the name of the test."""
        return repeated(self.topology, self.repetition)


def instances(run: Session) -> list[Instance]:
    """Those of every suite function: all repetitions of one topology one after the other."""
    return [Instance(name, n) for name, each in run.settings.items() for n in range(1, each.repeat + 1)]


def instance_of(item: pytest.Item) -> Instance | None:
    """Which instance of a suite function this is; None for any other test."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("scenario") if callspec is not None else None
    return found if isinstance(found, Instance) else None


def topology_of(item: pytest.Item) -> str | None:
    """The topology that this instance of a suite function is for; None for any other test."""
    found = instance_of(item)
    return found.topology if found is not None else None


def told(left_out: LeftOut) -> list[str]:
    """One line for each topology of which something was left out."""
    lines = []
    for name, counts in left_out.items():
        reasons = "; ".join(f"{number}: {why}" for why, number in counts.items())
        lines.append(f"{name}: {several(sum(counts.values()), 'suite function')} deselected ({reasons})")
    return lines


def nothing_ran(run: Session, exitstatus: int) -> str:
    """Why there is no table: no suite function here judges a row that was asked for, or none was selected."""
    if exitstatus != pytest.ExitCode.NO_TESTS_COLLECTED:
        return (
            f"nothing was proved of {', '.join(run.settings)}: what was run are other tests, and no suite function was"
            f" among them; name the suites, as in pytest suites; exit code {EXIT_INCONCLUSIVE}"
        )
    rows = list(dict.fromkeys(g.id for mine in run.promised.values() for g in mine))
    shown = ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    nightly = sorted({path.partition("::")[0] for mine in run.promised.values() for g in mine for path in g.nightly})
    hint = f"; {' '.join(nightly)} would" if nightly and len(rows) == 1 else ""
    return (
        f"nothing was run, so nothing is known: of {run.offered} promised rows {len(rows)} were asked for, and no suite"
        f" function that was selected judges one of them ({shown}){hint}; exit code {EXIT_INCONCLUSIVE}"
    )
