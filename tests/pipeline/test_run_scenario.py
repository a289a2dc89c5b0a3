"""`run_scenario` from bring-up to verdict over fake brokers: each misbehaviour changes the verdict as declared."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import runner
from harness.core.errors import CapabilityMissing, ClientError
from harness.core.expectation import Gates
from harness.core.verdict import Verdict
from harness.evidence import load_history
from harness.faults import CutPower, DestroyStore, Kill, Pause, Stop, master
from harness.judging import ControlResult, ScenarioResult, judge_directory
from harness.runner import run_scenario
from harness.runtime.base import DiskUsage
from harness.scenario import Control, Scenario, at, forbid, metric, observed, plan, rules, then
from harness.settings import Settings
from harness.topology import load_topology
from harness.waiting import wait_for
from harness.workloads.crew import Crew
from harness.workloads.load import consume, produce
from harness.workloads.probes import AwaitCount, AwaitDelivered, Elapse, SendDirect, StartLoad, StopLoad
from harness.workloads.stage import Stage
from tests.pipeline.loopback import (
    Machines,
    Misbehave,
    hang_after,
    no_machines,
    slave_misses,
    store_and_answer,
    switch,
)

QUIET = Gates(min_acked=100, min_acked_before_fault=0, in_flight_at_fault=False, faults_bite=False, faults_heal=False)
FAULTY = Gates(min_acked=50, min_acked_before_fault=10)
SENDS = produce(2, rate=400)
SHORT = produce(2, rate=400, timeout_ms=500)
SLOW = switch(delay_s=0.005)
"""Slow enough that sends are always in flight."""

Run = Callable[..., ScenarioResult]


@pytest.fixture
def machines(tmp_path: Path) -> Callable[..., Machines]:
    def make(misbehave: Misbehave | None = None, topology: str = "1m", version: str = "4.9.7") -> Machines:
        return Machines(load_topology(topology), tmp_path, misbehave, version)

    return make


@pytest.fixture
def run(tmp_path: Path, machines: Callable[..., Machines]) -> Run:
    def go(
        *demand: Any,
        misbehave: Misbehave | None = None,
        topology: str = "1m",
        gates: Gates = QUIET,
        on: Machines | None = None,
        **more: Any,
    ) -> ScenarioResult:
        used = on or machines(misbehave, topology)
        settings = Settings(load_topology(topology), rocketmq="4.9.7", client="remoting", cache=tmp_path / "cache")
        parts = {"load": (SENDS,), "duration_s": 1.0} | more
        scenario = Scenario(name="s", rules=rules(*demand, gates=gates), **parts)
        result = run_scenario(scenario, settings, used.equipment, tmp_path / "run" / "s", print)
        assert all(runtime.closed for runtime in used.opened), "every machine is given back, whatever happened"
        return result

    return go


def planted(result: ScenarioResult) -> dict[str, Verdict]:
    return {p.demand: p.observed for p in result.planted}


class TestWithoutMisbehaviour:
    def test_everything_holds_and_planted_defects_are_seen(self, run: Run, tmp_path: Path) -> None:
        result = run(
            *(forbid(a) for a in ("lost", "phantom", "duplicate", "undelivered", "redelivered")),
            load=(SENDS, consume(1)),
        )
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason
        assert set(planted(result).values()) == {Verdict.BROKEN}
        assert len(result.planted) == 6, "one for each demand, and one for what is always demanded"
        assert result.judgement.figures["acked"] >= 100
        stored = {path.name for path in (tmp_path / "run" / "s").iterdir()}
        assert stored >= {"scenario.json", "history", "history.parquet", "judgement.json", "result.json"}

    def test_the_stored_scenario_is_judged_again_to_the_same(self, run: Run, tmp_path: Path) -> None:
        result = run(forbid("lost"))
        stored = Scenario.model_validate_json((tmp_path / "run" / "s" / "scenario.json").read_text())
        assert stored == result.scenario
        again, _ = judge_directory(tmp_path / "run" / "s", stored.rules, "")
        assert (again.verdict, again.reason) == (result.judgement.verdict, result.judgement.reason)

    def test_replicas_agree(self, run: Run) -> None:
        result = run(forbid("diverged"), forbid("lost", replicas="slave"), topology="1m-1s-sync")
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason

    def test_too_little_load_proves_nothing(self, run: Run) -> None:
        result = run(forbid("lost"), gates=QUIET.model_copy(update={"min_acked": 5000}))
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "5,000" in result.judgement.reason

    def test_a_scenario_that_wants_a_fault_and_has_none_proves_nothing(self, run: Run) -> None:
        result = run(forbid("lost"), gates=FAULTY)
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "no fault was injected" in result.judgement.reason


@pytest.mark.parametrize(
    ("demand", "verdict"),
    [(metric("latency_max_ms") < 900, Verdict.INCONCLUSIVE), (forbid("lost"), Verdict.HELD)],
)
def test_a_client_that_stood_still_is_not_the_brokers_doing(
    run: Run, machines: Callable[..., Machines], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demand, verdict
) -> None:
    on = machines(SLOW)
    look = Elapse.run

    def meanwhile(self: Any, stage: Any) -> Any:
        pid = on.last._spawner._pids["p-1"]
        broker = on.last.broker()
        before = broker.sends
        broker.misbehaviour.delay_s = 1.0
        wait_for(lambda: broker.sends >= before + 2, what="a send of each producer in flight", timeout_s=5)
        os.kill(pid, signal.SIGSTOP)
        broker.misbehaviour.delay_s = 0.005
        try:
            return look(self, stage)
        finally:
            os.kill(pid, signal.SIGCONT)

    monkeypatch.setattr(Elapse, "run", meanwhile)
    result = run(demand, on=on, steps=plan(at(0.5, Elapse(seconds=2))), duration_s=4)
    assert result.judgement.verdict is verdict, result.judgement.reason
    ran = next(a for a in result.judgement.assumptions if a.name == "clients-ran")
    # From its last tick on, which may be a tenth of a second after the signal was sent.
    assert re.search(r"p-1 stood still for (1\.9|2)", ran.message), ran.message
    assert {p.observed for p in result.planted} <= {Verdict.BROKEN}


@pytest.mark.parametrize("kept", [pytest.param(0.0, marks=pytest.mark.real), 0.9])
@pytest.mark.parametrize("anomaly", ["lost", "phantom", "undelivered"])
@pytest.mark.parametrize("process", ["p-1", "c-1"])
def test_lost_evidence_is_no_verdict(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, anomaly: str, kept: float, process: str
) -> None:
    """A worker's file is removed, or loses its end, while the oracle reads: neither held nor broken."""
    read = Stage.read_back

    def meanwhile(self: Any, *args: Any) -> Any:
        path = tmp_path / "run" / "s" / "history" / f"{process}.jsonl"
        if kept:
            os.truncate(path, int(path.stat().st_size * kept))
        else:
            path.unlink()
        return read(self, *args)

    monkeypatch.setattr(Stage, "read_back", meanwhile)
    result = run(forbid(anomaly), load=(SENDS, consume(1)))
    assert result.trouble == ""
    assert result.judgement.verdict is Verdict.INCONCLUSIVE, result.judgement.reason
    assert process in result.judgement.reason


