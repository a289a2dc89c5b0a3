"""Suites side by side (`-n`): pytest-xdist's workers run them, its controller judges the run.

A worker collects and runs as a pytest without -n does, and publishes nothing: what each of its suite functions came to
travels with its own reports. The controller files it, and is the only one that writes the run's files, prints
the table and ends in an exit code. Scenario directories are made by whoever runs the scenario.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import pytest

from harness.core.errors import UsageError
from harness.outcome import Outcome
from harness.session import Session
from harness.settings import Settings

RUN: Final = "rmq_run"
"""In a worker's input: `{"id", "seed"}` of the run that it is part of."""
_OUTCOME: Final = "rmq_outcome"
_LEFT_OUT: Final = "rmq_left_out"
_REFUSAL: Final = "rmq_refusal"
MOST: Final = 4
"""So many at once `-n auto` takes at most: more were never seen to leave each other alone."""
_PROCESSORS_EACH: Final = 2
"""On two quick processors two clusters get on; on two slow ones they starve each other, and rows are inconclusive."""
LeftOut = dict[str, dict[str, int]]
"""Topology -> why -> how many suite functions were deselected."""


def side_by_side(config: pytest.Config) -> bool:
    """This is the controller of several workers."""
    return _shares_out(config) and not config.option.collectonly and not is_worker(config)


def _shares_out(config: pytest.Config) -> bool:
    """What xdist needs to share anything out: a way to do it, and workers."""
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))


def is_worker(config: pytest.Config) -> bool:
    """This is one of several workers."""
    return hasattr(config, "workerinput")


def run_of(config: pytest.Config) -> Mapping[str, Any]:
    """Id and seed of the run that a worker is part of."""
    given: Mapping[str, Any] = config.workerinput[RUN]  # type: ignore[attr-defined]
    return given


def fitting(settings: Sequence[Settings]) -> int:
    """How many suites at a time `-n auto` stands for: one per two processors, as memory allows; 0: in this process.

    A stock cluster is alone: its brokers refuse what has waited 200 ms, which beside another cluster happens.
    """
    from harness.equip import MIN_MEMORY_BYTES, available_memory_bytes

    if settings[0].keep or settings[0].found is not None or any(s.topology.stock for s in settings):
        return 0
    fit = min(len(os.sched_getaffinity(0)) // _PROCESSORS_EACH, available_memory_bytes() // MIN_MEMORY_BYTES, MOST)
    return fit if fit > 1 else 0


def check(config: pytest.Config, *, keep: bool, existing: bool = False) -> None:
    """Raises UsageError for what cannot be done side by side."""
    dist = config.getoption("dist", "no")
    workers = config.getoption("numprocesses", None)
    if isinstance(workers, int) and workers < 0:
        raise UsageError(f"-n {workers} is no number of workers: write -n 2, or leave it out")
    if dist != "no" and not _shares_out(config):
        raise UsageError(f"--dist {dist} shares suites out to workers, and there are none: add -n 2, or leave it out")
    if dist == "each":
        raise UsageError("--dist each would run every suite in every worker: leave it out, -n alone shares them out")
    if existing and dist != "no":
        raise UsageError("--runtime existing has one cluster, and scenarios side by side would hurt each other: no -n")
    if keep and dist != "no":
        raise UsageError("--keep leaves the last scenario's cluster up, and with -n there is no last: leave one out")


class Controller:
    """The hooks of the process that shares the suites out: it files what its workers report."""

    def __init__(self, run: Session, filed: Callable[[Session], None]) -> None:
        self._run = run
        self._filed = filed
        self._outcomes: dict[str, Outcome] = {}
        self.left_out: LeftOut = {}
        self.stopped_by_failures = False
        """-x or --maxfail ended it, which xdist takes for an interruption."""

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tells what a user interrupts from what xdist interrupts: only the latter has words for it."""
        self.stopped_by_failures = str(excinfo.value).startswith("stopping after ")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells a worker which run it is part of."""
        node.workerinput[RUN] = {"id": self._run.run_id, "seed": self._run.seed}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker is done, or died; every one of them has left out the same."""
        del error
        self.left_out |= getattr(node, "workeroutput", {}).get(_LEFT_OUT, {})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Files what a suite function came to; until it says so itself, that it was broken off."""
        packed = getattr(report, _OUTCOME, None)
        if packed is None:
            return
        # From a child of ours, through a pipe of ours.
        topology, came_to = pickle.loads(packed)
        filed = self._outcomes.get(report.nodeid)
        if filed is None or report.when == "setup":  # what is run once more takes nothing back
            self._outcomes[report.nodeid] = came_to
            self._run.add(topology, came_to)
            return
        for field in fields(Outcome):
            setattr(filed, field.name, getattr(came_to, field.name))
        self._filed(self._run)


def tell(report: pytest.TestReport, topology: str, outcome: Outcome) -> None:
    """In a worker: sends the outcome with a report, of the set-up for what is to come and of the end for what came.

    A worker that dies in between has left the first: the function was broken off.
    """
    setattr(report, _OUTCOME, pickle.dumps((topology, outcome)))


def tell_left_out(config: pytest.Config, left_out: LeftOut) -> None:
    """In a worker, at its end: what it deselected."""
    config.workeroutput[_LEFT_OUT] = left_out  # type: ignore[attr-defined]


def tell_refusal(config: pytest.Config, why: str) -> None:
    """In a worker: it will run nothing of what it collected."""
    config.workeroutput[_REFUSAL] = why  # type: ignore[attr-defined]


def refusal_of(node: Any) -> str:
    """In the controller: why that worker ran nothing; empty if it does."""
    return str(getattr(node, "workeroutput", {}).get(_REFUSAL, ""))


def die_with_the_controller() -> None:
    """In a worker: ends this process at once when its parent is gone, as a pytest that is killed ends at once."""
    parent = os.pidfd_open(os.getppid())

    def watch() -> None:
        select.select([parent], [], [])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="controller-watch").start()
