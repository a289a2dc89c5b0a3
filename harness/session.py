"""One run over one or more topologies: what was planned, what came of it, and the rows it ends in.

Knows nothing of pytest: the plugin feeds it, the command line reads it back.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from harness.core.errors import UsageError
from harness.core.guarantee import AS_DOCUMENTED, STOCK_ROW, Expectation, Guarantee
from harness.core.verdict import Verdict, merge
from harness.core.version import Version
from harness.judging import ScenarioResult, on_looks_alone
from harness.lodging import Equipment
from harness.outcome import Outcome, spent, unexpected, weighed
from harness.provenance import git_commit, machine, now_utc, options_json
from harness.report.rows import Control as ControlRow
from harness.report.rows import Row, Run, ScenarioRow
from harness.settings import Settings
from harness.stock import stock_row

STORED: Final = "unknown_stored"
_ADDED_UP: Final = ("invoked", "acked", "failed", "unknown", STORED, "lost", "lost_of")


@dataclass(frozen=True, slots=True)
class Subject:
    """What expectations depend on besides topology and client: the release's version and the nodes' Java."""

    version: Version
    java_major: int


@dataclass(slots=True)
class Session:
    """Outcomes of one run, by topology, and how they become rows."""

    run_id: str
    directory: Path
    seed: int
    command: str
    settings: dict[str, Settings] = field(default_factory=dict)
    promised: dict[str, tuple[Guarantee, ...]] = field(default_factory=dict)
    """By topology; with --guarantee, of it what was asked for."""
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

    def add(self, topology: str, outcome: Outcome) -> None:
        """Files one suite function's outcome, which may still be to come."""
        self.outcomes.setdefault(topology, []).append(outcome)

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
        """One row per promised guarantee and topology, also for those that no suite reached."""
        return tuple(row for name in self.settings for row in self._rows_of(name))

    def _rows_of(self, topology: str) -> list[Row]:
        settings, promised = self.settings[topology], self.promised[topology]
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
                "java": jre.version if jre else first.java_name,
                "python": platform.python_version(),
            },
            checksums=self._checksums(),
            options=options_json(first) | {"topology": list(self.settings)},
            machine=machine(),
            deviations=tuple(sorted(self.deviations)),
            promised=self.offered,
        )

    def _checksums(self) -> dict[str, str]:
        """Of every jar of the release under test, and of the one that nodes are moved to."""
        kit = self.equipment
        if kit is None:
            return {}
        upgrade = kit.upgrade.sha256 if kit.upgrade is not None else {}
        return {**kit.release.sha256, **{f"upgrade/{name}": digest for name, digest in upgrade.items()}}

    def unexpected_of(self, settings: Settings, outcome: Outcome) -> tuple[str, ...]:
        """Demands that were violated, of guarantees that are expected to be broken here, but not by these."""
        mine = [g for g in self.promised[settings.topology.name] if g.id in outcome.guarantees]
        found = (text for g in mine for text in unexpected(outcome, self._expected(settings, g)))
        return tuple(dict.fromkeys(found))

    def weighed_of(self, settings: Settings, outcome: Outcome) -> tuple[Verdict, str]:
        """What the outcome comes to in the row of each of its guarantees: the least of them, see `weighed`."""
        mine = [g for g in self.promised[settings.topology.name] if g.id in outcome.guarantees]
        excused = outcome.result is None or not outcome.result.inexcusable
        rows = [weighed(outcome, self._expected(settings, g)) for g in mine] if excused else []
        return next((row for row in rows if row[0] is Verdict.INCONCLUSIVE), outcome.verdict())

    def expected_of(self, settings: Settings, guarantees: Sequence[str]) -> str | None:
        """Why the catalogue expects these guarantees to be broken here, or None if it expects them to hold."""
        for guarantee in self.promised[settings.topology.name]:
            if guarantee.id in guarantees:
                expected = self._expected(settings, guarantee)
                if expected.verdict == "broken":
                    return expected.reason
        return None

    def _row(self, settings: Settings, guarantee: Guarantee) -> Row:
        mine = [o for o in self.outcomes.get(settings.topology.name, ()) if guarantee.id in o.guarantees]
        ran = [o for o in mine if o.result is not None]
        expected = self._expected(settings, guarantee)
        if any(o.result.inexcusable for o in ran if o.result):
            expected = AS_DOCUMENTED
        verdicts = [weighed(o, expected) for o in mine]
        verdict = merge(v for v, _ in verdicts)
        nobody = guarantee.untested or "no suite reached this row in this run"
        reason = "; ".join(r for v, r in verdicts if v is verdict) or nobody
        return Row(
            id=guarantee.id,
            topology=settings.topology.name,
            rocketmq=_releases(settings, guarantee),
            java=settings.java_name,
            client=settings.client,
            runtime=settings.runtime,
            timers=guarantee.timers or settings.timers,
            known=expected.reason if expected.verdict == "broken" else False,
            expected=Verdict(expected.verdict),
            verdict=verdict,
            reason=reason,
            figure=guarantee.figure,
            figures=figures(ran),
            control=control_row(self, ran),
            scenarios=tuple(scenario_row(self, o, expected) for o in ran),
            deviations=tuple(sorted({f"{d[0]}={d[1]}" for o in ran if o.result for d in o.result.deviations})),
            missing=next((o.missing for o in mine if o.missing), None),
            infrastructure=any(o.infrastructure for o in mine),
            waited_s=round(sum(spent(o, "waiting") for o in ran), 1),
            worked_s=round(sum(spent(o, None) - spent(o, "waiting") for o in ran), 1),
        )

    def _expected(self, settings: Settings, guarantee: Guarantee) -> Expectation:
        subject = self.tested()
        return guarantee.expected(subject.version, settings.topology, subject.java_major, settings.client)


