"""Every node is moved to another release in turn, under load, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from harness.suite import (
    AwaitAnswer,
    AwaitCount,
    AwaitRoute,
    ChangeRelease,
    Elapse,
    Prover,
    Step,
    WipeWritePermission,
    consume,
    forbid,
    guarantee,
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
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)


@guarantee("rolling-upgrade-loses-nothing")
def test_every_node_moves_in_turn(scenario: Prover) -> None:
    """Nameservers, then slaves, then masters that were wiped first: no send fails, and nothing is lost or made twice.

    Of a master whose slave must acknowledge, a client that comes back may be answered 11 or 12: stored, and no failed
    send.
    """
    waits = scenario.topology.slaves and scenario.topology.replication == "sync"
    names = [str(group.name) for group in scenario.topology.brokers]
    stops = [f"master-{number}" for number in range(len(names))]
    scenario(
        load=[LOAD, consume(2, group="g")],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *([then(Elapse(seconds=NEWBORN_S), name="of-age")] * (scenario.version.major < 5)),
            *everything(scenario, "upgrade"),
        ),
        demand=[
            metric("unacknowledged", process="p-", but=STORED if waits else []).equals(0),
            *([metric("unstored", statuses=STORED, replicas="master").equals(0)] if waits else []),
            forbid("lost", replicas="master"),
            forbid("undelivered", group="g"),
            forbid("phantom"),
            forbid("stored-though-failed"),
            *(
                metric("ok_despite", window=stop, since="inject", margin_s=0, broker=name).equals(0)
                for stop, name in zip(stops, names, strict=True)
            ),
            *(
                metric("ok_in", window=stop, since="recovered", until="end", broker=name) > 0
                for stop, name in zip(stops, names, strict=True)
            ),
        ],
        control=scenario.control(
            "without-the-wipes",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                *(
                    outage(stop, ChangeRelease(target=master(number)), after_s=2, for_s=1)
                    for number, stop in enumerate(stops)
                ),
            ),
            demand=[metric("unacknowledged", process="p-", but=STORED if waits else []).equals(0)],
            why="the same moves of the masters without the wipes must fail sends",
        ),
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