@pytest.mark.parametrize(
    ("misbehave", "forbidden", "topology"),
    [
        (switch(lose_every=50), "lost", "1m"),
        (switch(duplicate_every=50), "duplicate", "1m"),
        (slave_misses(every=50), "diverged", "1m-1s-sync"),
    ],
)
def test_a_misbehaving_broker_breaks_what_forbids_it(run: Run, misbehave, forbidden: str, topology: str) -> None:
    result = run(forbid(forbidden), misbehave=misbehave, topology=topology)
    assert result.judgement.verdict is Verdict.BROKEN, result.judgement.reason
    assert forbidden in result.judgement.reason
    assert result.trouble == ""
    assert result.planted == (), "a control of a broken run would say nothing"


@pytest.mark.parametrize("how", ["corrupt", "zero", "rot", "truncate", "lengthen", "swap_key"])
def test_altered_messages_are_forbidden_without_being_named_and_nothing_else_is_said_of_them(
    run: Run, how: str
) -> None:
    demands = (forbid("lost"), forbid("phantom"), forbid("duplicate"))
    result = run(*demands, misbehave=switch(**{f"{how}_every": 50}))
    assert result.judgement.verdict is Verdict.BROKEN, result.judgement.reason
    assert [check.met for check in result.judgement.checks] == [True, True, True, False]
    assert "altered of" in result.judgement.reason
    assert result.judgement.checks[-1].finding is not None
    assert result.judgement.checks[-1].finding.figures["reads"] > 0


