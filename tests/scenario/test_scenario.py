"""A scenario is data: its steps have an order, its names are unique, and it is the same when read back."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from harness.core.errors import UsageError
from harness.core.expectation import Forbid, Gates, Require
from harness.faults import AnyFault, CutPower, FillDisk, Kill, Partition, Pause, Stop, master
from harness.planning import cluster_plan, varied
from harness.scenario import (
    ClusterNeeds,
    Scenario,
    Step,
    at,
    forbid,
    heal,
    metric,
    observed,
    outage,
    plan,
    rules,
    then,
)
from harness.settings import Settings
from harness.topology import load_topology
from harness.workloads.load import consume, produce
from harness.workloads.probes import AnyProbe, AwaitDelivered, Elapse, Snapshot, StartLoad, Watch


def kinds(union: Any) -> list[type[Any]]:
    return list(get_args(get_args(union)[0]))


VALUES: dict[str, Any] = {
    "target": "master/0", "sources": "master/0", "sinks": "slave/0", "ratio": 0.9, "phase": "x", "present": True,
    "since": "kill", "first": "a", "second": "b", "seconds": 1.5, "load": (produce(), consume()), "name": "p",
    "who": "p", "what": "ok", "codes": (0, 14), "files": 2, "age_h": 80.0, "before": "a", "aged": "b", "after": "c",
    "link": "ha", "latency_ms": 200, "kb_per_s": 64, "delay_ms": 500, "limit_bytes": 1000,
    "delay_s": 1.0, "conf": {"brokerId": "5"}, "words": ("abortFile",),
    "to": "beyond",
    "queues": 9, "broker": 1, "topics": (0,), "watches": {"a": Watch(target="master/0", present=True, since="kill")},
}  # fmt: skip


def example(kind: type[Any]) -> Any:
    """One of each, from the fields that it insists on; a new field must be given a value above."""
    wanted = {name: field for name, field in kind.model_fields.items() if field.is_required()}
    return kind(**{name: "a" if field.annotation is str else VALUES[name] for name, field in wanted.items()})


@pytest.mark.parametrize("kind", [*kinds(AnyFault), *kinds(AnyProbe)], ids=lambda kind: kind.__name__)
def test_every_fault_and_probe_survives_its_being_stored(kind: type[Any]) -> None:
    scenario = Scenario(
        name="s",
        claim="says so",
        cluster=ClusterNeeds(broker_conf={"a": "b"}, jvm_opts=("-Xa",), disk_bytes=1 << 30),
        load=(produce(2, rate=None), consume(2, listener="orderly")),
        steps=plan(at(3, example(kind)), then(example(kind), name="again")),
        rules=rules(forbid("lost", phase="x"), metric("rto_max_s", window="kill") < 5, gates=Gates(min_acked=7)),
    )
    stored = json.loads(json.dumps(scenario.model_dump(mode="json")))
    back = Scenario.model_validate(stored)
    assert back == scenario
    act = back.steps[0].act
    assert type(getattr(act, "fault", None) or getattr(act, "probe", None)) is kind


@pytest.mark.parametrize("topic", [-1, 1])
@pytest.mark.parametrize("later", [False, True])
def test_a_load_on_a_topic_that_there_is_not_is_refused_before_a_cluster_is_started(topic: int, later: bool) -> None:
    load = (produce(2, name="p", topic=topic),)
    steps = plan(then(StartLoad(load=load))) if later else ()
    with pytest.raises(UsageError, match=f"load 'p' of scenario 's' wants topic {topic}, there are 1, counted from 0"):
        Scenario(name="s", load=() if later else load, steps=steps)


def test_a_wait_for_a_group_that_nobody_consumes_in_is_refused() -> None:
    wait = plan(then(AwaitDelivered(group="g"), name="all"))
    with pytest.raises(UsageError, match=r"step 'all' of scenario 's' waits for group 'g', .*: name one of readers"):
        Scenario(name="s", load=(produce(), consume(group="readers")), steps=wait)
    Scenario(name="s", steps=plan(then(StartLoad(load=(consume(group="g"),))), wait))


def test_a_load_on_the_last_topic_is_taken() -> None:
    assert Scenario(name="s", cluster=ClusterNeeds(topics=2), load=(consume(topic=1),)).loads()[0].topic == 1


def test_an_unknown_key_of_a_stored_scenario_is_refused() -> None:
    stored = Scenario(name="s", steps=plan(at(1, Kill(target=master())))).model_dump(mode="json")
    stored["steps"][0]["act"]["fault"]["softly"] = True
    with pytest.raises(ValidationError, match="softly"):
        Scenario.model_validate(stored)


def test_every_fault_and_probe_has_a_kind_of_its_own() -> None:
    for union in (AnyFault, AnyProbe):
        names = [kind.model_fields["kind"].default for kind in kinds(union)]
        assert len(set(names)) == len(names)


class TestPlan:
    def names(self, *parts: Any) -> list[str]:
        return [step.name for step in plan(*parts)]

    def test_timed_steps_go_by_their_time(self) -> None:
        assert self.names(
            at(20, Pause(target="slave/0")), at(10, Kill(target=master()), until=30), at(5, Snapshot())
        ) == ["snapshot", "kill", "pause", "heal-kill"]

    def test_untimed_steps_stay_behind_the_one_they_were_written_after(self) -> None:
        order = self.names(
            at(20, Kill(target=master())), then(Elapse(seconds=1), name="after-kill"), then(Snapshot(), name="then"),
            at(5, Snapshot(), name="early"), then(Elapse(seconds=1), name="after-early"),
        )  # fmt: skip
        assert order == ["early", "after-early", "kill", "after-kill", "then"]

    def test_equal_times_keep_the_order_of_writing(self) -> None:
        assert self.names(at(5, Snapshot(), name="b"), at(5, Snapshot(), name="a")) == ["b", "a"]

    def test_an_untimed_first_step_comes_first(self) -> None:
        assert self.names(then(Snapshot()), at(0.5, Elapse(seconds=1))) == ["snapshot", "elapse"]

    def test_a_name_twice_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"steps \['snapshot'\] occur twice"):
            plan(then(Snapshot()), then(Snapshot()))

    def test_healing_by_hand(self) -> None:
        steps = plan(at(1, Kill(target=master()), name="x"), heal("x", at_s=4))
        assert [(s.name, s.at_s) for s in steps] == [("x", 1), ("heal-x", 4)]

    def test_an_outage_follows_what_was_seen_and_not_the_clock(self) -> None:
        first, second = plan(outage("dead", Kill(target=master(0)), after_s=3, for_s=2))
        assert (first.name, first.at_s, first.after_s) == ("dead", None, 3)
        assert (second.name, second.at_s, second.after_s) == ("heal-dead", None, 2)

    def test_nothing(self) -> None:
        assert plan() == ()


@pytest.mark.parametrize(
    ("steps", "cluster", "needs"),
    [
        (plan(at(1, Kill(target="master/0")), then(Stop(target="slave/0"))), ClusterNeeds(), set()),
        (plan(at(1, Partition(sources="master/0", sinks="slave/0"))), ClusterNeeds(), {"network-cut"}),
        (plan(at(1, CutPower(target="master/0"))), ClusterNeeds(), {"power-cut"}),
        (plan(at(1, FillDisk(target="master/0", ratio=0.9))), ClusterNeeds(), {"sized-disk"}),
        ((), ClusterNeeds(disk_bytes=1, power=True), {"sized-disk", "power-cut"}),
    ],
)
def test_what_a_scenario_needs(steps: tuple[Step, ...], cluster: ClusterNeeds, needs: set[str]) -> None:
    assert Scenario(name="s", steps=steps, cluster=cluster).needs() == needs


@pytest.mark.parametrize(
    ("demand", "op", "bound"),
    [
        (metric("m") < 5, "<", 5),
        (metric("m") <= 5, "<=", 5),
        (metric("m") > 5, ">", 5),
        (metric("m") >= 5, ">=", 5),
        (metric("m").equals(True), "==", 1),
    ],
)
def test_demands_read_as_they_are_written(demand: Require, op: str, bound: float) -> None:
    assert (demand.metric, demand.op, demand.bound) == ("m", op, bound)


def test_what_is_no_demand_is_told_with_what_is() -> None:
    with pytest.raises(UsageError, match=r"metric\('unacknowledged'\) == 0 is no demand: write .*equals\(0\)"):
        rules(metric("unacknowledged") == 0)
    with pytest.raises(UsageError, match="demand 2 is True: no demand; write forbid"):
        rules(forbid("lost"), True)  # type: ignore[arg-type]


def test_observations_and_anomalies() -> None:
    assert observed("a.b").equals(1) == Require(metric="observed", op="==", bound=1, params={"name": "a.b"})
    assert forbid("lost", phase="x") == Forbid(anomaly="lost", params={"phase": "x"})


def test_a_control_may_run_on_a_worse_topology() -> None:
    topology = load_topology("2m-2s-sync")
    assert varied(topology, replication="async", flush=None).replication == "async"
    assert varied(topology, replication=None, flush=None) is topology
    assert topology.replication == "sync"


@pytest.mark.parametrize(
    ("needs", "asked", "in_force"),
    [
        ({"broker_conf": {"a": "1"}}, {"a": "2", "b": "3"}, {"a": "2", "b": "3"}),
        ({"broker_conf": {"a": "1"}, "insists": True}, {"a": "2", "b": "3"}, {"a": "1", "b": "3"}),
        ({"flush": "async", "insists": True}, {"flushDiskType": "SYNC_FLUSH"}, {}),
        ({"replication": "async", "insists": True}, {"brokerRole": "SYNC_MASTER", "c": "1"}, {"c": "1"}),
        ({"insists": True}, {"flushDiskType": "SYNC_FLUSH"}, {"flushDiskType": "SYNC_FLUSH"}),
    ],
)
def test_the_users_last_word_does_not_disarm_a_control(
    needs: dict[str, Any], asked: dict[str, str], in_force: dict[str, str]
) -> None:
    """A control whose misbehaviour an option takes away would make every row inconclusive, and say nothing of why."""
    nothing: Any = None
    scenario = Scenario(name="s", cluster=ClusterNeeds(**needs))
    settings = Settings(topology=load_topology("2m-2s-sync"), broker_conf=asked)
    assert cluster_plan(scenario, settings, nothing, nothing).broker_conf == in_force
