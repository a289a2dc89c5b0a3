"""The pytest plugin: options, the `guarantee` marker, the `scenario` fixture, and how verdicts become outcomes.

Only this package imports pytest. Broken is a failure, inconclusive is an error also in the call phase,
known broken is an expected failure, and a row that holds although the catalogue expects it broken is a failure.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from harness.catalogue import Catalogue, load_catalogue
from harness.core.errors import HarnessError, UsageError
from harness.evidence import RunDir
from harness.options import add_options, check_environment, from_environment
from harness.outcome import summary_of_time
from harness.plugin import outcomes, selection, sidebyside
from harness.plugin.beginning import new_session, obtain
from harness.plugin.ending import end_as_by_hand
from harness.plugin.saying import sayer
from harness.prover import Prover
from harness.publish import publish, write_run
from harness.report.rows import EXIT_INCONCLUSIVE, exit_code
from harness.report.terminal import summary, use_colour
from harness.request import names_a_cluster, settings_from
from harness.session import Session

_WHOLE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
"""How a run ends that came to its end; any other one was broken off, by a user or by a bug of a plugin."""
guarantee = pytest.mark.guarantee
"""`@guarantee("id", ...)`: the documented guarantees that a suite function judges."""

SESSION = pytest.StashKey[Session]()
CATALOGUE = pytest.StashKey[Catalogue]()
DESELECTED = pytest.StashKey[sidebyside.LeftOut]()
CONTROLLER = pytest.StashKey[sidebyside.Controller]()
REFUSED = pytest.StashKey[str]()
"""Of several workers' controller: why they ran nothing."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the harness."""
    add_options(parser.getgroup("rmq-harness", "RocketMQ reliability harness"))


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """How many suites run at a time with `-n auto`; what is not ours is left to pytest-xdist."""
    try:
        return sidebyside.fitting(settings_from(_getter(config))) if names_a_cluster(_getter(config)) else None
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    """Reads every option once; anything wrong ends here, before a cluster is started."""
    config.addinivalue_line("markers", "guarantee(id, ...): the documented guarantees that a suite function judges")
    try:
        check_environment()
        if not names_a_cluster(_getter(config)):
            return
        settings = settings_from(_getter(config))
        sidebyside.check(config, keep=settings[0].keep, existing=settings[0].found is not None)
        catalogue = load_catalogue()
        for name in settings[0].guarantees:
            catalogue.get(name)
        selection.check_asked_for(catalogue, settings)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    words = ["pytest", *sys.argv[1:], *from_environment(_getter(config))]
    config.stash[CATALOGUE] = catalogue
    config.stash[SESSION] = new_session(config, catalogue, settings, words)
    config.stash[DESELECTED] = {}
    if sidebyside.side_by_side(config):
        config.stash[CONTROLLER] = sidebyside.Controller(config.stash[SESSION], write_run)
        config.pluginmanager.register(config.stash[CONTROLLER], "rmq-harness-controller")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The seed first, so that a run can be replayed even if nothing else is kept."""
    session = config.stash.get(SESSION, None)
    if session is None:
        return []
    first, every = next(iter(session.settings.values())), session.settings.values()
    clients = dict.fromkeys(each.client for each in every)
    return [
        f"rmq-harness: seed {session.seed}; run {session.run_id}",
        f"rmq-harness: RocketMQ {first.rocketmq}, Java {first.java}, client {', '.join(clients)}, "
        f"timers {first.timers}; topologies {', '.join(dict.fromkeys(each.topology.name for each in every))}",
        *(f"rmq-harness: no client {client}: {why}" for client, why in first.absent.items()),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance of each suite function per topology and repetition."""
    if "scenario" not in metafunc.fixturenames:
        return
    session = metafunc.config.stash.get(SESSION, None)
    if session is None:
        return  # refused once, below: here it would be repeated for each file, with a traceback
    metafunc.parametrize("scenario", selection.instances(session), indirect=True, ids=str, scope="function")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps exactly what the topologies promise and `--guarantee` asks for; the rest is deselected and counted."""
    try:
        _keep(config, items)
    except pytest.UsageError as error:
        items.clear()  # or pytest would go on to `pytest_collection_finish` with them
        if not sidebyside.is_worker(config):
            raise
        sidebyside.tell_refusal(config, str(error))  # raised in a worker it would end in a traceback of xdist's


def _keep(config: pytest.Config, items: list[pytest.Item]) -> None:
    session = config.stash.get(SESSION, None)
    if session is None:
        if any("scenario" in getattr(item, "fixturenames", ()) for item in items):
            raise pytest.UsageError("suites need --topology NAME (see `rmq-harness topologies`)")
        return
    kept, dropped = selection.select(config.stash[CATALOGUE], session, items, config.stash[DESELECTED])
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Says in one line what was left out and why."""
    return selection.told(config.stash.get(DESELECTED, {}))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Obtains everything before workers start that need it: the controller of several collects nothing itself."""
    run = session.config.stash.get(SESSION, None)
    if run is not None and not sidebyside.is_worker(session.config):
        session.config.add_cleanup(end_as_by_hand())
    if run is not None and CONTROLLER in session.config.stash:
        clusters = session.config.getoption("numprocesses", None) or 1
        obtain(run, session.config, [g for mine in run.promised.values() for g in mine], clusters=clusters)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Obtains release, JRE and clients before the first cluster; trouble ends the run with one message."""
    run = session.config.stash.get(SESSION, None)
    if run is None or session.config.option.collectonly or not any(selection.topology_of(i) for i in session.items):
        return
    judged = [
        g
        for i in session.items
        for g in run.promised.get(str(selection.topology_of(i)), ())
        if g.id in selection.marked(i)
    ]
    obtain(run, session.config, judged)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """What one worker refuses to run all refuse: it is told once."""
    del error
    if refusal := sidebyside.refusal_of(node):
        node.config.stash[REFUSED] = refusal


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> Generator[Prover]:
    """The prover of this suite function on this topology; its outcome is filed whatever happens."""
    session = request.config.stash[SESSION]
    topology = request.param.topology
    prover = outcomes.SuiteProver(
        outcomes.suite_function(request.node), session, session.settings[topology], sayer(request.config)
    )
    # Filed before it is known: an interruption publishes the run before it comes back here.
    session.add(topology, prover.outcome)
    yield prover
    if not sidebyside.is_worker(request.config):
        write_run(session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """An inconclusive call is an error, not a failure, in the terminal and in JUnit; verdicts need no traceback."""
    report = yield
    prover, topology = outcomes.prover_of(item), selection.topology_of(item)
    if prover is None and topology is not None and call.excinfo is not None:
        prover = outcomes.never_begun(item, item.config.stash.get(SESSION, None), topology)
    if prover is not None and call.excinfo is not None:
        outcomes.note(prover, call.excinfo.value)
    if prover is not None and topology and call.when != "call" and sidebyside.is_worker(item.config):
        sidebyside.tell(report, topology, prover.outcome)
    if call.excinfo is not None and topology is not None:
        outcomes.put_in_words(report, call.excinfo.value)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes the evidence of the run and sets the exit code that the rows call for."""
    run = session.config.stash.get(SESSION, None)
    if run is not None and run.equipment is not None and run.equipment.pool is not None:
        run.equipment.pool.drop()
    if REFUSED in session.config.stash:
        if run is not None and run.equipment is not None:
            RunDir.open(run.directory).discard()  # made for the workers, and none of them began anything
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
        return
    if run is None:
        return
    if sidebyside.is_worker(session.config):
        sidebyside.tell_left_out(session.config, session.config.stash.get(DESELECTED, {}))
        return
    if run.equipment is None:
        if _ran_nothing(run, session.config, exitstatus):
            session.exitstatus = EXIT_INCONCLUSIVE
        return
    if CONTROLLER in session.config.stash and session.config.stash[CONTROLLER].stopped_by_failures:
        exitstatus = pytest.ExitCode.TESTS_FAILED
    settings = next(iter(run.settings.values()))
    rows = run.rows()
    whole = exitstatus in _WHOLE
    code, _ = exit_code(rows, strict=settings.strict, allow_missing=settings.allow_missing)
    code = outcomes.graver(code, int(exitstatus), run)
    run.exit_code = code if whole else int(exitstatus)
    try:
        publish(run, rows, whole=whole)
    except HarnessError as error:
        sys.stderr.write(f"\nrmq-harness: {error}\n")
        code = code or error.exit_code
    if whole:
        session.exitstatus = code


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Prints the table of rows, the time spent waiting, and where the evidence is."""
    run = config.stash.get(SESSION, None)
    if REFUSED in config.stash:
        terminalreporter.write_line(f"ERROR: {config.stash[REFUSED]}", red=True)
        return
    if run is None or run.equipment is None:
        if _ran_nothing(run, config, exitstatus):
            terminalreporter.write_line(selection.nothing_ran(run, exitstatus))
        return
    settings = next(iter(run.settings.values()))
    terminalreporter.section("guarantees")
    if CONTROLLER in config.stash:
        terminalreporter.write("".join(f"{line}\n" for line in selection.told(config.stash[CONTROLLER].left_out)))
    terminalreporter.write_line(summary_of_time(run.outcomes))
    terminalreporter.write_line(f"evidence: {_relative(run.directory)}/report.html")
    text = summary(
        run.run(),
        run.rows(),
        strict=settings.strict,
        allow_missing=settings.allow_missing,
        colour=use_colour(is_a_tty=sys.stdout.isatty(), environment=os.environ),
        width=max(120, terminalreporter._tw.fullwidth),
    )
    terminalreporter.write_line(text.rstrip())
    if run.equipment.keeper is not None and run.equipment.keeper.left is not None:
        terminalreporter.section("kept cluster")
        terminalreporter.write_line(run.equipment.keeper.left.reach())


def _ran_nothing(run: Session | None, config: pytest.Config, exitstatus: int) -> TypeGuard[Session]:
    """A run came to its end, and no suite function was among what it ran, if it ran anything."""
    return run is not None and exitstatus in _WHOLE and not config.option.collectonly


def _getter(config: pytest.Config) -> Callable[[str], Any]:
    """Options by name; `--strict` is pytest's own and means ours too."""
    return lambda name: config.getini("strict") or None if name == "rmq_strict" else config.getoption(name)


def _relative(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
