"""A slip in a scenario is told before a cluster is started for it; and no suite of ours has one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness import preflight
from harness.catalogue import load_catalogue
from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import parse_release
from harness.faults import Kill, Latency, Partition, master, nameserver, slave
from harness.prover import Prover, SuiteFunction
from harness.scenario import (
    ClusterNeeds,
    Control,
    Heal,
    Scenario,
    Step,
    at,
    forbid,
    heal,
    metric,
    observed,
    plan,
    rules,
    then,
)
from harness.topology import known_topologies, load_topology
from harness.workloads.load import consume, produce
from harness.workloads.probes import (
    AwaitCount,
    AwaitDropped,
    AwaitRoute,
    AwaitRoutes,
    Elapse,
    Join,
    MakeTopics,
    Registered,
    StartLoad,
    StopLoad,
    StoreFiles,
    TakeTurns,
    Watch,
)

ROOT = Path(__file__).parents[2]
FILES = sorted(f for place in ("suites", "suites-nightly", "examples") for f in (ROOT / place).rglob("test_*.py"))


def scenario(*demands: Any, **more: Any) -> Scenario:
    steps = plan(at(1, Kill(target=master(0)), name="kill"), heal("kill", 3), at(4, Elapse(seconds=1), name="later"))
    return Scenario(**{"name": "s", "load": (produce(2),), "steps": steps, "rules": rules(*demands), **more})


GOOD = {
    "a demand on a window": scenario(metric("ok_in", window="kill") > 0, forbid("lost", sent_before="later")),
    "an observation": scenario(observed("later") >= 1, observed("healthy.after").equals(1)),
    "workers by their first letters, and what the injector records": scenario(
        metric("unacknowledged", process="p-").equals(0),
        metric("ok_in", window="kill", process="p-1") > 0,
        observed("restart-failed.broker-a-0.attempts") >= 0,
        steps=plan(at(1, Kill(target=master(0)), name="kill"), at(2, AwaitCount(who="p", what="ok"), name="some")),
    ),
    "a watch": scenario(
        observed("gone.all").equals(1),
        steps=plan(
            at(1, Kill(target=master(0)), name="kill"),
            then(AwaitRoutes(watches={"gone": Watch(target=master(0), present=False, since="kill")}), name="watched"),
        ),
    ),
    "a client that a step starts": scenario(
        steps=plan(
            at(0, StartLoad(load=(produce(1, name="late"),)), name="late"),
            then(Kill(target="client/late-1"), name="kill"),
        )
    ),
    "a link": scenario(
        cluster=ClusterNeeds(links=("clients",)),
        steps=plan(at(1, Latency(link="clients", target=master(0), latency_ms=9), name="kill")),
    ),
    "a slave that only the scenario's own topology has": scenario(
        cluster=ClusterNeeds(topology="2m-2s-async"), steps=plan(at(1, Kill(target=slave(1)), name="kill"))
    ),
}
SLIPS = {
    "step 'late': no clients link stands before broker-a-0; there are none": scenario(
        steps=plan(at(1, Latency(link="clients", target=master(0), latency_ms=9), name="late"))
    ),
    "step 'late': no ha link stands before broker-a-0; there are none": scenario(
        cluster=ClusterNeeds(links=("clients",)),
        steps=plan(at(1, Latency(link="ha", target=master(0), latency_ms=9), name="late")),
    ),
    "links 'ha': no node of 1m can have one": scenario(cluster=ClusterNeeds(links=("ha",))),
    "links with joining": scenario(cluster=ClusterNeeds(topology="2m-noslave", links=("clients",), joining=(1,))),
    "'taken_over_s' of which='lst': which is one of first, last": scenario(
        metric("taken_over_s", group="g", window="kill", which="lst") < 5, load=(produce(2), consume(1))
    ),
    "'ok_in' of since='hael': since is one of inject, observed, heal, recovered": scenario(
        metric("ok_in", window="kill", since="hael") > 0
    ),
    "ok_despite of broker='broker-z': no broker is called that; there are broker-a": scenario(
        metric("ok_despite", broker="broker-z", window="kill").equals(0)
    ),
    "answered of status='FLUSH_DISC_TIMEOUT': no status or exception is called that": scenario(
        metric("answered", status="FLUSH_DISC_TIMEOUT").equals(0)
    ),
    "unstored of statuses='FLUSH_DISC_TIMEOUT': no status": scenario(
        metric("unstored", statuses=["FLUSH_DISC_TIMEOUT"]).equals(0)
    ),
    "undelivered of group='typo': no consumer group is called that; there are g": scenario(
        forbid("undelivered", group="typo"), load=(produce(2), consume(1))
    ),
    "unacknowledged of process='q-': no worker is called that; there are p-1, p-2": scenario(
        metric("unacknowledged", process="q-").equals(0)
    ),
    "lost of phase='finl': no phase that is read back": scenario(forbid("lost", phase="finl")),
    "lost of replicas='slaves': no replica is called that; there are master, broker-a-0": scenario(
        forbid("lost", replicas="slaves")
    ),
    "step 'n': no worker is called 'consumer'; there are p-1, p-2": scenario(
        steps=plan(at(1, AwaitCount(who="consumer", what="ok"), name="n"))
    ),
    "step 'gone': 'p' is no producer; there are p-1, p-2": scenario(
        steps=plan(at(1, Kill(target=master(0)), name="kill"), at(2, AwaitDropped(who="p", since="kill"), name="gone"))
    ),
    "step 'gone': 'c-1' is no producer; there are p-1, p-2": scenario(
        load=(produce(2), consume(1)),
        steps=plan(
            at(1, Kill(target=master(0)), name="kill"), at(2, AwaitDropped(who="c-1", since="kill"), name="gone")
        ),
    ),
    "step 'turns': no producers are called 'c'; there are p": scenario(
        load=(produce(2), consume(1)), steps=plan(at(1, TakeTurns(first="p", second="c"), name="turns"))
    ),
    "step 'halt': no worker is called 'typo'": scenario(steps=plan(at(1, StopLoad(name="typo"), name="halt"))),
    "load 'p': only_brokers 1, there are 1, from 0": scenario(load=(produce(2, only_brokers=(1,)),)),
    "step 'gone': since 'kll': no fault has that name; there are kill": scenario(
        steps=plan(
            at(1, Kill(target=master(0)), name="kill"),
            then(AwaitRoute(target=master(0), present=False, since="kll"), name="gone"),
        )
    ),
    "no anomaly is called 'lst'": scenario(forbid("lst")),
    "'lost' does not take": scenario(forbid("lost", replcas="master")),
    "no metric is called 'rto_mx_s'": scenario(metric("rto_mx_s") < 5),
    "ok_in of window='kll': no fault is called that; there are kill": scenario(metric("ok_in", window="kll") > 0),
    "lost of sent_before='nvr': no fault or look is called that; there are kill, later": scenario(
        forbid("lost", sent_before="nvr")
    ),
    "step_s of name='ltr': no look is called that; there are later": scenario(metric("step_s", name="ltr") < 5),
    "observed of name='ltr.yes': no observation is called that; there are later": scenario(
        observed("ltr.yes").equals(0)
    ),
    "observed of name='kill': no observation is called that": scenario(observed("kill").equals(0)),
    r"heal\('stpo'\) heals no fault that is in force then; there are stop": scenario(
        steps=plan(at(1, Kill(target=master(0)), name="stop"), heal("stpo", 2))
    ),
    r"heal\('kill'\) heals no fault that is in force then; there are none": scenario(
        steps=plan(heal("kill", 1), at(2, Kill(target=master(0)), name="kill"))
    ),
    "step 'kill': target 'master/3': this cluster has no such node; it has broker-a-0": scenario(
        steps=plan(at(1, Kill(target=master(3)), name="kill"))
    ),
    "step 'cut': target 'slave/0': this cluster has no such node; it has none": scenario(
        steps=plan(at(1, Partition(sources=master(0), sinks=slave(0)), name="cut"))
    ),
    "step 'look': target 'nameserver/1'": scenario(
        steps=plan(at(1, Registered(target=master(0), on=nameserver(1)), name="look"))
    ),
    "step 'kill': target 'client/c-1': this cluster has no such node; it has p-1, p-2": scenario(
        steps=plan(at(1, Kill(target="client/c-1"), name="kill"))
    ),
    "step 'shot': target 'brokr/0': not a selector": scenario(
        steps=plan(at(1, StoreFiles(target="brokr/0", files="commitlog/*"), name="shot"))
    ),
    r"observed\('look.yse'\): 'look' has no field 'yse'; there are no, silent, unknown, yes": scenario(
        observed("look.yse").equals(0), steps=plan(at(1, Registered(target=master(0), on=nameserver(0)), name="look"))
    ),
    r"observed\('later.seconds'\): 'later' has no field 'seconds'; there are none": scenario(
        observed("later.seconds") >= 1
    ),
    "joining 0: one of 1 to 0 can join, 1m has 1": scenario(cluster=ClusterNeeds(joining=(0,))),
    "joining 2: one of 1 to 1 can join, 2m-noslave has 2": scenario(
        cluster=ClusterNeeds(topology="2m-noslave", joining=(2,))
    ),
    "late_topics 1: fewer than all 1 topics can be late": scenario(cluster=ClusterNeeds(late_topics=1)),
    "step 'join': broker 0 is there already; left to join are none": scenario(
        steps=plan(at(1, Join(broker=0), name="join"))
    ),
    "step 'join-2': broker 1 is there already; left to join are none": scenario(
        cluster=ClusterNeeds(topology="2m-noslave", joining=(1,)),
        steps=plan(at(1, Join(broker=1), name="join"), at(2, Join(broker=1), name="join-2")),
    ),
    r"heal\('kill'\) heals no fault that is in force then; there are none$": scenario(
        steps=plan(
            at(1, Kill(target=master(0)), name="kill"), heal("kill", 2), (Step(name="again", act=Heal(name="kill")),)
        )
    ),
    "acked of topic='nosuch': no topic is called that; there are topic-0": scenario(
        metric("acked", topic="nosuch").equals(0)
    ),
    "lost of replicas='slave': no replica is called that; there are master, broker-a-0": scenario(
        forbid("lost", replicas="slave")
    ),
    "lost of replicas='master': no replica is called that; there are broker-a-n0": scenario(
        forbid("lost", replicas="master"), cluster=ClusterNeeds(topology="dledger-3")
    ),
    "a worker and a node of 1m-1s-sync are both called broker-a-1: name the load otherwise": scenario(
        load=(produce(2, name="broker-a"),), cluster=ClusterNeeds(topology="1m-1s-sync")
    ),
    "step 'made': topic 3, there are 1, counted from 0": scenario(
        steps=plan(at(1, MakeTopics(topics=(0, 3)), name="made"))
    ),
    "step 'watched': target 'master/9'": scenario(
        steps=plan(
            at(1, Kill(target=master(0)), name="kill"),
            then(AwaitRoutes(watches={"x": Watch(target=master(9), present=True, since="kill")}), name="watched"),
        )
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_stands_for_something_passes(name: str) -> None:
    preflight.check(GOOD[name], load_topology("1m"))


@pytest.mark.parametrize("message", SLIPS)
def test_a_slip_is_told_with_what_there_is(message: str) -> None:
    with pytest.raises(UsageError, match=f"^scenario s: .*{message}"):
        preflight.check(SLIPS[message], load_topology("1m"))


class Dry(Prover):
    """Runs nothing: keeps what it was to prove."""

    def __init__(self, suite: SuiteFunction, topology: str, version: Version, timers: str) -> None:
        self._suite, self.topology, self.version, self.timers = suite, load_topology(topology), version, timers
        self.client = "java"
        self._random = Random(1)
        self.proved: list[Scenario] = []

    def skipped(self, reason: str) -> None:
        pytest.skip(reason)

    def prove(self, scenario: Scenario, control: Control | None = None) -> None:
        self.proved += [scenario, *([control.scenario] if control is not None else [])]


@cache
def functions(file: Path) -> tuple[tuple[str, Callable[[Prover], None], set[str]], ...]:
    return tuple(_functions(file))


def _functions(file: Path) -> Iterator[tuple[str, Callable[[Prover], None], set[str]]]:
    spec = importlib.util.spec_from_file_location(f"dry_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in vars(module).items():
        marks = [m for m in getattr(value, "pytestmark", ()) if m.name == "guarantee"]
        if name.startswith("test_"):
            yield name, value, {str(arg) for mark in marks for arg in mark.args}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("rocketmq", ["4.9.7", "5.3.3"])
def test_no_suite_has_a_slip(file: Path, rocketmq: str) -> None:
    version, catalogue, proved = parse_release(rocketmq).version, load_catalogue(), 0
    for topology in known_topologies():
        promised = {g.id for g in catalogue.promised(load_topology(topology), upgrade=True)}
        for name, function, judged in functions(file):
            dry = Dry(SuiteFunction(name, "", tuple(judged)), topology, version, "fast")
            if not judged & promised:
                continue
            try:
                function(dry)
            except pytest.skip.Exception:
                continue
            assert dry.proved, f"{name} proved nothing on {topology}"
            for declared in dry.proved:
                preflight.check(declared, dry.topology)
            proved += len(dry.proved)
    assert proved
