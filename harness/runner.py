"""One scenario, from bring-up to verdict.

1. Store the scenario, 2. obtain its cluster (see `lodging`), 3. start the load and wait until it is steady, 4. run the
steps, 5. stop the producers, heal, wait until the cluster is whole, 6. wait for the deliveries, stop the consumers,
7. let the oracle read everything back, 8. let go of the cluster, 9. judge what was recorded, and judge the planted
controls.

Trouble before the load is steady is the machine's or ours, and is tried once more on a fresh cluster; what comes after
is never tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from harness.clients.ticks import Ticker
from harness.cluster.watched import watch_processors
from harness.core.errors import CapabilityMissing, HarnessError, UsageError, WaitTimeout
from harness.core.names import ACTED
from harness.evidence import Recorder, write_json
from harness.faults import Injector
from harness.faults.process import ProcessFault, ended_on_purpose
from harness.heed import unheeded
from harness.judging import ScenarioResult, judge_directory, result_json
from harness.lodging import Equipment, Lodging
from harness.planning import deviations_of, groups_of
from harness.runtime.base import REACH
from harness.runtime.pulse import DiskPulse
from harness.scenario import Heal, Inject, Look, Scenario, Step
from harness.settings import Settings
from harness.waiting import pause_s, wait_for
from harness.workloads.backlog import DRAIN, Backlog
from harness.workloads.crew import Crew
from harness.workloads.load import Produce
from harness.workloads.stage import Stage

BRING_UP_ATTEMPTS = 2
STEADY_TIMEOUT_S = 90.0
READY_TIMEOUT_S = 90.0
Say = Callable[[str], None]


class Timesheet:
    """Seconds by what they were spent on: bring-up, load, waiting (for the product's own timers), oracle, judging."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}

    @contextmanager
    def spend(self, what: str) -> Iterator[None]:
        """Counts the block's wall time under `what`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent_s[what] = self.spent_s.get(what, 0.0) + time.monotonic() - began


def check_capabilities(scenario: Scenario, equipment: Equipment) -> None:
    """Raises CapabilityMissing for the first thing, by name, that the scenario needs and the runtime cannot do."""
    for capability in sorted(scenario.needs() | scenario.reach()):
        missing = equipment.capabilities.get(
            capability, None if capability in REACH else "the runtime does not know it"
        )
        if missing is not None:
            raise CapabilityMissing(capability, missing)


def run_scenario(
    scenario: Scenario, settings: Settings, equipment: Equipment, directory: Path, say: Say
) -> ScenarioResult:
    """Runs it and judges it. Raises CapabilityMissing before anything is started; other trouble is in the result."""
    check_capabilities(scenario, equipment)
    directory.mkdir(parents=True)
    sheet = Timesheet()
    run = _Run(scenario, settings, equipment, directory, say, sheet)
    trouble = run.to_the_end()
    if settings.found is not None:
        trouble = settings.found.nameless(trouble)
    # Where nothing came up nothing was written: an empty history, and not one that was lost.
    (directory / "history").mkdir(exist_ok=True)
    with sheet.spend("judging"):
        judgement, planted = judge_directory(directory, run.scenario.rules, trouble)
    result = ScenarioResult(
        run.scenario, directory, judgement, planted, trouble, sheet.spent_s, run.deviations, *run.lodged()
    )
    write_json(directory / "judgement.json", asdict(judgement))
    write_json(directory / "result.json", result_json(result))
    return result


class _Run:
    """The moving parts of one scenario; `to_the_end` raises no HarnessError but UsageError, and always tears down."""

    def __init__(
        self,
        scenario: Scenario,
        settings: Settings,
        equipment: Equipment,
        directory: Path,
        say: Say,
        sheet: Timesheet,
    ) -> None:
        self.scenario = scenario
        self.settings = settings
        self.equipment = equipment
        self.directory = directory
        self.say = say
        self.sheet = sheet
        self.deviations: tuple[tuple[str, str, str, str], ...] = ()
        self._lodging = Lodging(scenario, settings, equipment, directory, say)

    def lodged(self) -> tuple[Mapping[str, float], tuple[str, ...]]:
        """What the bring-up took, if there was one, and the scenarios before this one on its cluster."""
        return self._lodging.took, self._lodging.before

    def to_the_end(self) -> str:
        """Runs everything. Returns the trouble, or an empty string."""
        for attempt in range(1, BRING_UP_ATTEMPTS + 1):
            with ExitStack() as stack:
                try:
                    stage, injector = self._set_up(stack)
                except UsageError:
                    raise
                except HarnessError as error:
                    failure = str(error)
                else:
                    return self._played(stage, injector)
            if attempt == BRING_UP_ATTEMPTS:
                return f"infrastructure: {failure}"
            self.say(f"bring-up failed, trying once more on a fresh cluster: {failure}")
            # Only now, for the cluster that is gone leaves its logs here as it ends.
            self._put_aside(attempt)
        raise AssertionError("unreachable: the last attempt returns")

    def _played(self, stage: Stage, injector: Injector) -> str:
        """Acts, and undoes every fault whatever happens. Returns the trouble, or an empty string."""
        try:
            self._act(stage, injector)
            # Also of nodes that have another release now.
            self.deviations = tuple(sorted({*self.deviations, *deviations_of(stage.cluster)}))
        except HarnessError as error:
            self.say(f"stopped: {error}")
            return str(error)
        finally:
            errors = injector.heal_all()
            for text in errors:
                self.say(text)
        self._lodging.may_be_shared = not errors
        return ""

    def _put_aside(self, attempt: int) -> None:
        """Keeps what a failed bring-up left, out of the way of the history that will be judged."""
        for name in ("history", "nodes"):
            left = self.directory / name
            if left.exists():
                left.rename(self.directory / f"{name}-attempt-{attempt}")

    def _set_up(self, stack: ExitStack) -> tuple[Stage, Injector]:
        with self.sheet.spend("bring-up"):
            standing = self._lodging.obtain()
            stack.push(partial(self._lodging.let_go, standing))
            self.scenario, cluster = self._lodging.scenario, standing.cluster
            self.deviations = deviations_of(cluster)
            recorder = stack.enter_context(Recorder(self.directory / "history"))
            timers = cluster.plan.timers
            kit = self.equipment.kit_of(self.settings.client)
            crew = Crew(cluster, kit, timers, self.directory / "history", recorder.event)
            stack.callback(crew.close)
            stack.callback(Ticker(recorder.stalled).close)
            stack.callback(DiskPulse(standing.place, recorder.disk_stalled).close)
            stack.callback(watch_processors(cluster, recorder).close)
            stage = Stage(cluster, crew, recorder, self.say)
            cluster.wait_healthy(READY_TIMEOUT_S)
            stage.observe("healthy.before", True)
            if wrong := unheeded(cluster, self.settings.broker_conf):
                raise UsageError("; ".join(wrong))
            names = crew.start(self.scenario.load, stage.topics)
            crew.await_ready(names, READY_TIMEOUT_S)
            crew.go(names)
            self._await_steady(stage)
        return stage, Injector(cluster, stage.fault, stage.observe)

    def _await_steady(self, stage: Stage) -> None:
        """Every producer of the initial load has acknowledged sends: the clock of the schedule starts here."""
        loads = [load for load in self.scenario.load if isinstance(load, Produce) and load.mode != "oneway"]
        for name in (name for load in loads for name in stage.crew.named(load.name)):
            stage.crew.await_first_ok(name, STEADY_TIMEOUT_S)

    def _act(self, stage: Stage, injector: Injector) -> None:
        with self.sheet.spend("load"):
            began_ns = stage.now_ns()
            for step in self.scenario.steps:
                if step.at_s is not None:
                    stage.wait(step.at_s - (stage.now_ns() - began_ns) / 1e9, pause_s)
                stage.wait(step.after_s, pause_s)
                self._do(step, stage, injector)
            stage.recorder.event(ACTED, self._acted())
            stage.wait(self.scenario.duration_s - (stage.now_ns() - began_ns) / 1e9, pause_s)
            stage.crew.stop([n for n in stage.crew.names() if stage.crew.is_producer(n)])
        self._settle(stage, injector)
        with self.sheet.spend("oracle"):
            self._read_everything(stage, injector)
        injector.refuse_undone()
        stage.cluster.refuse_disturbed()
        stage.cluster.links.refuse_mute(_hit(stage, injector))

    def _acted(self) -> dict[str, list[str]]:
        """What every step leaves in the history, for the judge to know whether something of it is missing."""
        steps = self.scenario.steps
        return {
            "faults": [s.name for s in steps if isinstance(s.act, Inject)],
            "looks": [s.name for s in steps if isinstance(s.act, Look)],
        }

    def _do(self, step: Step, stage: Stage, injector: Injector) -> None:
        stage.crew.check_alive()
        match step.act:
            case Inject(fault=fault):
                if isinstance(fault, ProcessFault):
                    stage.crew.expect_death(set(fault.targets(stage.cluster)) & set(stage.crew.names()))
                injector.inject(step.name, fault)
            case Heal(name=name):
                injector.heal(name)
            case Look(probe=probe):
                self.say(f"{step.name} ...")
                stage.recorder.step_begin(step.name)
                with self.sheet.spend("waiting" if probe.waits_for_product() else "looking"):
                    value = probe.run(stage)
                stage.recorder.step_end(step.name)
                stage.observe(step.name, value)
                self.say(f"{step.name}: {_short(value)}")

    def _settle(self, stage: Stage, injector: Injector) -> None:
        """Heals what is still in force and not meant to last, and waits for health and deliveries."""
        lasting = {s.name for s in self.scenario.steps if isinstance(s.act, Inject) and s.act.fault.lasting}
        for name in injector.active:
            if name not in lasting:
                injector.heal(name)
        injector.refuse_undone()
        with self.sheet.spend("draining"):
            if lasting:
                stage.observe("healthy.after", self._untouched_run(stage, injector))
            else:
                stage.cluster.wait_healthy(READY_TIMEOUT_S)
                stage.observe("healthy.after", True)
            if self.scenario.await_deliveries:
                for group in groups_of(self.scenario):
                    self._await_deliveries(stage, group)
            stage.crew.stop(stage.crew.names())

    def _untouched_run(self, stage: Stage, injector: Injector) -> bool:
        """What a lasting fault did not hit runs: the whole cluster's health is not to be had any more."""
        hit = _hit(stage, injector)
        nodes = (*stage.cluster.nodes(), *stage.cluster.links.nodes)
        return all(stage.cluster.runtime.state(node).kind == "running" for node in nodes if node not in hit)

    def _await_deliveries(self, stage: Stage, group: str) -> None:
        """Bounded: what is still missing then is for the finders to name, not for the runner to hide.

        Whether it was still getting less is recorded: a backlog is not yet a message that never comes.
        """
        self.say(f"waiting until group {group} was given everything")
        backlog = Backlog(self.scenario.drain_s)
        try:
            wait_for(
                lambda: backlog.saw(stage.undelivered(group, None)) == 0,
                what=f"every acknowledged message at group {group}",
                timeout_s=self.scenario.drain_s,
                poll_s=0.5,
            )
        except WaitTimeout as error:
            self.say(str(error))
        stage.observe(f"{DRAIN}{group}", backlog.seen())

    def _read_everything(self, stage: Stage, injector: Injector) -> None:
        """Reads every node that the scenario means to read; one that cannot be read leaves its drains incomplete."""
        cluster = stage.cluster
        self._open_slaves(stage)
        wanted = {
            "all": list(cluster.brokers()),
            "masters": list(cluster.masters()),
            "slaves": list(cluster.slaves()),
        }[self.scenario.read_roles]
        self.say("the oracle reads every queue")
        taken = ended_on_purpose(injector.in_force, cluster)
        closed = self._closed_slaves()
        seen = stage.read_back("final", tuple(node for node in wanted if node not in taken and node not in closed))
        if closed:
            seen["skipped"] = {**seen["skipped"], **{node: why for node, why in closed.items() if node in wanted}}
        odd = [*seen["incomplete"], *(f"{node}: {why}" for node, why in seen["still"].items())]
        for text in odd[:4]:
            self.say(f"the oracle ({len(odd)} remarks): {_short(text)}")
        stage.observe("oracle.final", {**seen, "taken": [node for node in wanted if node in taken]})

    def _closed_slaves(self) -> Mapping[str, str]:
        """On a cluster of others, the slaves that cannot be read as it is configured, each with the reason."""
        return self.settings.found.closed if self.settings.found is not None else {}

    def _open_slaves(self, stage: Stage) -> None:
        """Lets the oracle read 5.x slaves that serve nobody as configured. Nobody else is there any more to be served.

        Without it a slave that refuses reads could prove neither loss nor survival.
        """
        if self.settings.found is not None:
            return  # not ours to set
        opened = stage.oracle.open_slaves()
        if opened:
            self.say(f"slaveReadEnable is set on {', '.join(opened)} for the oracle, after the load")
            stage.observe("oracle.slaves-opened", list(opened))


def _hit(stage: Stage, injector: Injector) -> set[str]:
    """The nodes of the faults that are in force now."""
    return {node for fault in injector.in_force for node in fault.targets(stage.cluster)}


def _short(value: object, limit: int = 160) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
