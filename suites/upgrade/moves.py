"""How nodes are moved to another release: as an operator would, one at a time, each broker wiped first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from harness.suite import (
    AwaitAnswer,
    AwaitCount,
    AwaitRoute,
    ChangeRelease,
    Control,
    Elapse,
    Expectation,
    Gates,
    Prover,
    Step,
    WipeWritePermission,
    forbid,
    heal,
    master,
    metric,
    nameserver,
    outage,
    plan,
    produce,
    slave,
    then,
)

To = Literal["upgrade", "first"]

NEWBORN_S = 62
"""A 4.x master makes the topic of half messages 60 s after its start, and so undoes whatever wipe there is."""
POLLS_S = {"documented": 32, "fast": 4}
"""By which every client has asked for the route again."""
ANSWER_TIMEOUT_MS = 15_000
"""Longer than any replication wait: an answer that the slave is not back yet is no time-out."""
STORED = ["SLAVE_NOT_AVAILABLE", "FLUSH_SLAVE_TIMEOUT"]
LOAD = produce(2, rate=400, threads=4, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)
SEEN = Gates(min_acked_before_fault=50, in_flight_at_fault=False)
"""Nodes are stopped when nobody sends to them: that none was under way is what the wipe is for."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)


def of_age(scenario: Prover) -> tuple[Step, ...]:
    """The load runs, and the masters have been up for a while, as in any maintenance."""
    return plan(
        then(ENOUGH, name="loaded"),
        *([then(Elapse(seconds=NEWBORN_S), name="of-age")] * (scenario.version.major < 5)),
    )


def no_failed_send(scenario: Prover) -> list[Expectation]:
    """Every send is acknowledged; where a slave must acknowledge, 11 and 12 are that too, if what they say is true."""
    waits = scenario.topology.slaves and scenario.topology.replication == "sync"
    return [
        metric("unacknowledged", process="p-", but=STORED if waits else []).equals(0),
        *([metric("unstored", statuses=STORED, replicas="master").equals(0)] if waits else []),
    ]


def nothing_lost() -> list[Expectation]:
    """Of what was acknowledged nothing is lost or undelivered, and nothing is there that nobody sent."""
    return [
        forbid("lost", replicas="master"),
        forbid("undelivered", group="g"),
        forbid("phantom"),
        forbid("stored-though-failed"),
    ]


def careless(scenario: Prover, *ways: To) -> Control:
    """The control of all of them: a master moves these ways and nobody wiped it first."""
    return scenario.control(
        "without-the-wipes",
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *(outage(f"to-{way}", ChangeRelease(target=master(0), to=way), after_s=2, for_s=1) for way in ways),
        ),
        demand=no_failed_send(scenario)[:1],
        why="the same moves of a master without the wipes must fail sends",
    )


def everything(scenario: Prover, to: To, suffix: str = "") -> Iterable[tuple[Step, ...]]:
    """Every node in turn: nameservers, and each broker name with its slaves before its master."""
    for number in range(scenario.topology.nameservers):
        yield moved(f"namesrv-{number}{suffix}", nameserver(number), to)
    for number in range(len(scenario.topology.brokers)):
        yield broker_name(scenario, number, to, suffix)


def broker_name(scenario: Prover, number: int, to: To, suffix: str = "") -> tuple[Step, ...]:
    """One broker name: wiped on every nameserver, its slaves moved, its master moved, and writable again.

    A cluster with a wiped master is not whole: each return is waited for by what it must bring.
    """
    before = sum(group.slaves for group in scenario.topology.brokers[:number])
    slaves = range(before, before + scenario.topology.brokers[number].slaves)
    wipe = f"wipe-{number}{suffix}"
    polls = POLLS_S[scenario.timers]
    return plan(
        then(WipeWritePermission(target=master(number)), name=wipe),
        then(Elapse(seconds=polls), name=f"clients-leave-{number}{suffix}"),
        *(returned(f"slave-{n}{suffix}", slave(n), number, to) for n in slaves),
        returned(f"master-{number}{suffix}", master(number), number, to),
        heal(wipe),
        then(Elapse(seconds=polls), name=f"clients-return-{number}{suffix}"),
    )


def returned(name: str, target: str, number: int, to: To) -> tuple[Step, ...]:
    """One broker moved: routed by every nameserver, and its master acknowledges (with a slave in step)."""
    return plan(
        moved(name, target, to, await_health=False),
        then(AwaitRoute(target=target, present=True, since=name, since_heal=True, timeout_s=60), name=f"routed-{name}"),
        then(AwaitAnswer(target=master(number), codes=(0,), timeout_s=60), name=f"acknowledges-{name}"),
    )


def moved(name: str, target: str, to: To, *, await_health: bool = True) -> tuple[Step, ...]:
    """One node stopped, given the other release, and started."""
    return outage(name, ChangeRelease(target=target, to=to, await_health=await_health), after_s=0, for_s=1)
