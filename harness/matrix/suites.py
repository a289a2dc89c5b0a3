"""One cell's suites as a process of its own: pytest, as a user would call it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from harness.core.errors import EvidenceError, SetupError, WaitTimeout
from harness.matrix.cells import CellSpec
from harness.matrix.digest import SUITES
from harness.report.rows import Row, Run, parse_verdicts
from harness.runtime.namespaces import die_with_parent
from harness.settings import ENV_PREFIX, environment_name
from harness.waiting import wait_for

ENDED: Final = (0, 1, 6)
"""The exit codes of a run that came to its end; any other one is an interruption or wrong usage."""
STOP_TIMEOUT_S: Final = 90.0
PLACES: Final = ("cache", "state")
"""What the environment may still say: where things lie is none of what a cell is."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the suites ended in: its own exit code and what it wrote to `verdicts.json`."""

    exit_code: int
    run: Run
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """Runs pytest on the folders `suites` of `root`; the evidence goes below `reports`, one folder per cell."""

    root: Path
    reports: Path
    command: tuple[str, ...] = (sys.executable, "-m", "pytest")
    suites: tuple[str, ...] = (SUITES,)

    def __call__(self, spec: CellSpec, guarantees: Sequence[str]) -> Ran:
        """Raises `SetupError` for a run that did not come to its end.

        Raises `EvidenceError` for one without verdicts, or with verdicts on anything but this cell.
        """
        reports = (self.reports / spec.name).resolve()
        before = _runs(reports)
        words = [*self.command, *self.suites, *options(spec, guarantees, reports)]
        code = self._wait(
            subprocess.Popen(
                words,
                cwd=self.root,
                env=environment(os.environ),
                # It gets exactly one interrupt, ours: a second one would cut its teardown short.
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGTERM),  # nobody would read what it ends in
            )
        )
        if code not in ENDED:
            raise SetupError(f"the suites of {spec.name} ended with exit code {code}: see what they printed")
        new = sorted(_runs(reports) - before)
        if len(new) != 1:
            raise EvidenceError(f"the suites of {spec.name} ended with {code} and left {len(new)} runs instead of 1")
        ran = Ran(code, *parse_verdicts((new[0] / "verdicts.json").read_text(encoding="utf-8")))
        _check(spec, ran)
        return ran

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        """Its exit code. Whatever ends us ends it too, with time to tear its cluster down."""
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGTERM)  # of SIGINT a job in the background knows nothing
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
        *_releases(spec),
        f"--java={spec.java}",
        f"--client={spec.client}",
        f"--timers={spec.timers}",
        f"--reports={reports}",
        *(f"--guarantee={name}" for name in guarantees),
    ]


def _releases(spec: CellSpec) -> list[str]:
    if spec.upgrade_to is None:
        return [f"--rocketmq={spec.rocketmq}"]
    return [f"--upgrade-from={spec.rocketmq}", f"--upgrade-to={spec.upgrade_to}"]


def environment(of: Mapping[str, str]) -> dict[str, str]:
    """The environment of the suites: without options of the harness or of pytest, for a cell is only what it says."""
    places = {environment_name(place) for place in PLACES}
    ours = {name for name in of if name.startswith(ENV_PREFIX)} - places
    return {name: value for name, value in of.items() if name not in {*ours, "PYTEST_ADDOPTS"}}


def _check(spec: CellSpec, ran: Ran) -> None:
    """Raises `EvidenceError` for rows of another configuration than the cell's."""
    if ran.run.options.get("timers", spec.timers) != spec.timers:
        raise EvidenceError(f"the suites of {spec.name} ran with {ran.run.options['timers']} timers: not asked for")
    if ran.run.options.get("upgrade_to") != spec.upgrade_to:
        raise EvidenceError(
            f"the suites of {spec.name} moved nodes to {ran.run.options.get('upgrade_to')}: not asked for"
        )
    for row in ran.rows:
        # A row whose promise is a timer has the documented ones, whatever the cell's are.
        wanted = (spec.topology, spec.releases, spec.java, spec.client, "local")
        if row.configuration[:-1] != wanted or row.timers not in (spec.timers, "documented"):
            raise EvidenceError(
                f"the suites of {spec.name} judged {row.id} on {', '.join(row.configuration)}: not what was asked for"
            )
    for option in ("broker_conf", "namesrv_conf", "jvm_opts"):
        if _given(ran.run.options.get(option)):
            told = ran.run.options[option]
            raise EvidenceError(f"the suites of {spec.name} ran with {option} {told}: not asked for")


def _given(option: object) -> list[object]:
    """What an option of a run adds to a cluster: options of JVMs are listed by role, also where there are none."""
    return [value for value in option.values() if value != []] if isinstance(option, dict) else []


def _runs(reports: Path) -> set[Path]:
    return {p.parent for p in reports.glob("*/verdicts.json") if not p.parent.is_symlink()}
