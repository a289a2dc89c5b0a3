"""How nodes are moved to another release: as an operator would, one at a time, each broker wiped first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from harness.suite import (
    ANSWER_TIMEOUT_MS,
    AwaitCount,
    ChangeRelease,
    Control,
    Expectation,
    Gates,
    Prover,
    Step,
    forbid,
    in_turn,
    master,
    metric,
    nameserver,
    no_failed_send,
    of_age,
    outage,
    plan,
    produce,
    then,
)

To = Literal["upgrade", "first"]

LOAD = produce(2, rate=400, threads=4, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)
SEEN = Gates(min_acked_before_fault=50, in_flight_at_fault=False)
"""Nodes are stopped when nobody sends to them: that none was under way is what the wipe is for."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)


def loaded(scenario: Prover) -> tuple[Step, ...]:
    """The load runs, and the masters are of age."""
    return plan(then(ENOUGH, name="loaded"), of_age(scenario))


FEW_AGAIN = 0.1
"""A broker that forgot its groups' offsets would have a third of all deliveries made again or more.

A stop costs what was consumed since they were last written down: 1 % at most where it was measured.
"""


def nothing_lost(scenario: Prover) -> list[Expectation]:
    """Of what was acknowledged nothing is lost or undelivered, and nothing is there that nobody sent.

    Consumers go on where they were: the offsets move with the store. Slaves copied across releases, in both directions
    where a cluster goes back: in the end each has what was acknowledged, and at every place what its master has.
    """
    copies = [forbid("lost", replicas="slave"), forbid("diverged")] if scenario.topology.slaves else []
    return [
        metric("duplicate_ratio", group="g") < FEW_AGAIN,
        forbid("lost", replicas="master"),
        forbid("undelivered", group="g"),
        forbid("phantom"),
        forbid("stored-though-failed"),
        *copies,
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
    yield from nameservers(scenario, to, suffix)
    for number in range(len(scenario.topology.brokers)):
        yield broker_name(scenario, number, to, suffix)


def nameservers(scenario: Prover, to: To, suffix: str = "") -> Iterable[tuple[Step, ...]]:
    """Every nameserver in turn."""
    for number in range(scenario.topology.nameservers):
        yield moved(f"namesrv-{number}{suffix}", nameserver(number), to)


def broker_name(
    scenario: Prover, number: int, to: To, suffix: str = "", *, master_first: bool = False
) -> tuple[Step, ...]:
    """One broker name: wiped on every nameserver, its slaves moved, its master moved, and writable again."""

    def moves(target: str) -> ChangeRelease:
        return ChangeRelease(target=target, to=to, await_health=False)

    return in_turn(scenario, number, moves, suffix, master_first=master_first)


def moved(name: str, target: str, to: To) -> tuple[Step, ...]:
    """One node stopped, given the other release, and started."""
    return outage(name, ChangeRelease(target=target, to=to), after_s=0, for_s=1)
