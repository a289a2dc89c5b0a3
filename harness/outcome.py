"""What one suite function came to, and what that comes to where the catalogue says what to expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.checkers.judge import ALWAYS
from harness.core.guarantee import Expectation
from harness.core.tenants import declared
from harness.core.verdict import Verdict, doubts
from harness.judging import ControlResult, ScenarioResult, unproved


@dataclass(slots=True)
class Outcome:
    """What one suite function came to on one topology: its scenario, its controls, or why it did not run."""

    guarantees: tuple[str, ...]
    result: ScenarioResult | None = None
    controls: tuple[ControlResult, ...] = ()
    missing: str | None = None
    not_tested: str = ""
    broke_off: str = ""
    """Why the suite function ended before scenario and control had: whatever it ran till then shows too little."""
    function: str = ""
    repetition: int = 1
    borrows: bool = False
    """Its control was run in the first repetition of its suite function, and not in this one."""

    @property
    def infrastructure(self) -> bool:
        """The machine or the cluster stood in the way."""
        runs = [self.result, *(c.result for c in self.controls)]
        return any(r is not None and r.trouble.startswith("infrastructure") for r in runs)

    def verdict(self, lent: Sequence[ControlResult] | None = None) -> tuple[Verdict, str]:
        """The scenario's verdict, made inconclusive by a control that did not come out as it must or is missing.

        A witnessed violation stays broken whatever the controls say: only "held" needs them. `lent` are those of the
        first repetition; without them one that borrows is judged as if they had come out, which its row does not.
        """
        if self.result is None and self.broke_off:
            return Verdict.INCONCLUSIVE, self.broke_off
        if self.result is None:
            return Verdict.NOT_TESTED, self.not_tested or f"capability {self.missing} is missing"
        verdict, reason = self.result.judgement.verdict, self.result.judgement.reason
        if verdict is not Verdict.HELD:
            return verdict, reason
        if self.borrows and lent is None and not self.broke_off:
            return verdict, reason
        controls = lent if self.borrows and lent is not None else self.controls
        # What would be planted stands in for no control that was to be run.
        none = ["its control is run in the first repetition, and was not"] if self.borrows and not controls else []
        failed = [self.broke_off] if self.broke_off else none or unproved(self.result, controls)
        return (Verdict.INCONCLUSIVE, "; ".join(failed)) if failed else (verdict, reason)


GRAVE: Final = frozenset({"lost", "phantom", "altered", "diverged"})
"""What is expected to be broken only where that is said by name."""


def unexpected(outcome: Outcome, expected: Expectation) -> tuple[str, ...]:
    """Violated demands that the expectation does not name; none where it expects no violation.

    One that names no demand covers whatever it does not say, but no message that was lost, made up or altered.
    """
    result = outcome.result
    if result is None or result.judgement.verdict is not Verdict.BROKEN:
        return ()
    if expected.verdict != "broken":
        return ()
    named = {
        demand.text(): frozenset(map(declared, demand.names()))
        for demand in (*result.scenario.rules.expectations, *ALWAYS)
    }
    violated = [check.demand for check in result.judgement.checks if check.violated]
    if not expected.demands:
        return tuple(text for text in violated if not named.get(text, GRAVE).isdisjoint(GRAVE))
    return tuple(text for text in violated if named.get(text, frozenset()).isdisjoint(expected.demands))


def weighed(
    outcome: Outcome, expected: Expectation, lent: Sequence[ControlResult] | None = None
) -> tuple[Verdict, str]:
    """What an outcome comes to where the catalogue says what to expect of it.

    A violation that is expected excuses itself and nothing else. One witness is enough to call a row broken; to call it
    broken in no other way than is known, all else that was assumed and demanded must have been seen to be well. `lent`
    is as in `Outcome.verdict`.
    """
    verdict, reason = outcome.verdict(lent)
    if verdict is not Verdict.BROKEN or expected.verdict != "broken" or unexpected(outcome, expected):
        return verdict, reason
    assert outcome.result is not None
    judgement = outcome.result.judgement
    unknown = doubts(judgement.assumptions, judgement.checks)
    if not unknown:
        return verdict, reason
    return Verdict.INCONCLUSIVE, f"broken as expected ({reason}), but of the rest is not known: {'; '.join(unknown)}"


def spent(outcome: Outcome, what: str | None) -> float:
    """Seconds the outcome's scenario and controls spent on one kind of thing, or (None) on everything."""
    runs = [r for r in (outcome.result, *(c.result for c in outcome.controls)) if r is not None]
    nested = ("waiting", "looking")  # parts of "load"
    return sum(
        seconds
        for run in runs
        for key, seconds in run.spent_s.items()
        if (key == what if what is not None else key not in nested)
    )


def summary_of_time(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """How much of the run was waiting for the product's own timers and how much was work."""
    flat = [o for mine in outcomes.values() for o in mine]
    waited = sum(spent(o, "waiting") for o in flat)
    total = sum(spent(o, None) for o in flat)
    return f"{waited:.0f} s waiting for the product's own timers, {total - waited:.0f} s working"
