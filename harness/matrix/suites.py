"""One cell's suites as a process of its own: pytest, as a user would call it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.core.errors import EvidenceError, SetupError, WaitTimeout
from harness.matrix.cells import CellSpec
from harness.report.rows import Row, Run, parse_verdicts
from harness.waiting import wait_for

ENDED: Final = (0, 1, 6)
"""The exit codes of a run that came to its end; any other one is an interruption or wrong usage."""
STOP_TIMEOUT_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the suites ended in: its own exit code and what it wrote to `verdicts.json`."""

    exit_code: int
    run: Run
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """Runs pytest from `root`; the evidence goes below `reports`, one folder per cell."""

    root: Path
    reports: Path
    command: tuple[str, ...] = (sys.executable, "-m", "pytest", "suites")

    def __call__(self, spec: CellSpec, guarantees: Sequence[str]) -> Ran:
        """Raises `SetupError` for a run that did not come to its end, `EvidenceError` for one without verdicts."""
        reports = (self.reports / spec.name).resolve()
        before = _runs(reports)
        words = [*self.command, *options(spec, guarantees, reports)]
        # In a session of its own it gets exactly one interrupt, ours: a second one would cut its teardown short.
        code = self._wait(subprocess.Popen(words, cwd=self.root, start_new_session=True))
        if code not in ENDED:
            raise SetupError(f"the suites of {spec.name} ended with exit code {code}: see what they printed")
        new = sorted(_runs(reports) - before)
        if len(new) != 1:
            raise EvidenceError(f"the suites of {spec.name} ended with {code} and left {len(new)} runs instead of 1")
        return Ran(code, *parse_verdicts((new[0] / "verdicts.json").read_text(encoding="utf-8")))

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        """Its exit code. Whatever ends us ends it too, with time to tear its cluster down."""
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            try:
                wait_for(
                    lambda: child.poll() is not None,
                    what="the suites to end",
                    timeout_s=STOP_TIMEOUT_S,
                    poll_s=0.1,
                )
            except WaitTimeout:
                child.kill()
            raise


def options(spec: CellSpec, guarantees: Sequence[str], reports: Path) -> list[str]:
    """The command line of one cell, after the name of the program."""
    return [
        f"--topology={spec.topology}",
        f"--rocketmq={spec.rocketmq}",
        f"--java={spec.java}",
        f"--client={spec.client}",
        f"--timers={spec.timers}",
        f"--reports={reports}",
        *(f"--guarantee={name}" for name in guarantees),
    ]


def _runs(reports: Path) -> set[Path]:
    return {p.parent for p in reports.glob("*/verdicts.json") if not p.parent.is_symlink()}
