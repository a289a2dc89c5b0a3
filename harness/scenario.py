"""A scenario is data, so that it can be stored, replayed and judged again.

It says what the cluster must be, the load, the schedule of faults and looks, and what is demanded; beside it stands
the control that must come out the other way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, model_validator

from harness.core.errors import UsageError
from harness.core.expectation import Data, Expectation, Forbid, Gates, Op, Require, Rules
from harness.core.verdict import Verdict
from harness.faults import AnyFault
from harness.runtime.base import NODE_CONFIG, OPEN_LOAD, SHIPPED_CHECKS, SHIPPED_DELAYS, SLAVE_READS, TOXIPROXY
from harness.topology.links import LinkKind
from harness.workloads.load import Consume, Load, Produce
from harness.workloads.probes import AnyProbe, AwaitDelivered, Probe, StartLoad


class Inject(Data):
    """Injects a fault under a name."""

    kind: Literal["inject"] = "inject"
    fault: AnyFault


class Heal(Data):
    """Heals the fault of that name and waits until recovery was seen."""

    kind: Literal["heal"] = "heal"
    name: str


class Look(Data):
    """Runs a probe and records what it saw as an observation."""

    kind: Literal["look"] = "look"
    probe: AnyProbe


class Step(Data):
    """One thing that happens: at a time after the load is steady, or (None) `after_s` after the step before it is done.

    Recoveries take as long as the product's timers and the machine want: what must see load between two faults is
    placed behind the recovery and not at a time.
    """

    name: str
    act: Annotated[Inject | Heal | Look, Field(discriminator="kind")]
    at_s: float | None = None
    after_s: float = 0.0


class ClusterNeeds(Data):
    """What the scenario's cluster must have beyond its topology; everything here is a stated deviation.

    `late_topics`: so many of the `topics`, the last ones, are not there until a step makes them. `joining`: numbers of
    the broker names that are not there until a step has them join; they know no topic then.
    `disk_bytes`: each broker's store on a disk of its own of that size (fillable); with `power` it can lose power.
    `topology` names another one and `replication` and `flush` change it: for product controls only. `insists`: what it
    sets stays whatever --broker-conf says, else the last word is the user's. A control insists: it must misbehave.
    `prefix` begins the names of its topics: set where it is not the first on its cluster.
    `links` of these kinds stand before the nodes that can have them, for faults of links (`harness/topology/links.py`).
    """

    broker_conf: dict[str, str] = Field(default_factory=dict)
    namesrv_conf: dict[str, str] = Field(default_factory=dict)
    jvm_opts: tuple[str, ...] = ()
    disk_bytes: int | None = None
    power: bool = False
    queues: int = 4
    topics: int = 1
    late_topics: int = 0
    joining: tuple[int, ...] = ()
    timers: Literal["documented", "fast"] | None = None
    topology: str | None = None
    replication: Literal["async", "sync"] | None = None
    flush: Literal["async", "sync"] | None = None
    insists: bool = False
    prefix: str = ""
    links: tuple[LinkKind, ...] = ()

    @property
    def configures(self) -> bool:
        """It needs another cluster than one that is there already, at the product's own timers."""
        asked = (self.broker_conf, self.namesrv_conf, self.jvm_opts, self.disk_bytes, self.power, self.joining)
        return any((*asked, self.links)) or any((self.topology, self.replication, self.flush)) or self.timers == "fast"


