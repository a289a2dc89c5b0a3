"""A slip in a scenario is told before a cluster is started for it; and no suite of ours has one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import preflight
from harness.catalogue import load_catalogue
from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import parse_release
from harness.faults import Kill, Partition, master, nameserver, slave
from harness.prover import Prover, SuiteFunction
from harness.scenario import ClusterNeeds, Control, Scenario, at, forbid, heal, metric, observed, plan, rules, then
from harness.topology import known_topologies, load_topology
from harness.workloads.load import produce
from harness.workloads.probes import AwaitRoutes, Elapse, Registered, StartLoad, StoreFiles, Watch

ROOT = Path(__file__).parents[2]
FILES = sorted(f for place in ("suites", "suites-nightly", "examples") for f in (ROOT / place).rglob("test_*.py"))


def scenario(*demands: Any, **more: Any) -> Scenario:
    steps = plan(at(1, Kill(target=master(0)), name="kill"), heal("kill", 3), at(4, Elapse(seconds=1), name="later"))
    return Scenario(**{"name": "s", "load": (produce(2),), "steps": steps, "rules": rules(*demands), **more})


GOOD = {
    "a demand on a window": scenario(metric("ok_in", window="kill") > 0, forbid("lost", sent_before="later")),
    "an observation": scenario(observed("later") >= 1, observed("healthy.after").equals(1)),
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
    "a slave that only the scenario's own topology has": scenario(
        cluster=ClusterNeeds(topology="2m-2s-async"), steps=plan(at(1, Kill(target=slave(1)), name="kill"))
    ),
}
SLIPS = {
    "no anomaly is called 'lst'": scenario(forbid("lst")),
    "'lost' does not take": scenario(forbid("lost", replcas="master")),
    "no metric is called 'rto_mx_s'": scenario(metric("rto_mx_s") < 5),
    "ok_in of window='kll': no fault has that name; there are kill": scenario(metric("ok_in", window="kll") > 0),
    "lost of sent_before='nvr': no step has that name; there are kill, heal-kill, later": scenario(
        forbid("lost", sent_before="nvr")
    ),
    "step_s of name='ltr': no step has that name": scenario(metric("step_s", name="ltr") < 5),
    "observed of 'ltr.yes': no look records that; there are later": scenario(observed("ltr.yes").equals(0)),
    "observed of 'kill': no look records that": scenario(observed("kill").equals(0)),
    r"heal\('stpo'\) heals no fault that was injected before it; there are stop": scenario(
        steps=plan(at(1, Kill(target=master(0)), name="stop"), heal("stpo", 2))
    ),
    r"heal\('kill'\) heals no fault that was injected before it; there are none": scenario(
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
        promised = {g.id for g in catalogue.promised(load_topology(topology))}
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
