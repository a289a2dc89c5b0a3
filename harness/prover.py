"""What a suite function calls: it runs a scenario and its control, and raises what the verdict calls for.

Knows nothing of pytest: the plugin turns what is raised here into outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from pydantic import ValidationError

from harness import askable, preflight
from harness.core.errors import CapabilityMissing, ClientLacks, HarnessError, UsageError
from harness.core.expectation import Expectation, Gates
from harness.core.fields import refused
from harness.core.names import repeated
from harness.core.verdict import Verdict
from harness.judging import ControlResult
from harness.outcome import Outcome
from harness.runner import check_capabilities, run_scenario
from harness.scenario import ClusterNeeds, Control, Scenario, Step, rules
from harness.session import Session
from harness.settings import Settings
from harness.workloads.abilities import FIXED_TIMERS
from harness.workloads.load import Load


class Broken(Exception):
    """The guarantee does not hold: a failure."""


class KnownBroken(Broken):
    """It does not hold, and the catalogue expects that for the reason `expected`: an expected failure."""

    def __init__(self, reason: str, expected: str) -> None:
        super().__init__(reason)
        self.expected = expected


class Inconclusive(Exception):
    """Nothing can be said: an error."""


class HeldUnexpectedly(Exception):
    """The catalogue expects it broken for this version, and it held: a failure, for one of them is wrong."""


class NotTested(Exception):
    """This machine, or the client that was asked for, lacks what the scenario needs: a skip."""


@dataclass(frozen=True, slots=True)
class SuiteFunction:
    """The suite function that a prover belongs to: what it is called and claims, and the guarantees it judges."""

    function: str
    claim: str
    guarantees: tuple[str, ...]
    repetition: int = 1

    @property
    def name(self) -> str:
        """What its scenario is called: each repetition is one of its own."""
        return repeated(self.function, self.repetition)


_RAN_NOTHING: Final = "the suite function ended before it ran a scenario"


class Prover:
    """What a suite function gets as `scenario`: call it once with the load, the steps and the demands."""

    def __init__(self, suite: SuiteFunction, session: Session, settings: Settings, say: Callable[[str], None]) -> None:
        assert session.equipment is not None
        self._suite = suite
        self._session = session
        self._settings = settings
        self._say = say
        self.topology = settings.topology
        self.version = session.equipment.release.version
        self.timers = settings.timers
        self.client = settings.client.partition(":")[0]
        self._random = Random(f"{session.seed} {settings.topology.name} {suite.name}")
        self.outcome = Outcome(
            suite.guarantees,
            function=suite.function,
            repetition=suite.repetition,
            broke_off=_RAN_NOTHING,
        )

    @property
    def client_timers(self) -> str:
        """`timers`, or "documented" of a client whose own cannot be set: by which one waits for what clients notice."""
        return "documented" if self.client in FIXED_TIMERS else self.timers

    def moment(self, least_s: float, most_s: float) -> float:
        """Seconds between these two, drawn anew at each call: `--seed` and the same calls draw the same again.

        For when a fault comes: a fixed moment finds what goes wrong at that one only.
        """
        return round(self._random.uniform(least_s, most_s), 2)

    def __call__(
        self,
        *,
        demand: Iterable[Expectation],
        load: Iterable[Load] = (),
        steps: Iterable[Step] = (),
        duration_s: float = 0,
        cluster: ClusterNeeds | None = None,
        gates: Gates | None = None,
        control: Control | None = None,
        **more: Any,
    ) -> None:
        """Runs the scenario and then its control, and raises what the verdict calls for."""
        scenario = Scenario(
            name=self._suite.name,
            claim=self._suite.claim,
            cluster=cluster or ClusterNeeds(),
            load=tuple(load),
            steps=tuple(steps),
            duration_s=duration_s,
            rules=rules(*demand, gates=gates),
            **more,
        )
        self.prove(scenario, control)

    def control(
        self,
        name: str,
        *,
        demand: Iterable[Expectation],
        expect: Verdict = Verdict.BROKEN,
        why: str = "",
        gates: Gates | None = None,
        cluster: ClusterNeeds | None = None,
        **more: Any,
    ) -> Control:
        """A product control: another scenario that must come out as `expect`.

        What it sets of its cluster it insists on: an option of the user's must not disarm it.
        """
        return Control(
            kind="product",
            scenario=Scenario(
                name=f"{self._suite.name}--{name}",
                cluster=(cluster or ClusterNeeds()).model_copy(update={"insists": True}),
                rules=rules(*demand, gates=gates),
                **more,
            ),
            expect=expect,
            why=why,
        )

    def skipped(self, reason: str) -> None:
        """The suite function itself says that it does not apply: not tested, unless it had run something."""
        if self.outcome.result is None and not self.outcome.missing:
            self.outcome.broke_off, self.outcome.not_tested = "", reason

    def failed(self, error: BaseException) -> None:
        """The suite function ended in what is no verdict: what it had run till then is not what it was to show.

        A skip of its own counts as such only while it has run nothing.
        """
        if self.outcome.broke_off in ("", _RAN_NOTHING):
            words = " ".join(_in_words(error).split())[:200]
            self.outcome.broke_off = f"the suite function ended in {type(error).__name__}" + (words and f": {words}")

    def prove(self, scenario: Scenario, control: Control | None = None) -> None:
        """The same with a scenario that was built by hand.

        Raises UsageError for a second one of a suite function, and for names in it or its control that stand for
        nothing; NotTested for what this machine or the client lacks.
        """
        if self.outcome.result is not None:
            raise UsageError(
                f"{self._suite.name} runs a second scenario, which would hide the first: write another suite function"
            )
        for declared in (scenario, *((control.scenario,) if control is not None else ())):
            try:
                preflight.check(declared, self.topology)
                askable.check_client(declared, self.topology, self._settings.client)
            except UsageError as slip:
                self.outcome.broke_off = str(slip)
                raise
            except ClientLacks as lack:
                # Not a capability of the machine: there is nothing that --allow-missing could tolerate.
                self.outcome.not_tested, self.outcome.broke_off = str(lack), ""
                raise NotTested(str(lack)) from None
        equipment = self._session.equipment
        assert equipment is not None
        base = self._session.directory / "scenarios" / self._settings.place
        self.outcome.broke_off = f"{scenario.name} was broken off"
        try:
            if self._settings.runtime == "existing" and control is not None:
                # On a cluster of others nothing is run in vain.
                check_capabilities(control.scenario, equipment)
            self.outcome.result = run_scenario(scenario, self._settings, equipment, base / scenario.name, self._say)
            self._trust_no_cluster_of(self.outcome.result.judgement.verdict is Verdict.HELD)
            # One control for all repetitions: what it shows is what the check can see, which is the same in each.
            self.outcome.borrows = control is not None and self._suite.repetition > 1
            held = self.outcome.result.judgement.verdict is Verdict.HELD
            if control is not None and held and not self.outcome.borrows:
                self._say(f"control: {control.scenario.name}")
                # What is kept is what was judged: a control's cluster never, and it does not end the kept one.
                unkept = replace(equipment, keeper=None)
                seen = run_scenario(control.scenario, self._settings, unkept, base / control.scenario.name, self._say)
                self.outcome.controls = (ControlResult(control, seen),)
                self._trust_no_cluster_of(self.outcome.controls[0].as_expected)
        except CapabilityMissing as missing:
            # Also of a control: planted defects do not stand in for one that was to be run.
            self.outcome.result = None
            self.outcome.missing = missing.capability
            self.outcome.not_tested = str(missing)
            self.outcome.broke_off = ""
            raise NotTested(str(missing)) from None
        except HarnessError as error:
            self.outcome.broke_off += f": {error}"
            raise
        self.outcome.broke_off = ""
        self._conclude()

    def _trust_no_cluster_of(self, as_expected: bool) -> None:
        """What did not come out as it must hands its cluster to nobody, however clean that looks."""
        equipment = self._session.equipment
        if equipment is not None and equipment.pool is not None and not as_expected:
            equipment.pool.drop()

    def _conclude(self) -> None:
        verdict, reason = self._session.weighed_of(self._settings, self.outcome)
        self._say(f"{verdict.value}: {reason}")
        excused = self.outcome.result is None or not self.outcome.result.inexcusable
        expected = self._session.expected_of(self._settings, self.outcome.guarantees) if excused else None
        if verdict is Verdict.INCONCLUSIVE:
            raise Inconclusive(reason)
        if verdict is Verdict.BROKEN:
            surprises = self._session.unexpected_of(self._settings, self.outcome)
            if surprises:
                raise Broken(f"{reason} (the catalogue expects it broken, but not by {'; '.join(surprises)})")
            if expected is not None:
                raise KnownBroken(reason, expected.reason)
            raise Broken(reason)
        # Of several repetitions it is for the row to say: a bug that shows itself now and then is as known as it was.
        surprising = expected is not None and not expected.sometimes and self._settings.repeat == 1
        if verdict is Verdict.HELD and expected is not None and surprising:
            raise HeldUnexpectedly(f"the catalogue expects it broken ({expected.reason}), but it held: {reason}")


def _in_words(error: BaseException) -> str:
    """What is wrong with each field, of what pydantic refuses; its own words name a page and the value's type."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(refused(error))
