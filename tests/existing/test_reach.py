"""What every suite function asks of nodes: nothing that only their owner may do is run unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import CapabilityMissing
from harness.core.tenants import declared, prefix_of_run
from harness.runner import check_capabilities
from harness.runtime.base import NODE_CONFIG, NODE_KILL, NODE_PAUSE, NODE_STOP, OPEN_LOAD, REACH, SLAVE_READS
from harness.runtime.existing import missing_here
from harness.scenario import Control, Inject, Scenario
from harness.sharing import as_tenant, under
from harness.suite import (
    AwaitDelivered,
    ClusterNeeds,
    CommitLog,
    DestroyStore,
    FillDisk,
    Join,
    Kill,
    Misconfigure,
    Pause,
    ReadBack,
    SendDirect,
    Stop,
    WipeWritePermission,
    consume,
    forbid,
    master,
    metric,
    observed,
    plan,
    produce,
    then,
)
from harness.topology import load_topology
from tests.catalogue.test_needs import Listener, functions
from tests.pipeline.loopback import Machines

ROOT = Path(__file__).parents[2]
PLACES = ("suites", "suites-nightly", "suites-existing")
FILES = sorted(path for place in PLACES for path in (ROOT / place).rglob("test_*.py"))
ON_ANY = {
    "at-least-once",
    "broadcasting-reaches-all",
    "clustering-shares-queues",
    "delay-is-never-early",
    "groups-are-independent",
    "queue-expansion-is-live",
    "queue-order-holds",
    "retry-then-dead-letter",
    "transaction-is-all-or-nothing",
}
"""Rows of which something is shown on any cluster, without a hook."""


class Heard(Listener):
    """Keeps what it was asked to run."""

    def __init__(self, topology: str, version: str) -> None:
        super().__init__(topology, version)
        self.timers = "documented"
        self.asked: list[tuple[Scenario, Control | None]] = []

    def prove(self, scenario: Scenario, control: Control | None = None) -> None:
        self.asked.append((scenario, control))


def all_of(topology: str, version: str) -> dict[str, list[tuple[Scenario, Control | None]]]:
    """Guarantee -> what its suite functions run on that topology."""
    catalogue, found = load_catalogue(), {}
    for path in FILES:
        for function, ids in functions(path):
            heard = Heard(topology, version)
            if any(catalogue.get(name).promised(heard.topology) for name in ids):
                function(heard)
                for name in ids:
                    found.setdefault(name, []).extend(heard.asked)
    return found


def possible(hooks: dict[str, str], asked: tuple[Scenario, Control | None]) -> bool:
    capabilities = {**missing_here(hooks), OPEN_LOAD: "not bounded"}
    scenarios = [asked[0], *([asked[1].scenario] if asked[1] is not None else [])]
    return all(capabilities.get(c) is None for s in scenarios for c in s.needs() | s.reach())


@pytest.mark.parametrize(("topology", "version"), [("1m", "4.9.7"), ("2m-2s-sync", "5.3.3")])
def test_which_rows_are_shown_without_a_hook_and_which_with(topology: str, version: str) -> None:
    rows = all_of(topology, version)
    without = {name for name, asked in rows.items() if any(possible({}, one) for one in asked)}
    assert without >= ON_ANY
    if topology != "1m":
        assert without >= {"producers-spread-load", "slave-is-not-writable", "replicas-agree"}
    hooks = dict.fromkeys(("kill", "start", "stop", "pause", "resume"), "true")
    with_all = {name for name, asked in rows.items() if any(possible(hooks, one) for one in asked)}
    assert with_all > without
    for asked in (one for name in without for one in rows[name] if possible({}, one)):
        for scenario in (asked[0], *([asked[1].scenario] if asked[1] is not None else [])):
            faults = [step.act.fault for step in scenario.steps if isinstance(step.act, Inject)]
            assert all(fault.target.startswith("client/") for fault in faults)  # type: ignore[union-attr]
            assert not scenario.cluster.configures


def reach(*acts: Any, **more: Any) -> frozenset[str]:
    return Scenario(name="s", steps=plan(*(then(act, name=f"a{n}") for n, act in enumerate(acts))), **more).reach()


def test_what_faults_and_looks_ask_of_nodes() -> None:
    assert reach(Kill(target=master())) == {NODE_KILL}
    assert reach(Stop(target="nameserver/0")) == {NODE_STOP}
    assert reach(Pause(target="client/p-1+slave/0")) == {NODE_PAUSE}
    assert reach(Kill(target="client/p-1+client/c-2"), Pause(target="client/*")) == frozenset()
    for act in (
        DestroyStore(target=master()),
        FillDisk(target=master(), ratio=0.9),
        Misconfigure(target=master(), conf={"a": "b"}),
        WipeWritePermission(target=master()),
        CommitLog(target=master()),
        Join(broker=1),
        SendDirect(target=master(), topic_name="nobody-made-it"),
    ):
        assert reach(act) == {NODE_CONFIG}, act
    assert reach(SendDirect(target=master())) == frozenset()
    assert reach(ReadBack(phase="p", target="slave/*")) == {SLAVE_READS}
    assert reach(load=[produce(1, rate=None)]) == {OPEN_LOAD}
    assert reach(load=[produce(1, rate=None, max_messages=9)]) == frozenset()


@pytest.mark.parametrize(
    "needs",
    [{"broker_conf": {"a": "b"}}, {"jvm_opts": ("-Da",)}, {"flush": "sync"}, {"timers": "fast"}, {"topology": "1m"},
     {"replication": "async"}, {"disk_bytes": 1}, {"power": True}, {"namesrv_conf": {"a": "b"}}, {"joining": (1,)}],
)  # fmt: skip
def test_another_cluster_than_there_is(needs: dict[str, Any]) -> None:
    assert reach(cluster=ClusterNeeds(**needs)) == {NODE_CONFIG}


def test_the_products_own_timers_are_what_is_there() -> None:
    assert reach(cluster=ClusterNeeds(timers="documented", queues=6, topics=2)) == frozenset()


@pytest.mark.parametrize("name", ["slave-is-readable", "failback-costs-only-duplicates"])
def test_what_is_demanded_of_slaves_as_consumers_need_them_is_not_asked_of_slaves_that_refuse(name: str) -> None:
    for scenario, _control in all_of("2m-2s-sync", "5.3.3")[name]:
        assert SLAVE_READS in scenario.reach()


def test_where_nodes_are_our_own_all_of_it_may_be_asked(tmp_path: Path) -> None:
    equipment = Machines(load_topology("1m"), tmp_path)
    scenario = Scenario(name="s", steps=plan(then(Kill(target=master())), then(CommitLog(target=master()))))
    assert set(equipment.equipment.capabilities).isdisjoint(REACH)
    check_capabilities(scenario, equipment.equipment)


def test_the_missing_one_is_named_with_its_remedy(tmp_path: Path) -> None:
    equipment = replace(Machines(load_topology("1m"), tmp_path).equipment, capabilities=missing_here({}))
    with pytest.raises(CapabilityMissing, match=r"node-kill.*--hook kill=CMD and --hook start=CMD"):
        check_capabilities(Scenario(name="s", steps=plan(then(Kill(target=master())))), equipment)


def test_under_a_prefix_every_name_of_ours_has_it_and_demands_keep_theirs() -> None:
    scenario = Scenario(
        name="s",
        load=(produce(1), consume(1), consume(1, name="d", group="h")),
        steps=plan(
            then(AwaitDelivered(group="h"), name="delivered"),
            then(ReadBack(phase="dead", topics=("%DLQ%g", "RMQ_SYS_TRANS_HALF_TOPIC", "topic-0")), name="dead"),
        ),
        rules={"expectations": [
            forbid("undelivered", group="h"), forbid("lost", topic="topic-0"), metric("delivered", group="g") > 0,
            observed("drain.g.missing").equals(0), observed("dead.messages").equals(1),
        ]},
    )  # fmt: skip
    word = prefix_of_run("0a1b2c", 7)
    named = under(scenario, word)
    assert word == "rmqh-0a1b2c-7-"
    assert named.cluster.prefix == word
    assert [getattr(load, "group", None) for load in named.load] == [None, f"{word}g", f"{word}h"]
    assert named.steps[0].act.probe.group == f"{word}h"  # type: ignore[union-attr]
    assert named.steps[1].act.probe.topics == (f"%DLQ%{word}g", "RMQ_SYS_TRANS_HALF_TOPIC", f"{word}topic-0")  # type: ignore[union-attr]
    told = [demand.text() for demand in named.rules.expectations]
    assert f"(name=drain.{word}g.missing)" in told[3]
    assert [declared(text) for text in told] == [demand.text() for demand in scenario.rules.expectations]
    assert as_tenant(scenario, 2).load[1].group == "s2-g"  # type: ignore[union-attr]