class Scenario(Data):
    """One run of one cluster, from bring-up to verdict.

    `load` runs from the start until `duration_s` of steady load have passed and every step is done. `await_deliveries`
    waits, before consumers stop, until everything acknowledged was delivered to each group (bounded by `drain_s`).
    `consumes_from_slaves`: what it demands needs slaves that serve consumers, as those of ours all do but stock ones.
    """

    name: str
    claim: str = ""
    cluster: ClusterNeeds = Field(default_factory=ClusterNeeds)
    load: tuple[Load, ...] = ()
    steps: tuple[Step, ...] = ()
    duration_s: float = 0
    await_deliveries: bool = True
    drain_s: float = 60
    read_roles: Literal["all", "masters", "slaves"] = "all"
    consumes_from_slaves: bool = False
    rules: Rules = Field(default_factory=Rules)

    def needs(self) -> frozenset[str]:
        """Capabilities without which the scenario cannot run."""
        needed: set[str] = set()
        for step in self.steps:
            if isinstance(step.act, Inject):
                needed |= step.act.fault.needs()
        if self.cluster.disk_bytes is not None:
            needed.add("sized-disk")
        if self.cluster.power:
            needed.add("power-cut")
        if self.cluster.links:
            needed.add(TOXIPROXY)
        return frozenset(needed)

    def reach(self) -> frozenset[str]:
        """What it asks of nodes (see `runtime.base.REACH`): of a runtime with nodes of its own it may ask all of it."""
        wanted: set[str] = set()
        for step in self.steps:
            if isinstance(step.act, Inject):
                wanted |= step.act.fault.reach()
            elif isinstance(step.act, Look):
                wanted |= step.act.probe.reach()
        if self.cluster.configures:
            wanted.add(NODE_CONFIG)
        if any(isinstance(load, Produce) and load.rate_per_s is load.max_messages is None for load in self.loads()):
            wanted.add(OPEN_LOAD)
        if any(load.of_delays for load in self.loads()):
            wanted.add(SHIPPED_DELAYS)
        if any(isinstance(load, Produce) and load.mode == "transaction" for load in self.loads()):
            wanted.add(SHIPPED_CHECKS)
        if self.consumes_from_slaves:
            wanted.add(SLAVE_READS)
        return frozenset(wanted)

    def loads(self) -> tuple[Load, ...]:
        """All load, also that which a step starts."""
        later = (step.act.probe for step in self.steps if isinstance(step.act, Look))
        return (*self.load, *(part for probe in later if isinstance(probe, StartLoad) for part in probe.load))

    @model_validator(mode="after")
    def _every_topic_exists(self) -> Scenario:
        for load in self.loads():
            if not 0 <= load.topic < self.cluster.topics:
                raise UsageError(
                    f"load {load.name!r} of scenario {self.name!r} wants topic {load.topic}, there are"
                    f" {self.cluster.topics}, counted from 0: give it cluster=ClusterNeeds(topics={load.topic + 1})"
                )
        return self

    @model_validator(mode="after")
    def _every_group_is_consumed(self) -> Scenario:
        groups = {load.group for load in self.loads() if isinstance(load, Consume)}
        for step in self.steps:
            probe = step.act.probe if isinstance(step.act, Look) else None
            if isinstance(probe, AwaitDelivered) and probe.group not in groups:
                raise UsageError(
                    f"step {step.name!r} of scenario {self.name!r} waits for group {probe.group!r}, in which no load"
                    f" consumes: name one of {', '.join(sorted(groups)) or 'them, once there is one'}"
                )
        return self

    def faults(self) -> tuple[str, ...]:
        """Names of the faults it injects."""
        return tuple(step.name for step in self.steps if isinstance(step.act, Inject))


class Control(Data):
    """A run that must come out as `expect`; if it does not, the scenario it belongs to proves nothing."""

    kind: Literal["product", "fault-off", "planted"] = "product"
    scenario: Scenario
    expect: Verdict = Verdict.BROKEN
    why: str = ""


def at(at_s: float, act: Any, until: float | None = None, name: str | None = None) -> tuple[Step, ...]:
    """A fault (or probe) `at_s` seconds after the load is steady; a fault is healed at `until`, if given."""
    step = _step(act, at_s, name)
    if until is None:
        return (step,)
    return (step, Step(name=f"heal-{step.name}", act=Heal(name=step.name), at_s=until))