def test_what_is_given_out_of_order_is_seen_where_order_is_demanded(run: Run) -> None:
    result = run(
        forbid("reordered-delivery", group="g"),
        misbehave=switch(reorder_every=50),
        load=(produce(1, rate=400),),
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=200)),
            then(StopLoad(name="p")),
            then(StartLoad(load=(consume(1),))),
            then(AwaitDelivered(timeout_s=20)),
        ),
    )
    assert result.judgement.verdict is Verdict.BROKEN, result.judgement.reason


class TestTolerated:
    """Detection is not policy: what is not forbidden changes nothing."""

    def test_duplicates_where_only_loss_is_forbidden(self, run: Run) -> None:
        result = run(forbid("lost"), forbid("phantom"), misbehave=switch(duplicate_every=50))
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason

    def test_a_cut_connection_makes_no_loss(self, run: Run) -> None:
        result = run(forbid("lost"), forbid("phantom"), misbehave=switch(disconnect_every=60))
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason

    def test_a_weaker_status_is_no_acknowledgement(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "STEADY_TIMEOUT_S", 1.0)
        result = run(forbid("lost"), misbehave=switch(answers={310: (10, "flush timed out")}))
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "ok=0" in result.trouble


class TestTrouble:
    def test_a_broker_that_hangs_makes_it_inconclusive(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "READY_TIMEOUT_S", 2.0)
        result = run(forbid("lost"), misbehave=hang_after(250), load=(SHORT,))
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "to be healthy" in result.trouble

    def test_a_load_that_never_gets_steady_is_tried_twice_and_is_the_infrastructures(
        self, run: Run, machines: Callable[..., Machines], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(runner, "STEADY_TIMEOUT_S", 1.0)
        on = machines(switch(hang=True))
        result = run(forbid("lost"), on=on, load=(produce(1, rate=100, timeout_ms=300),))
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert result.trouble.startswith("infrastructure: ")
        assert len(on.opened) == 2
        assert (tmp_path / "run" / "s" / "history-attempt-1").is_dir(), "the first attempt's evidence stays"

    def test_a_node_that_dies_at_start_is_named_with_its_last_words(
        self, run: Run, machines: Callable[..., Machines]
    ) -> None:
        on = machines()
        on.before_start = lambda runtime: runtime.dies.update({"broker-a-0": "java.lang.Error: no store"})
        result = run(forbid("lost"), on=on)
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert result.trouble.startswith("infrastructure: broker-a-0")
        assert "java.lang.Error: no store" in result.trouble

    def test_a_second_attempt_that_comes_up_counts_alone(
        self, run: Run, machines: Callable[..., Machines], tmp_path: Path
    ) -> None:
        on = machines()
        on.before_start = lambda r: r.dies.update({} if on.opened else {"broker-a-0": "port in use"})
        result = run(forbid("lost"), on=on)
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason
        assert len(on.opened) == 2

    @pytest.mark.parametrize("times", [1, 2])
    def test_clients_that_do_not_start_are_tried_twice(
        self, run: Run, machines: Callable[..., Machines], monkeypatch: pytest.MonkeyPatch, times: int
    ) -> None:
        """A nameserver that answers a starting client too late is not the guarantee's affair."""
        on, begin, failed = machines(), Crew.start, []

        def start(self: Any, *words: Any) -> Any:
            if len(failed) < times:
                failed.append(1)
                raise ClientError("client c-1: route of orders: no answer in 3 s")
            return begin(self, *words)

        monkeypatch.setattr(Crew, "start", start)
        result = run(forbid("lost"), on=on)
        assert len(on.opened) == 2
        if times == 1:
            assert result.judgement.verdict is Verdict.HELD, result.judgement.reason
        else:
            assert result.judgement.verdict is Verdict.INCONCLUSIVE
            assert result.trouble.startswith("infrastructure: client c-1")

    def test_no_machine_at_all(self, run: Run, machines: Callable[..., Machines]) -> None:
        on = machines()
        object.__setattr__(on.equipment, "open_runtime", no_machines)
        result = run(forbid("lost"), on=on)
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "no machine is to be had" in result.judgement.reason

    def test_a_missing_capability_is_said_before_anything_starts(
        self, run: Run, machines: Callable[..., Machines], tmp_path: Path
    ) -> None:
        on = machines()
        with pytest.raises(CapabilityMissing) as missing:
            run(forbid("lost"), on=on, steps=plan(at(0, CutPower(target=master()))))
        assert missing.value.capability == "power-cut"
        assert not on.opened
        assert not (tmp_path / "run").exists()

    def test_a_worker_that_dies_unasked_ends_the_run(self, run: Run, machines: Callable[..., Machines]) -> None:
        """The killer is a fault that names nobody it may kill: the crew must notice by itself."""
        on = machines(lambda runtime: None)
        result = run(
            forbid("lost"),
            on=on,
            load=(produce(1, rate=200), produce(1, rate=200, name="x", client="tests.pipeline.mortal:make")),
            duration_s=20,
        )
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "worker 'x-1' exited with code 3" in result.trouble
        assert "out of breath" in result.trouble

    @pytest.mark.parametrize("where", ["drain", "stop", "probe"])
    def test_a_consumer_that_dies_late_is_no_undelivered(
        self, run: Run, machines: Callable[..., Machines], monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        """Killed from outside where nobody waits for time to pass: before the drain, in it, under a probe."""
        on = machines()
        place = {"drain": (Stage, "undelivered"), "stop": (Crew, "stop"), "probe": (Stage, "count")}[where]
        real = getattr(*place)

        def then_dead(self: Any, *args: Any) -> Any:
            if where != "stop" or "c-1" in args[0]:
                on.last._spawner.kill("c-1")
            return real(self, *args)

        monkeypatch.setattr(*place, then_dead)
        steps = plan(then(AwaitCount(who="c", what="delivered", at_least=10**6, timeout_s=5), name="more"))
        result = run(
            forbid("undelivered"), on=on, load=(SENDS, consume(1)), steps=steps if where == "probe" else (),
            drain_s=5,
        )  # fmt: skip
        assert result.judgement.verdict is Verdict.INCONCLUSIVE, result.judgement.reason
        assert "worker 'c-1' killed by SIGKILL" in result.trouble

    def test_a_backlog_is_recorded(self, run: Run, tmp_path: Path) -> None:
        run(forbid("undelivered"), load=(SENDS, consume(1)))
        seen = load_history(tmp_path / "run" / "s").observed("drain.g")
        assert (seen["all"], seen["missing"], seen["progressing"]) == (True, 0, False)

    def test_a_bug_in_a_step_is_no_verdict_and_leaves_nothing_running(
        self, run: Run, machines: Callable[..., Machines], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def bug(*_: Any) -> None:
            raise ZeroDivisionError("a bug of ours")

        monkeypatch.setattr(Elapse, "run", bug)
        on = machines()
        with pytest.raises(ZeroDivisionError):
            run(forbid("lost"), on=on, steps=plan(then(Elapse(seconds=1))))
        assert on.last.closed
        assert all(not on.last.state(name).alive for name in on.last._workers)


class TestFaults:
    def test_a_kill_bites_heals_and_costs_what_the_history_says(self, run: Run, tmp_path: Path) -> None:
        result = run(
            forbid("lost"),
            forbid("phantom"),
            metric("unacknowledged_in", window="kill") > 0,
            metric("ok_in", window="kill").equals(0),
            metric("ok_in", window="kill", since="recovered", until="end") > 0,
            gates=FAULTY,
            misbehave=SLOW,
            load=(SHORT,),
            steps=plan(at(1, Kill(target=master()), until=2)),
            duration_s=3,
        )
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason
        (window,) = load_history(tmp_path / "run" / "s").windows
        assert (window.fault, window.targets, window.bit, window.recovered) == ("kill", ("broker-a-0",), True, True)

    def test_what_a_kill_takes_is_lost(self, run: Run, machines: Callable[..., Machines]) -> None:
        """The store forgets a tail at the kill, as one that acknowledges before it writes would."""
        on = machines(SLOW)

        def forget(runtime: Any) -> None:
            signal_ = runtime.signal

            def lossy(node: str, signum: int) -> None:
                signal_(node, signum)
                if node == "broker-a-0":
                    runtime.broker().lose_tail("topic-0", 3)

            runtime.signal = lossy

        on.before_start = forget
        result = run(
            forbid("lost"), on=on, gates=FAULTY,
            misbehave=SLOW,
            load=(SHORT,),
            steps=plan(at(1, Kill(target=master()), until=2)),
            duration_s=3,
        )  # fmt: skip
        assert result.judgement.verdict is Verdict.BROKEN, result.judgement.reason
        assert result.judgement.figures["lost"] > 0

    def test_a_fault_that_does_not_bite_is_no_verdict(
        self, run: Run, machines: Callable[..., Machines], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("harness.faults.base.BITE_TIMEOUT_S", 0.3)
        on = machines()

        def deaf(runtime: Any) -> None:
            signal_ = runtime.signal
            runtime.signal = lambda node, signum: None if node == "broker-a-0" else signal_(node, signum)

        on.before_start = deaf
        result = run(forbid("lost"), on=on, gates=FAULTY, steps=plan(at(1, Kill(target=master()))), duration_s=2)
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "did not bite" in result.trouble

    def test_a_pause_is_healed_at_the_end_though_no_step_says_so(self, run: Run) -> None:
        result = run(
            forbid("lost"), gates=FAULTY, misbehave=SLOW,
            load=(SHORT,),
            steps=plan(at(1, Pause(target=master()))),
            duration_s=1.5,
        )  # fmt: skip
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason


class TestReading:
    @pytest.fixture
    def dies_unseen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The slave dies after the cluster was seen to be whole, just before the oracle reads it."""
        really = runner._Run._read_everything

        def dying(run: Any, stage: Any, injector: Any) -> None:
            stage.cluster.kill_node("broker-a-1")
            really(run, stage, injector)

        monkeypatch.setattr(runner._Run, "_read_everything", dying)

    @pytest.mark.usefixtures("dies_unseen")
    @pytest.mark.parametrize("demand", [forbid("lost"), forbid("diverged"), forbid("lost", replicas="slave")], ids=str)
    def test_a_node_that_was_to_be_read_and_was_not_leaves_it_open(self, run: Run, demand: Any, tmp_path: Path) -> None:
        result = run(demand, topology="1m-1s-sync")
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "not running: killed by SIGKILL" in result.judgement.reason
        seen = load_history(tmp_path / "run" / "s").observed("oracle.final")
        assert (seen["skipped"], seen["taken"]) == ({"broker-a-1": "not running: killed by SIGKILL"}, [])

    def test_what_a_lasting_fault_took_on_purpose_is_not_to_be_read(self, run: Run, tmp_path: Path) -> None:
        kill = Kill(target="slave/0", lasting=True)
        result = run(forbid("lost"), topology="1m-1s-sync", steps=plan(at(0.8, kill)))
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason
        seen = load_history(tmp_path / "run" / "s").observed("oracle.final")
        assert (seen["skipped"], seen["taken"]) == ({}, ["broker-a-1"])

    def test_of_an_index_that_is_behind_nothing_is_concluded(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is in the log and not in the index is missing to the reader as if it had been lost."""
        monkeypatch.setattr("harness.cluster.oracle.DISPATCH_TIMEOUT_S", 0.2)
        result = run(forbid("lost"), misbehave=switch(lose_every=50, dispatch_behind="4096"))
        assert result.judgement.verdict is Verdict.INCONCLUSIVE
        assert "4,096 bytes" in result.judgement.reason


class TestRestart:
    ROOM = DiskUsage(1 << 30, 10 << 30)

    @pytest.mark.parametrize(
        ("times", "usage", "words", "verdict"),
        [
            (2, ROOM, "EVIL not opened", Verdict.BROKEN),
            (1, ROOM, "EVIL not opened", Verdict.HELD),
            (2, DiskUsage(19 << 30, 1 << 30), "EVIL not opened", Verdict.INCONCLUSIVE),
            (2, DiskUsage(1 << 20, 10 << 20), "EVIL not opened", Verdict.INCONCLUSIVE),
            (2, ROOM, "java.lang.OutOfMemoryError: heap", Verdict.INCONCLUSIVE),
            (2, ROOM, "Could not reserve enough space for object heap", Verdict.INCONCLUSIVE),
        ],
    )
    @pytest.mark.parametrize("fault", [Kill, pytest.param(Stop, marks=pytest.mark.real)])
    def test_a_broker_that_exits_when_it_is_started_again(
        self, run: Run, machines: Callable[..., Machines], tmp_path: Path, fault, times, usage, words, verdict
    ) -> None:
        on = machines(SLOW)

        def dies(runtime: Any) -> None:
            start, left = runtime.start, [times]
            runtime.disk_usage = lambda node: usage

            def dying(node: str, process: Any) -> int:
                again = node == "broker-a-0" and node in runtime.states
                runtime.dies = {node: words} if again and left[0] else {}
                left[0] -= bool(runtime.dies)
                return start(node, process)

            runtime.start = dying

        on.before_start = dies
        result = run(
            forbid("lost"), on=on, gates=FAULTY, load=(SHORT,), duration_s=3,
            steps=plan(at(1, fault(target=master()), until=2)),
        )  # fmt: skip
        assert result.judgement.verdict is verdict, result.judgement.reason
        seen = load_history(tmp_path / "run" / "s").observed("restart-failed.broker-a-0")
        assert (seen["returned"], len(seen["exits"])) == (times < 2, times)
        assert seen["exits"][0]["free_memory_bytes"] > 0
        if verdict is Verdict.BROKEN:
            assert "broker-a-0 does not come back" in result.judgement.reason
            assert words in result.judgement.reason
            assert not ControlResult(Control(scenario=result.scenario), result).as_expected

    def test_a_store_that_was_destroyed_excuses_it(self) -> None:
        assert not DestroyStore.returns
        assert all(f.returns for f in (Kill, Stop, CutPower))


class TestSteps:
    def test_probes_record_what_they_saw(self, run: Run, tmp_path: Path) -> None:
        result = run(
            forbid("lost"),
            observed("direct.accepted").equals(20),
            observed("more.reached").equals(1),
            observed("all-given.all").equals(1),
            steps=plan(
                then(SendDirect(target=master(), count=20), name="direct"),
                then(StartLoad(load=(consume(1),))),
                then(AwaitCount(who="c", what="delivered", at_least=50, timeout_s=20), name="more"),
                then(AwaitDelivered(timeout_s=20), name="all-given"),
            ),
        )
        assert result.judgement.verdict is Verdict.HELD, result.judgement.reason
        history = load_history(tmp_path / "run" / "s")
        assert history.observed("direct.codes") == {"0": 20}
        assert [step.name for step in history.steps] == ["direct", "start-load", "more", "all-given"]

    def test_an_observation_that_is_not_as_demanded_breaks(self, run: Run) -> None:
        result = run(
            observed("direct.accepted").equals(6),
            steps=plan(then(SendDirect(target=master(), count=5), name="direct")),
        )
        assert result.judgement.verdict is Verdict.BROKEN
        assert "direct.accepted" in result.judgement.reason

    @pytest.mark.parametrize(("code", "verdict"), [(1, Verdict.INCONCLUSIVE), (14, Verdict.BROKEN)])
    def test_a_direct_send_is_weighed_as_any_other(self, run: Run, code: int, verdict: Verdict) -> None:
        """A DLedger leader without its majority answers SYSTEM_ERROR to what it has appended: it failed nothing."""
        result = run(
            forbid("stored-though-failed"),
            misbehave=store_and_answer(code, to="probe-"),
            steps=plan(then(SendDirect(target=master(), count=5), name="direct")),
        )
        assert result.judgement.verdict is verdict, result.judgement.reason

    def test_the_time_is_accounted_for(self, run: Run, tmp_path: Path) -> None:
        run(forbid("lost"), steps=plan(then(Elapse(seconds=0.5))), duration_s=0.5)
        spent = json.loads((tmp_path / "run" / "s" / "result.json").read_text())["spent_s"]
        assert 0.4 < spent["waiting"] < 3
        assert set(spent) >= {"bring-up", "load", "draining", "oracle", "judging"}