def _releases(settings: Settings, guarantee: Guarantee) -> str:
    """The release that a row is about, or the two of an upgrade."""
    if settings.upgrade_name is not None and "two-versions" in guarantee.needs:
        return f"{settings.release_name} to {settings.upgrade_name}"
    return settings.release_name


def figures(ran: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of every scenario of a row; counts are added up, anything else keeps its scenario's name.

    How many unknown sends were found stored is left out if a scenario does not know it of its own.
    """
    merged: dict[str, Any] = {}
    for outcome in ran:
        assert outcome.result is not None
        for key, value in outcome.result.judgement.figures.items():
            if key not in merged:
                merged[key] = value
            elif key in _ADDED_UP and isinstance(value, int | float):
                merged[key] += value
            else:
                merged[f"{outcome.result.scenario.name}.{key}"] = value
    if any(o.result and STORED not in o.result.judgement.figures for o in ran):
        merged.pop(STORED, None)
    return merged


def control_row(session: Session, ran: Sequence[Outcome]) -> ControlRow | None:
    """The row's control: the product or fault-off control where there is one, else the planted ones together.

    Of several it says what the first that did not come out showed, and the reason of each.
    """
    looks = tuple(dict.fromkeys(text for o in ran if o.result for text in on_looks_alone(o.result, o.controls)))
    real = [c for o in ran for c in o.controls]
    if real:
        worst = next((c for c in real if not c.as_expected), real[0])
        reasons = {c.control.scenario.name: c.result.judgement.reason for c in real}
        return ControlRow(
            kind=worst.control.kind,
            expected=worst.control.expect.value,
            observed=worst.result.judgement.verdict.value,
            ok=all(c.as_expected for c in real),
            scenarios=tuple(_directory(session, c.result) for c in real),
            why="; ".join(dict.fromkeys(c.control.why for c in real if c.control.why)),
            reason="; ".join(f"{n}: {r}" if len(real) > 1 else r for n, r in reasons.items()),
            on_looks_alone=looks,
        )
    planted = [p for o in ran if o.result for p in o.result.planted]
    if not planted:
        return None
    shown = [p for p in planted if p.of_its_own] or planted
    bad = next((p for p in planted if p.observed is not Verdict.BROKEN), shown[0])
    demands = ", ".join(dict.fromkeys(p.demand for p in planted))
    return ControlRow(
        kind="planted",
        expected="broken",
        observed=bad.observed.value,
        ok=all(p.observed is Verdict.BROKEN for p in planted) and any(p.of_its_own for p in planted),
        why=f"copies of the recorded history, each with a defect planted against one of: {demands}",
        reason=bad.reason,
        on_looks_alone=looks,
    )


def _directory(session: Session, result: ScenarioResult) -> str:
    """Where a scenario lies below `scenarios/`: what rows call it by."""
    return str(result.directory.relative_to(session.directory / "scenarios"))


def scenario_row(session: Session, outcome: Outcome, expected: Expectation) -> ScenarioRow:
    """One executed scenario as the row shows it."""
    result = outcome.result
    assert result is not None
    verdict, reason = weighed(outcome, expected)
    seen = result.judgement.figures
    return ScenarioRow(
        name=_directory(session, result),
        seed=session.seed,
        history=str(result.directory.relative_to(session.directory) / "history"),
        verdict=verdict,
        reason=reason if verdict is not Verdict.HELD else "",
        acked=int(seen.get("acked", 0)),
        failed=seen.get("failed"),
        unknown=seen.get("unknown"),
        lost=seen.get("lost"),
        unexpected=unexpected(outcome, expected),
        before=result.before,
        figures=dict(seen),
    )
