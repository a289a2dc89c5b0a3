"""Who may share a cluster by what it does, and that nobody may whose doings are not known to leave no trace."""

from __future__ import annotations

from typing import Any

import pytest

from harness.core.expectation import Gates
from harness.faults import CutPower, DestroyStore, Kill, Misconfigure, Partition, WipeWritePermission, master
from harness.scenario import ClusterNeeds, Scenario, at, forbid, metric, observed, plan, rules, then
from harness.sharing import TENANTS, as_tenant, has_spares_for, spares, why_alone
from harness.topology import load_topology
from harness.workloads.load import consume, produce
from harness.workloads.probes import Elapse, ReadBack, Routed, SendDirect, StartLoad, Warned

TWO = load_topology("2m-2s-sync")


def scenario(*acts: Any, **more: Any) -> Scenario:
    steps = plan(*(at(n, act, name=f"a{n}") for n, act in enumerate(acts, 1)))
    return Scenario(**({"name": "s", "load": (produce(1), consume(1)), "steps": steps} | more))


SHARED = {
    "no fault": scenario(),
    "faults that are undone": scenario(Kill(target=master(0)), Partition(sources=master(0), sinks=master(1))),
    "a send to its own topic": scenario(SendDirect(target=master(0))),
    "a control that insists on nothing": scenario(cluster=ClusterNeeds(insists=True)),
}
ALONE = {
    "cut-power is not undone": scenario(CutPower(target=master(0))),
    "destroy-store is not undone": scenario(DestroyStore(target=master(0))),
    "misconfigure is not undone": scenario(Misconfigure(target=master(0), conf={"a": "b"})),
    "wipe-write-permission is not undone": scenario(WipeWritePermission(target=master(0))),
    "kill is not undone": scenario(Kill(target=master(0), lasting=True)),
    "warned looks at more than the present": scenario(Warned(target=master(0), words=("x",))),
    "routed looks at more than the present": scenario(Routed(topic="topic-0")),
    "it names a topic": scenario(ReadBack(phase="p", topics=("%DLQ%g",))),
    "it names a topic, to send to": scenario(SendDirect(target=master(0), topic_name="x")),
    "its disks are filled": scenario(cluster=ClusterNeeds(disk_bytes=1 << 29)),
    "it has its own topics or brokers": scenario(cluster=ClusterNeeds(topics=2, late_topics=1)),
    "load 'p' may leave messages on their way": scenario(load=(produce(1, mode="transaction"),)),
    "load 'late' may leave messages": scenario(StartLoad(load=(produce(1, name="late", delay_level=3),))),
    "load 'c' may leave messages on their way, or": scenario(load=(consume(1, fail_every=2),)),
    "it demands something of a topic": scenario(rules=rules(metric("acked", topic="topic-0") > 0)),
    "it demands something of a topic, or": scenario(
        rules=rules(forbid("lost"), gates=Gates(preconditions=(metric("lost_count", topic="topic-0").equals(0),)))
    ),
    "or of what a group is owed, by name": scenario(rules=rules(observed("drain.g.missing").equals(0))),
}


@pytest.mark.parametrize("what", SHARED)
def test_who_shares(what: str) -> None:
    assert why_alone(SHARED[what], TWO) == ""


@pytest.mark.parametrize("why", ALONE)
def test_who_does_not(why: str) -> None:
    assert why.partition(", to")[0] in why_alone(ALONE[why], TWO)


def test_a_group_that_elects_is_shared_by_nobody() -> None:
    assert "elects" in why_alone(scenario(), load_topology("controller-1m-2s"))


def test_every_tenant_has_spare_names_and_no_other() -> None:
    topics, groups = spares()
    assert len(topics) == len(groups) == TENANTS - 1
    for tenant in range(2, TENANTS + 1):
        assert has_spares_for(as_tenant(scenario(), tenant))
    assert not has_spares_for(as_tenant(scenario(), TENANTS + 1))
    assert not has_spares_for(scenario()), "the first one's names are no spare ones"


def test_a_tenant_is_renamed_in_loads_steps_and_demands_and_nowhere_else() -> None:
    mine = scenario(
        StartLoad(load=(consume(1, name="g"),)),
        load=(produce(1, name="g"), consume(1)),
        rules=rules(forbid("undelivered", group="g"), forbid("lost")),
    )
    tenant = as_tenant(mine, 3)
    assert [load.group for load in tenant.loads() if load.kind == "consume"] == ["s3-g", "s3-g"]
    assert [load.name for load in tenant.loads()] == [load.name for load in mine.loads()], "workers are not renamed"
    assert tenant.rules.expectations[0].params == {"group": "s3-g"}
    assert tenant.rules.expectations[1] == mine.rules.expectations[1]
    assert as_tenant(mine, 1) == mine


def test_steps_stay_as_they_are() -> None:
    mine = scenario(load=(produce(1),), steps=plan(at(1, Kill(target=master(0)), name="k"), then(Elapse(seconds=1))))
    assert as_tenant(mine, 2).steps == mine.steps
