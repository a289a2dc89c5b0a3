"""One run over one or more topologies: what was planned, what came of it, and the rows it ends in.

Knows nothing of pytest: the plugin feeds it, the command line reads it back.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.core import names
from harness.core.errors import UsageError
from harness.core.guarantee import AS_DOCUMENTED, STOCK_ROW, Expectation, Guarantee
from harness.core.verdict import Verdict, merge
from harness.core.version import Version
from harness.lodging import Equipment
from harness.outcome import Outcome, spent, unexpected, weighed
from harness.provenance import git_commit, machine, now_utc, options_json
from harness.repeats import repeats_of, spreads_of
from harness.report.rows import Row, Run
from harness.row import control_row, figures, lent, reasons, scenario_row
from harness.settings import Settings
from harness.stock import stock_row
from harness.topology import changes_of_conf


@dataclass(frozen=True, slots=True)
class Subject:
    """What expectations depend on besides topology and client: the release's version and the nodes' Java."""

    version: Version
    java_major: int


@dataclass(slots=True)
class Session:
    """Outcomes of one run, by topology (and client, of several: `Settings.place`), and how they become rows."""

    run_id: str
    directory: Path
    seed: int
    command: str
    settings: dict[str, Settings] = field(default_factory=dict)
    promised: dict[str, tuple[Guarantee, ...]] = field(default_factory=dict)
    """By place; with --guarantee, of it what was asked for."""
    offered: int = 0
    """How many rows the topologies promise in all."""
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    equipment: Equipment | None = None
    subject: Subject | None = None
    started_utc: str = field(default_factory=now_utc)
    ended_utc: str = ""
    """Empty until the last suite function has ended: a run that was cut short is known by it."""
    exit_code: int | None = None
    """What the process ends in; None until that is known."""
    commit: str = field(default_factory=git_commit)
    """Of the code that was loaded: taken at the start, for the tree may move while a run goes on."""

    def add(self, place: str, outcome: Outcome) -> None:
        """Files one suite function's outcome, which may still be to come."""
        self.outcomes.setdefault(place, []).append(outcome)

    @property
    def deviations(self) -> frozenset[str]:
        """Where the clusters that ran were configured otherwise than the product's defaults, and why."""
        ran = (o.result for mine in self.outcomes.values() for o in mine if o.result is not None)
        return frozenset(
            f"{key}={ours} (product default {theirs}): {why}"
            for result in ran
            for key, ours, theirs, why in result.deviations
        )

    def rows(self) -> tuple[Row, ...]:
        """One row per promised guarantee, topology and client, also for those that no suite reached."""
        return tuple(row for name in self.settings for row in self._rows_of(name))

    def _rows_of(self, place: str) -> list[Row]:
        settings, promised = self.settings[place], self.promised[place]
        rows = [self._row(settings, guarantee) for guarantee in promised]
        return [stock_row(row, rows, promised) if row.id == STOCK_ROW else row for row in rows]

    def tested(self) -> Subject:
        """What was put to the test. Raises UsageError before it was obtained."""
        if self.subject is not None:
            return self.subject
        if self.equipment is None:
            raise UsageError("this session has no release yet: obtain one first")
        return Subject(self.equipment.release.version, self.equipment.jre.major)

    def run(self) -> Run:
        """What all rows share."""
        jre = self.equipment.jre if self.equipment else None
        first = next(iter(self.settings.values()))
        return Run(
            id=self.run_id,
            seed=self.seed,
            started_utc=self.started_utc,
            ended_utc=self.ended_utc,
            harness=metadata.version("rmq-harness"),
            git_commit=self.commit,
            replay=f"{self.command} --seed {self.seed}",
            versions={
                "rocketmq": first.release_name,
                **({"upgrade to": first.upgrade_name} if first.upgrade_name is not None else {}),
                **({"image": kit.release.image} if (kit := self.equipment) is not None and kit.release.image else {}),
                "java": jre.version if jre else first.java_name,
                **({"client": clients} if (clients := self._clients()) else {}),
                "python": platform.python_version(),
            },
            checksums=self._checksums(),
            options=options_json(first) | self._asked(),
            machine=machine(),
            deviations=tuple(sorted(self.deviations)),
            moved_conf=self.moved_conf(),
            promised=self.offered,
        )

    def _clients(self) -> str:
        """Every client and which release of it was used; empty before they were obtained."""
        kit = self.equipment
        if kit is None:
            return ""
        names = dict.fromkeys(each.client for each in self.settings.values())
        return ", ".join(f"{name.partition(':')[0]} {kit.kit_of(name).version}" for name in names)

    def moved_conf(self) -> tuple[str, ...]:
        """One line for each key that nodes have otherwise after the upgrade; empty where there is none."""
        kit = self.equipment
        if kit is None or kit.upgrade is None:
            return ()
        each_once = {each.topology.name: each for each in self.settings.values()}
        return tuple(
            f"{name} {line}" if len(each_once) > 1 else line
            for name, each in each_once.items()
            for line in changes_of_conf(
                each.topology,
                kit.release.version,
                kit.upgrade.version,
                each.timers,
                each.broker_conf,
                each.namesrv_conf,
            )
        )

    def _asked(self) -> dict[str, Any]:
        """Of several topologies and clients each once; a client that could not be had, with the reason."""
        every = self.settings.values()
        clients = list(dict.fromkeys(each.client for each in every))
        absent = next(iter(every)).absent
        return {
            "topology": list(dict.fromkeys(each.topology.name for each in every)),
            **({"client": ", ".join(clients)} if len(clients) > 1 else {}),
            **({"absent_clients": dict(absent)} if absent else {}),
        }

    def _checksums(self) -> dict[str, str]:
        """Of every jar of the release under test, and of the one that nodes are moved to."""
        kit = self.equipment
        if kit is None:
            return {}
        upgrade = kit.upgrade.sha256 if kit.upgrade is not None else {}
        return {**kit.release.sha256, **{f"upgrade/{name}": digest for name, digest in upgrade.items()}}

    def unexpected_of(self, settings: Settings, outcome: Outcome) -> tuple[str, ...]:
        """Demands that were violated, of guarantees that are expected to be broken here, but not by these."""
        mine = [g for g in self.promised[settings.place] if g.id in outcome.guarantees]
        found = (text for g in mine for text in unexpected(outcome, self._expected(settings, g)))
        return tuple(dict.fromkeys(found))

    def weighed_of(self, settings: Settings, outcome: Outcome) -> tuple[Verdict, str]:
        """What the outcome comes to in the row of each of its guarantees: the least of them, see `weighed`."""
        mine = [g for g in self.promised[settings.place] if g.id in outcome.guarantees]
        excused = outcome.result is None or not outcome.result.inexcusable
        rows = [weighed(outcome, self._expected(settings, g)) for g in mine] if excused else []
        return next((row for row in rows if row[0] is Verdict.INCONCLUSIVE), outcome.verdict())

    def expected_of(self, settings: Settings, guarantees: Sequence[str]) -> Expectation | None:
        """What the catalogue expects, if one of these guarantees is to be broken here; None if they are to hold."""
        for guarantee in self.promised[settings.place]:
            if guarantee.id in guarantees:
                expected = self._expected(settings, guarantee)
                if expected.verdict == "broken":
                    return expected
        return None

    def _row(self, settings: Settings, guarantee: Guarantee) -> Row:
        mine = self._judging(settings, guarantee)
        ran = [o for o in mine if o.result is not None]
        expected = self._expected(settings, guarantee)
        if any(o.result.inexcusable for o in ran if o.result):
            expected = AS_DOCUMENTED
        verdicts = [weighed(o, expected, lent(o, mine)) for o in mine]
        verdict = merge(v for v, _ in verdicts)
        sometimes = expected.reason if expected.sometimes else ""
        if expected.sometimes and verdict is not Verdict.BROKEN:
            expected = AS_DOCUMENTED
        nobody = guarantee.untested or "no suite reached this row in this run"
        repeats = repeats_of(mine, [v for v, _ in verdicts], settings.repeat)
        reason = reasons([r for v, r in verdicts if v is verdict], verdict, repeats) or nobody
        if verdict is Verdict.HELD:
            reason += _lacks_control(guarantee, mine, settings) + _lacks_a_part(mine)
        return Row(
            id=guarantee.id,
            topology=settings.topology.name,
            rocketmq=_releases(settings, guarantee),
            java=str(self.tested().java_major) if settings.runtime == "docker" else settings.java_name,
            client=settings.client,
            runtime=settings.runtime,
            timers=guarantee.timers or settings.timers,
            known=expected.reason if expected.verdict == "broken" else False,
            sometimes=sometimes,
            expected=Verdict(expected.verdict),
            verdict=verdict,
            reason=reason,
            figure=guarantee.figure,
            figures=figures(ran),
            repeats=repeats,
            spread=spreads_of(ran) if repeats is not None else {},
            control=control_row(self.directory, ran),
            scenarios=tuple(scenario_row(self.directory, self.seed, o, expected, lent(o, mine)) for o in ran),
            deviations=tuple(sorted({f"{d[0]}={d[1]}" for o in ran if o.result for d in o.result.deviations})),
            missing=next((o.missing for o in mine if o.missing), None),
            infrastructure=any(o.infrastructure for o in mine),
            waited_s=round(sum(spent(o, "waiting") for o in ran), 1),
            worked_s=round(sum(spent(o, None) - spent(o, "waiting") for o in ran), 1),
        )

    def _judging(self, settings: Settings, guarantee: Guarantee) -> list[Outcome]:
        """In the order of their repetitions, in whichever order they ended."""
        mine = [o for o in self.outcomes.get(settings.place, ()) if guarantee.id in o.guarantees]
        return sorted(mine, key=lambda o: o.repetition)

    def _expected(self, settings: Settings, guarantee: Guarantee) -> Expectation:
        subject = self.tested()
        return guarantee.expected(subject.version, settings.topology, subject.java_major, settings.client)


def _lacks_control(guarantee: Guarantee, mine: Sequence[Outcome], settings: Settings) -> str:
    """What a row that held has not shown, to be told behind its reason; empty if it has.

    What is planted shows that the judge can see: that the scenario could have made the violation shows a control which
    the product itself fails. The suites of this repository have one wherever the catalogue names it; on a cluster of
    others none that hurts it is run.
    """
    if guarantee.control.kind != "product" or settings.runtime == "existing" or any(o.controls for o in mine):
        return ""
    return f"; the control that the catalogue names was not run: {guarantee.control.text}"


def _lacks_a_part(mine: Sequence[Outcome]) -> str:
    """Which of a row's suite functions was not run, to be told as well; empty if none."""
    unrun = next((o for o in mine if o.result is None and not o.broke_off), None)
    return "" if unrun is None else f"; in part only, for {unrun.function} was not run: {unrun.verdict()[1]}"


def _releases(settings: Settings, guarantee: Guarantee) -> str:
    """The release that a row is about, or the two of an upgrade."""
    if settings.upgrade_name is not None and "two-versions" in guarantee.needs:
        return names.upgrade(settings.release_name, settings.upgrade_name)
    return settings.release_name
