"""What a suite function ends in, as pytest is to report it and as its row is to remember it."""

from __future__ import annotations

import pytest

from harness.core.errors import HarnessError
from harness.core.verdict import Verdict
from harness.plugin import selection
from harness.prover import Broken, HeldUnexpectedly, Inconclusive, KnownBroken, NotTested, Prover, SuiteFunction
from harness.report.rows import EXIT_INCONCLUSIVE
from harness.scenario import Control, Scenario
from harness.session import Session

_TOLD = (Broken, HeldUnexpectedly, Inconclusive)
"""What a suite function raises by its verdict."""
_EXCUSED = (pytest.skip.Exception, pytest.xfail.Exception)
"""The same, or its own word that it does not apply: unless what it ran had held."""


class SuiteProver(Prover):
    """Ends the suite function as pytest would have it; failures and errors get their look when they are reported."""

    def prove(self, scenario: Scenario, control: Control | None = None) -> None:
        """See `Prover`."""
        try:
            super().prove(scenario, control)
        except NotTested as missing:
            pytest.skip(str(missing))
        except KnownBroken as known:
            pytest.xfail(f"known broken ({known.expected}): {known}")
            raise  # with --runxfail, under which xfail does nothing


def prover_of(item: pytest.Item) -> Prover | None:
    """The prover of this suite function, once it has its fixtures; None for a test of another kind."""
    prover = getattr(item, "funcargs", {}).get("scenario")
    return prover if isinstance(prover, Prover) else None


def never_begun(item: pytest.Item, session: Session | None, topology: str) -> Prover | None:
    """The prover of a suite function that lost a fixture of its own before it was given `scenario`; its row is told."""
    if session is None or session.equipment is None or not selection.marked(item):
        return None
    prover = SuiteProver(suite_function(item), session, session.settings[topology], lambda _text: None)
    prover.outcome.broke_off = ""  # what it ended in says more
    session.add(topology, prover.outcome)
    return prover


def suite_function(item: pytest.Item) -> SuiteFunction:
    """Its name, claim and guarantees, and which repetition of it this is."""
    instance = selection.instance_of(item)
    name = item.name.partition("[")[0].removeprefix("test_").replace("_", "-")
    claim = (getattr(item, "function", None).__doc__ or "").strip()
    return SuiteFunction(name, claim, tuple(selection.marked(item)), instance.repetition if instance else 1)


def note(prover: Prover, error: BaseException) -> None:
    """The row remembers what its suite function raised: a verdict it has already, other things are trouble or skips."""
    if not _told(error, prover):
        prover.failed(error)
    if isinstance(error, pytest.skip.Exception):
        prover.skipped(str(error))


def put_in_words(report: pytest.TestReport, error: BaseException) -> None:
    """An inconclusive call is an error, not a failure; verdicts need no traceback."""
    if isinstance(error, HarnessError | Inconclusive):
        report.when = "setup"
        report.longrepr = f"inconclusive: {error}"
    elif isinstance(error, Broken | HeldUnexpectedly):
        report.longrepr = f"{'broken' if isinstance(error, Broken) else 'deviation'}: {error}"


def graver(code: int, status: int, run: Session) -> int:
    """A crash of a suite function that left no verdict must not end in 0."""
    if code == 0 and status == int(pytest.ExitCode.TESTS_FAILED):
        return EXIT_INCONCLUSIVE if any(o.result is None for mine in run.outcomes.values() for o in mine) else 1
    return code


def _told(error: BaseException, prover: Prover) -> bool:
    """What a suite function ended in is its verdict, or does not take one away."""
    return isinstance(error, _TOLD) or (isinstance(error, _EXCUSED) and prover.outcome.verdict()[0] is not Verdict.HELD)
