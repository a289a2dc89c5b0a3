"""The order in which a cluster is started."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from harness.suite import (
    ALL_MASTERS,
    ALL_NAMESERVERS,
    ALL_SLAVES,
    AwaitCount,
    AwaitHealthy,
    Gates,
    Prover,
    Step,
    Stop,
    forbid,
    guarantee,
    observed,
    outage,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=200, threads=2)
ENOUGH = AwaitCount(who="p", what="ok", at_least=500, from_start=True, timeout_s=120)
BACK = AwaitCount(who="p", what="ok", at_least=100, timeout_s=90)
CONVERGES_S = 120.0
"""Four of the half minutes after which a broker tells the nameservers of itself, and asks for its master's address."""


def _started(number: int, kinds: Sequence[str]) -> tuple[Step, ...]:
    """All are stopped, and started one by one in the order of the kinds; then whether the cluster is whole."""
    return plan(
        outage(f"order-{number}", Stop(target="+".join(kinds), await_health=False), after_s=0, for_s=0),
        then(AwaitHealthy(timeout_s=CONVERGES_S), name=f"whole-{number}"),
        then(BACK, name=f"sends-{number}"),
    )


@guarantee("any-start-order-converges")
def test_every_order_of_starts(scenario: Prover) -> None:
    """Nameservers, masters and slaves are started in every order of the three: each ends in a whole cluster."""
    kinds = [ALL_NAMESERVERS, ALL_MASTERS, *([ALL_SLAVES] if scenario.topology.slaves else [])]
    orders = list(enumerate(permutations(kinds), 1))
    scenario(
        load=[LOAD],
        steps=plan(then(ENOUGH, name="loaded"), *(_started(number, order) for number, order in orders)),
        demand=[
            *(observed(f"whole-{number}.healthy").equals(1) for number, _ in orders),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=Gates(
            min_acked=500,
            in_flight_at_fault=False,
            min_acked_before_fault=0,
            also=tuple(observed(f"sends-{number}.reached").equals(1) for number, _ in orders),
        ),
        control=scenario.control(
            "no-nameserver",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(Stop(target=ALL_NAMESERVERS, lasting=True), name="order-1"),
                then(AwaitHealthy(timeout_s=20), name="whole-1"),
            ),
            demand=[observed("whole-1.healthy").equals(1)],
            gates=Gates(min_acked=500, in_flight_at_fault=False, min_acked_before_fault=0, faults_heal=False),
            why="a cluster whose nameservers are never started must not be whole",
        ),
    )