def then(act: Any, name: str | None = None, *, after_s: float = 0.0) -> tuple[Step, ...]:
    """A fault (or probe) `after_s` after the step before it is done: a fault when it was seen, a heal on recovery."""
    return (_step(act, None, name, after_s),)


def outage(name: str, fault: Any, *, after_s: float, for_s: float) -> tuple[Step, ...]:
    """A fault `after_s` after the step before it is done, in force for `for_s` once it was seen to bite, and healed."""
    return (*then(fault, name, after_s=after_s), *heal(name, after_s=for_s))


def heal(name: str, at_s: float | None = None, *, after_s: float = 0.0) -> tuple[Step, ...]:
    """Heals the fault of that name and waits until recovery was seen."""
    return (Step(name=f"heal-{name}", act=Heal(name=name), at_s=at_s, after_s=after_s),)


def plan(*parts: Iterable[Step]) -> tuple[Step, ...]:
    """Puts steps in order: timed ones by their time, untimed ones right behind the one they were written after.

    Raises UsageError if two steps share a name: observations and fault windows are found by it.
    """
    groups: list[tuple[float, list[Step]]] = []
    for step in (step for part in parts for step in part):
        if step.at_s is not None or not groups:
            groups.append((step.at_s or 0.0, [step]))
        else:
            groups[-1][1].append(step)
    ordered = tuple(step for _, group in sorted(groups, key=lambda pair: pair[0]) for step in group)
    names = [step.name for step in ordered]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"steps {sorted(twice)} occur twice; give each step a name of its own")
    return ordered


def _step(act: Any, at_s: float | None, name: str | None, after_s: float = 0.0) -> Step:
    if isinstance(act, Probe):
        look = Look.model_validate({"probe": act})
        return Step(name=name or str(getattr(act, "kind", "look")), act=look, at_s=at_s, after_s=after_s)
    return Step(name=name or act.kind_name(), act=Inject.model_validate({"fault": act}), at_s=at_s, after_s=after_s)


class Metric:
    """A metric of a history, to be compared: `metric("rto_max_s") < 5` is a `Require`."""

    def __init__(self, metric_name: str, **params: Any) -> None:
        self._name = metric_name
        self._params = params

    def _require(self, op: Op, bound: float) -> Require:
        return Require(metric=self._name, op=op, bound=float(bound), params=self._params)

    def __lt__(self, bound: float) -> Require:
        return self._require("<", bound)

    def __le__(self, bound: float) -> Require:
        return self._require("<=", bound)

    def __gt__(self, bound: float) -> Require:
        return self._require(">", bound)

    def __ge__(self, bound: float) -> Require:
        return self._require(">=", bound)

    def __eq__(self, other: object) -> NoReturn:
        """Python makes a truth value of it, which demands nothing."""
        raise UsageError(f"metric({self._name!r}) == {other!r} is no demand: write metric(...).equals({other!r})")

    __hash__ = object.__hash__

    def equals(self, bound: float) -> Require:
        """The metric is exactly that."""
        return self._require("==", bound)


def metric(metric_name: str, **params: Any) -> Metric:
    """A metric by name, narrowed by parameters."""
    return Metric(metric_name, **params)


def observed(name: str) -> Metric:
    """A number (or truth value) that a step recorded; dots reach into it: `observed("slave-write.accepted")`."""
    return Metric("observed", name=name)


def forbid(anomaly: str, **params: Any) -> Forbid:
    """No such anomaly may be found."""
    return Forbid(anomaly=anomaly, params=params)


def rules(*expectations: Expectation, gates: Gates | None = None) -> Rules:
    """What is demanded, and under which assumptions. Raises UsageError for what is no demand."""
    for number, demand in enumerate(expectations, 1):
        if not isinstance(demand, Forbid | Require):
            raise UsageError(
                f"demand {number} is {demand!r}: no demand; write forbid(...), metric(...) < 5 or metric(...).equals(0)"
            )
    return Rules(expectations=expectations, gates=gates or Gates())
