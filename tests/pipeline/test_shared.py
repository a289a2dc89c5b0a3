"""Scenarios one after another on one cluster: who may, under which names, and what ends a cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import EvidenceError, SetupError, WireError
from harness.core.expectation import Gates
from harness.core.verdict import Verdict
from harness.judging import ScenarioResult
from harness.pool import Pool
from harness.prover import Broken, Prover, SuiteFunction
from harness.runner import run_scenario
from harness.scenario import ClusterNeeds, Scenario, at, forbid, metric, plan, rules
from harness.session import Session
from harness.settings import Settings
from harness.sharing import TENANTS
from harness.topology import load_topology
from harness.workloads.load import consume, produce
from harness.workloads.probes import AwaitDelivered, Elapse, SetQueues
from tests.pipeline.loopback import LoopbackRuntime, Machines

pytestmark = pytest.mark.real  # many scenarios in turn
QUIET = Gates(min_acked=1, min_acked_before_fault=0, in_flight_at_fault=False, faults_bite=False, faults_heal=False)
SENDS = produce(1, rate=200)


class House:
    """One pool, the machines that were opened for it, and scenarios run after one another."""

    def __init__(self, root: Path, topology: str = "1m") -> None:
        self.root = root
        self.topology = load_topology(topology)
        self.machines = Machines(self.topology, root)
        self.pool = Pool()
        self.equipment = replace(self.machines.equipment, pool=self.pool)
        self.settings = Settings(self.topology, rocketmq="4.9.7", client="remoting", cache=root / "cache")
        self.said: list[str] = []

    def run(self, name: str, *demands: Any, settings: Settings | None = None, **more: Any) -> ScenarioResult:
        parts = {"load": (SENDS,), "duration_s": 0.3, "rules": rules(*(demands or (forbid("lost"),)), gates=QUIET)}
        scenario = Scenario(name=name, **(parts | more))
        return run_scenario(
            scenario, settings or self.settings, self.equipment, self.root / "run" / name, self.said.append
        )

    @property
    def clusters(self) -> int:
        return len(self.machines.opened)

    @property
    def open(self) -> list[LoopbackRuntime]:
        return [runtime for runtime in self.machines.opened if not runtime.closed]


@pytest.fixture
def house(tmp_path: Path) -> Any:
    made = House(tmp_path)
    yield made
    made.pool.drop()
    assert not made.open, "nothing is left behind"


class TestWhatIsShared:
    def test_the_second_runs_on_the_first_ones_cluster_under_names_of_its_own(self, house: House) -> None:
        first, second = house.run("one"), house.run("two")
        assert house.clusters == 1
        assert (first.judgement.verdict, second.judgement.verdict) == (Verdict.HELD, Verdict.HELD)
        assert first.before == ()
        assert second.before == ("one",)
        assert second.bring_up == {}
        lines = (house.root / "run/two/history/p-1.jsonl").read_text()
        assert '"s2-topic-0"' in lines
        assert '"topic-0"' not in lines
        assert json.loads((house.root / "run/two/result.json").read_text())["before"] == ["one"]
        assert (house.root / "run/two/nodes").is_dir(), "its evidence is whole without the first one's"

    def test_a_group_has_another_name_wherever_it_is_named(self, house: House) -> None:
        demands = (forbid("undelivered", group="g"), metric("attempts", group="g", which="most") <= 1)
        parts = {
            "load": (SENDS, consume(1)),
            "steps": plan(at(0.2, AwaitDelivered(group="g", timeout_s=10), name="given")),
        }
        house.run("one", *demands, **parts)
        second = house.run("two", *demands, **parts)
        assert second.judgement.verdict is Verdict.HELD, second.judgement.reason
        assert house.clusters == 1
        assert {load.group for load in second.scenario.loads() if load.kind == "consume"} == {"s2-g"}
        assert second.scenario.rules.expectations[0].params == {"group": "s2-g"}
        assert Scenario.model_validate_json((house.root / "run/two/scenario.json").read_text()) == second.scenario

    def test_what_the_first_lost_is_not_the_second_ones_loss(self, house: House) -> None:
        """A message of the first that vanishes while the second runs is nothing that the second sent."""
        house.run("one")
        house.machines.last.broker().store.queue("topic-0", 0).entries.clear()
        assert house.run("two", forbid("lost"), forbid("phantom")).judgement.verdict is Verdict.HELD

    def test_a_planted_loss_in_the_second_is_found(self, house: House) -> None:
        house.run("one")
        house.machines.last.broker().misbehaviour.lose_every = 5
        second = house.run("two")
        assert second.before == ("one",)
        assert second.judgement.verdict is Verdict.BROKEN

    def test_so_many_and_no_more(self, house: House) -> None:
        for number in range(TENANTS + 1):
            house.run(f"n{number}")
        assert house.clusters == 2
        assert len(house.open) == 1


class TestWhatIsNot:
    def test_without_a_pool_each_has_its_own(self, house: House) -> None:
        house.equipment = replace(house.equipment, pool=None)
        house.run("one")
        house.run("two")
        assert house.clusters == 2

    @pytest.mark.parametrize(
        "more",
        [
            {"cluster": ClusterNeeds(broker_conf={"flushDiskType": "SYNC_FLUSH"})},
            {"cluster": ClusterNeeds(timers="documented")},
            {"cluster": ClusterNeeds(topics=2)},
            {"cluster": ClusterNeeds(queues=8)},
            {"load": (SENDS, consume(1, group="other"))},
            {"load": (SENDS, consume(1, fail_every=3))},
            {"steps": plan(at(0.1, SetQueues(queues=8), name="more"))},
        ],
        ids=["settings", "timers", "topics", "queues", "group", "refuses", "changes"],
    )
    def test_one_that_needs_something_else_has_its_own(self, house: House, more: dict[str, Any]) -> None:
        house.run("one")
        result = house.run("two", **more)
        assert result.before == ()
        assert house.clusters == 2
        assert house.machines.opened[0].closed, "it cost processor time for nobody"

    def test_other_options_are_another_cluster(self, house: House) -> None:
        house.run("one")
        house.run("two", settings=replace(house.settings, broker_conf={"flushDiskType": "SYNC_FLUSH"}))
        assert house.clusters == 2

    @pytest.mark.parametrize("left", ["config", "topic", "permission"])
    def test_what_was_left_changed_goes_to_nobody(self, house: House, left: str, monkeypatch: Any) -> None:
        look = Elapse.run

        def changing(self: Elapse, stage: Any) -> Any:
            broker = house.machines.last.broker()
            if left == "config":
                broker.config["flushDiskType"] = "SYNC_FLUSH"
            elif left == "topic":
                broker.create_topic("somebody-elses", 4)
            else:
                broker.topics["s3-topic-0"] = replace(broker.topics["s3-topic-0"], perm=4)
            return look(self, stage)

        monkeypatch.setattr(Elapse, "run", changing)
        house.run("one", steps=plan(at(0.1, Elapse(seconds=0.1), name="later")))
        assert not house.open
        assert any("its cluster ends with it: broker-a-0 has another" in text for text in house.said)

    def test_a_topic_of_the_products_own_is_no_change(self, house: House, monkeypatch: Any) -> None:
        look = Elapse.run

        def making(self: Elapse, stage: Any) -> Any:
            house.machines.last.broker().create_topic("RMQ_SYS_TRANS_HALF_TOPIC", 1)
            return look(self, stage)

        monkeypatch.setattr(Elapse, "run", making)
        house.run("one", steps=plan(at(0.1, Elapse(seconds=0.1), name="later")))
        assert len(house.open) == 1

    def test_a_sick_one_goes_to_nobody(self, house: House, monkeypatch: Any) -> None:
        monkeypatch.setattr("harness.pool.Standing.remains", lambda _self: ("broker-a-0 is not running",))
        house.run("one")
        assert not house.open

    def test_trouble_ends_the_cluster(self, house: House, monkeypatch: Any) -> None:
        def broken(*_: Any) -> Any:
            from harness.core.errors import ClientError

            raise ClientError("p-1 died")

        monkeypatch.setattr(Elapse, "run", broken)
        assert house.run("one", steps=plan(at(0.1, Elapse(seconds=0.1), name="later"))).trouble
        assert not house.open

    @pytest.mark.parametrize("where", ["harness.lodging.write_json", "harness.lodging.cluster_plan"])
    def test_what_goes_wrong_while_it_is_taken_ends_it(self, house: House, monkeypatch: Any, where: str) -> None:
        house.run("one")

        def full(*_: Any, **__: Any) -> Any:
            raise EvidenceError("no space left")

        monkeypatch.setattr(where, full)
        house.run("two")
        assert not house.open, "nobody knows of it any more"

    def test_one_that_fell_ill_between_two_is_replaced(self, house: House, monkeypatch: Any) -> None:
        monkeypatch.setattr("harness.runner.READY_TIMEOUT_S", 3)
        house.run("one")
        house.machines.last.broker().misbehaviour.answers[10] = (1, "broken")
        house.machines.last.broker().misbehaviour.answers[310] = (1, "broken")
        second = house.run("two")
        assert second.judgement.verdict is Verdict.HELD, second.trouble
        assert second.before == ()
        assert house.clusters == 2
        names = {load.group for load in second.scenario.loads() if load.kind == "consume"} | {"topic-0"}
        assert names == {"topic-0"}
        assert second.scenario.cluster.prefix == "", "on its own cluster it has the names of a first one again"


def test_what_did_not_come_out_as_it_must_hands_on_nothing(house: House, tmp_path: Path) -> None:
    session = Session(
        run_id="r",
        directory=tmp_path / "run",
        seed=1,
        command="pytest",
        settings={"1m": house.settings},
        promised={"1m": (load_catalogue().get("process-kill-loses-nothing"),)},
        equipment=house.equipment,
    )
    prover = Prover(SuiteFunction("bad", "", ("process-kill-loses-nothing",)), session, house.settings, print)
    with pytest.raises(Broken):
        prover(demand=[metric("acked") < 1], gates=QUIET, load=[SENDS], duration_s=0.3)
    assert house.clusters == 1
    assert not house.open


class TestTroubleBetweenTwo:
    """What goes wrong while a cluster is handed on hides nothing of what was recorded before."""

    @pytest.mark.parametrize("planted", [False, True])
    def test_the_scenario_is_judged_all_the_same(
        self, house: House, monkeypatch: pytest.MonkeyPatch, planted: bool
    ) -> None:
        def fails(_standing: object) -> None:
            raise WireError("no answer from broker-a-1 within 3 s")

        monkeypatch.setattr("harness.pool.Standing.remains", fails)
        if planted:
            house.machines.before_start = lambda runtime: setattr(
                runtime, "_misbehave", lambda r: setattr(r.broker().misbehaviour, "lose_every", 5)
            )
        result = house.run("one")
        assert result.judgement.verdict is (Verdict.BROKEN if planted else Verdict.HELD), result.judgement.reason
        assert (house.root / "run/one/judgement.json").is_file()
        assert not house.open, "the cluster that could not be looked at is ended"
        assert any("no answer from broker-a-1" in text for text in house.said)

    def test_a_cluster_that_cannot_be_ended_hides_no_loss(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        ends = LoopbackRuntime.close

        def fails(runtime: LoopbackRuntime) -> None:
            ends(runtime)
            raise SetupError("a mount is busy")

        monkeypatch.setattr(LoopbackRuntime, "close", fails)
        house.equipment = replace(house.equipment, pool=None)
        assert house.run("one").judgement.verdict is Verdict.HELD
        assert any("rmq-harness clean" in text for text in house.said)

    def test_what_an_ill_cluster_left_is_put_aside_as_a_whole(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("harness.runner.READY_TIMEOUT_S", 3)
        house.run("one")
        log = house.root / "run/one/nodes/broker-a-0/logs/broker.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("of the first cluster\n")
        for code in (10, 310):
            house.machines.last.broker().misbehaviour.answers[code] = (1, "broken")
        second = house.run("two")
        assert second.before == ()
        assert (house.root / "run/two/nodes-attempt-1/broker-a-0/logs/broker.log").is_file()
        assert not (house.root / "run/two/nodes/broker-a-0/logs/broker.log").exists()
