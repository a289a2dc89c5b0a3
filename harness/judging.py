"""What a scenario came to: its history judged, copies of it with planted defects judged, and what is stored of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.checkers.books import unbooked
from harness.checkers.judge import ALWAYS, INEXCUSABLE, implied, judge
from harness.checkers.planting import is_look, plant
from harness.checkers.returns import never_returned
from harness.core.errors import HarnessError
from harness.core.expectation import Expectation, Rules
from harness.core.history import History
from harness.core.tenants import declared
from harness.core.verdict import Check, Judgement, Verdict
from harness.evidence import load_history
from harness.scenario import Control, Scenario


@dataclass(frozen=True, slots=True)
class PlantedControl:
    """One demand, and what the judge said of the recorded history with one defect of that kind planted in it.

    `observed` is broken only if the demand itself was violated then, and not-tested if nothing could be planted for it.
    `look`: the demand is about what a probe saw. The defect is then another number in its place, which shows that the
    number is compared, and nothing of the probe. `implied`: it is demanded of every history, not of this one alone.
    """

    demand: str
    observed: Verdict
    reason: str
    look: bool = False
    implied: bool = False

    @property
    def of_its_own(self) -> bool:
        """It shows something of what this scenario demands, and more than that a number is compared."""
        return not self.look and not self.implied


@dataclass(slots=True)
class ScenarioResult:
    """What came of one scenario. `trouble` is set when it could not be run to its end."""

    scenario: Scenario
    directory: Path
    judgement: Judgement
    planted: tuple[PlantedControl, ...] = ()
    trouble: str = ""
    spent_s: dict[str, float] = field(default_factory=dict)
    deviations: tuple[tuple[str, str, str, str], ...] = ()
    bring_up: Mapping[str, float] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    """The scenarios that had run on its cluster before it; none where that was its own."""

    @property
    def inexcusable(self) -> bool:
        """It broke what it does not demand itself: nothing that the catalogue expects is an excuse for that.

        Demanded of every history are the bodies as they were sent, and that a node that is started again comes back.
        """
        mine = (*self.scenario.rules.expectations, *ALWAYS)
        excusable = {demand.text() for demand in mine if demand not in INEXCUSABLE}
        broken = self.judgement.verdict is Verdict.BROKEN
        return broken and any(check.violated and check.demand not in excusable for check in self.judgement.checks)


@dataclass(frozen=True, slots=True)
class ControlResult:
    """How a control came out, beside how it must."""

    control: Control
    result: ScenarioResult

    @property
    def as_expected(self) -> bool:
        """It ran to its end and came out as it must, by a demand of its own: what it belongs to could have been red."""
        out = self.result.judgement.verdict is self.control.expect
        return out and self._by_its_own and not self.result.trouble

    @property
    def came_out(self) -> str:
        """Its verdict, and whether that says nothing of what it was run for."""
        return self.result.judgement.verdict.value + ("" if self._by_its_own else ", by none of its own demands,")

    @property
    def _by_its_own(self) -> bool:
        """Not broken, or not only by what is demanded of every history."""
        judgement = self.result.judgement
        others = {demand.text() for demand in implied(self.result.scenario.rules)}
        violated = [check.demand for check in judgement.checks if check.violated]
        return judgement.verdict is not Verdict.BROKEN or not violated or any(d not in others for d in violated)


def judge_directory(
    directory: Path, rules: Rules, trouble: str, *, from_lines: bool = False
) -> tuple[Judgement, tuple[PlantedControl, ...]]:
    """Judges what a scenario directory holds.

    Trouble makes it inconclusive, whatever was seen before: what was demanded was demanded of a scenario that ended,
    on evidence that was whole. The one exception is evidence that is complete in itself and trouble by its own doing:
    a node that twice exited by itself when it was started again is broken.

    With `from_lines` no packed copy of the history is believed, and nothing is written.
    """
    try:
        history = load_history(directory, from_lines=from_lines)
    except HarnessError as error:
        return Judgement(Verdict.INCONCLUSIVE, f"{trouble or 'evidence'}: {error}", (), ()), ()
    judgement = judge(history, rules)
    if trouble:
        gone = never_returned(history)
        verdict, checks = (Verdict.BROKEN if gone else Verdict.INCONCLUSIVE), judgement.checks
        if gone:
            checks = (Check("every node comes back", False, gone), *checks)
        return Judgement(verdict, gone or trouble, judgement.assumptions, checks, judgement.figures), ()
    return judgement, judge_planted(history, rules) if judgement.verdict is Verdict.HELD else ()


def judge_planted(history: History, rules: Rules) -> tuple[PlantedControl, ...]:
    """Plants one defect per demand in the history and judges it again: each must now be broken. One for each demand.

    What is demanded of every history is planted only beside a demand of the scenario's own: that it would be seen does
    not show that this scenario could have come out broken.
    """
    own = [_planted(history, rules, demand) for demand in rules.expectations]
    common = [_planted(history, rules, demand) for demand in implied(rules)] if own else []
    return (*own, *(replace(p, implied=True) for p in common if p.observed is not Verdict.NOT_TESTED))


def _planted(history: History, rules: Rules, demand: Expectation) -> PlantedControl:
    text, look = demand.text(), is_look(demand)
    bad = plant(history, demand)
    if bad is None:
        return PlantedControl(text, Verdict.NOT_TESTED, "no defect of this kind can be planted in this history", look)
    seen = judge(unbooked(bad), rules)
    if seen.verdict is Verdict.BROKEN and not any(c.demand == text and not c.met for c in seen.checks):
        return PlantedControl(text, Verdict.HELD, f"another demand saw the defect, not this one: {seen.reason}", look)
    return PlantedControl(text, seen.verdict, seen.reason, look)


def unproved(result: ScenarioResult, controls: Sequence[ControlResult]) -> list[str]:
    """Why a scenario that held proves nothing: a control that did not come out, or a demand that has none.

    A demand needs a planted defect that it called broken, or a control in which the same demand was violated. Without
    a control that was run and had to violate what this one demands, one planted defect at least must be more than
    another number for what was looked at: a control that must be held, or that violates what nobody demands here, shows
    what else is so, and not that this could be red.
    """
    failed = [
        f"control {c.control.scenario.name} came out {c.came_out} instead of "
        f"{c.control.expect.value}: {c.result.judgement.reason}"
        for c in controls
        if not c.as_expected
    ]
    violated = _violated(controls)
    for p in result.planted:
        if p.observed is Verdict.NOT_TESTED and declared(p.demand) not in violated:
            failed.append(f"nothing shows that {p.demand!r} can be broken: {p.reason}, and no control violates it")
        elif p.observed not in (Verdict.BROKEN, Verdict.NOT_TESTED):
            failed.append(f"planted control for {p.demand!r} was called {p.observed.value}: {p.reason}")
    red = [c for c in controls if c.control.expect is not Verdict.HELD and _of_the_same(result, c)]
    if not red and not result.planted:
        failed.append("no control was run that bears on it: nothing shows that this could have come out broken")
    elif not red and not any(p.observed is Verdict.BROKEN and p.of_its_own for p in result.planted):
        looks = ", ".join(repr(p.demand) for p in result.planted if p.look)
        failed.append(f"nothing but numbers of looks could be falsified, which shows nothing of the looks: {looks}")
    return failed


def _of_the_same(result: ScenarioResult, control: ControlResult) -> bool:
    """The control violated a demand that the scenario makes as well; one that did not come out is told elsewhere."""
    mine, its = (_named(each.scenario) for each in (result, control.result))
    names = frozenset().union(*mine.values())
    violated = [declared(check.demand) for check in control.result.judgement.checks if check.violated]
    return not violated or any(text in mine or not names.isdisjoint(its.get(text, ())) for text in violated)


def _named(scenario: Scenario) -> dict[str, frozenset[str]]:
    """Its demands, and what the catalogue may call each, under the names it was written with."""
    return {declared(d.text()): frozenset(map(declared, d.names())) for d in scenario.rules.expectations}


def on_looks_alone(result: ScenarioResult, controls: Sequence[ControlResult]) -> tuple[str, ...]:
    """Demands for which nothing but another number in place of the observed one was ever seen to be broken."""
    violated = _violated(controls)
    return tuple(p.demand for p in result.planted if p.look and declared(p.demand) not in violated)


def _violated(controls: Sequence[ControlResult]) -> frozenset[str]:
    """What controls that came out broken, as they must, were seen to violate, under the names of the suite."""
    red = [c.result.judgement for c in controls if c.as_expected and c.control.expect is Verdict.BROKEN]
    return frozenset(declared(check.demand) for judgement in red for check in judgement.checks if check.violated)


def result_json(result: ScenarioResult) -> dict[str, object]:
    """What is stored beside the judgement: trouble, planted controls, where the time went, deviations."""
    return {
        "schema": 1,
        "scenario": result.scenario.name,
        "trouble": result.trouble,
        "planted": [
            {"demand": p.demand, "observed": p.observed.value, "reason": p.reason, "look": p.look}
            for p in result.planted
        ],
        "spent_s": {k: round(v, 3) for k, v in result.spent_s.items()},
        "bring_up": dict(result.bring_up),
        "before": list(result.before),
        "deviations": [list(d) for d in result.deviations],
    }
