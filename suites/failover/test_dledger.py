"""A DLedger group of three: what it acknowledges a majority has, and it outlives one of them by electing another."""

from __future__ import annotations

from harness.suite import (
    ALL_SLAVES,
    AwaitCount,
    Elapse,
    Gates,
    Kill,
    Partition,
    Pause,
    Prover,
    Step,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=500, threads=4, timeout_ms=5000)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
ELECTED_S = 75
"""Until sends are acknowledged again: the election (some 10 s), the registration, a client's poll of routes (30 s)."""
WITHOUT_MAJORITY_S = 15
"""So long that every thread of a producer has sent more than once to a leader that no one follows."""
GOES_ON = AwaitCount(who="p", what="ok", at_least=500, timeout_s=ELECTED_S)


def _loss(name: str, fault: object) -> tuple[Step, ...]:
    """The leader is lost, sends are waited for that another one acknowledges, and it comes back."""
    return plan(
        then(fault, name=name, after_s=3),
        then(GOES_ON, name=f"{name}-goes-on"),
        heal(name, after_s=1),
    )


LOSSES = {
    "killed": Kill(target=master()),
    "paused": Pause(target=master()),
    # From those who follow it alone: clients still reach it, and it must acknowledge nothing to them.
    "cut": Partition(sources=master(), sinks=ALL_SLAVES),
}


@guarantee("dledger-survives-leader-loss")
def test_a_group_outlives_its_leader(scenario: Prover) -> None:
    """The leader is killed, paused and cut off: another one acknowledges, and no member lacks what was acknowledged.

    Without its followers a leader acknowledges nothing.
    """
    members = [f"{group.name}-{replica.called}" for group in scenario.topology.brokers for replica in group.replicas]
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *(_loss(name, fault) for name, fault in LOSSES.items()),
            outage("alone", Kill(target=ALL_SLAVES), after_s=3, for_s=WITHOUT_MAJORITY_S),
            then(Elapse(seconds=5), name="afterwards"),
        ),
        demand=[
            *(forbid("lost", replicas=member) for member in members),
            forbid("phantom"),
            forbid("stored-though-failed"),
            forbid("offset-reuse"),
            forbid("diverged"),
            *(observed(f"{name}-goes-on.reached").equals(1) for name in LOSSES),
            metric("ok_despite", window="alone").equals(0),
        ],
        gates=Gates(also=(metric("invoked_in", window="alone") > 0,)),
        control=scenario.control(
            "two-of-three-gone",
            load=[LOAD],
            steps=plan(
                then(Kill(target="master/0+slave/0"), name="killed", after_s=3),
                then(GOES_ON, name="killed-goes-on"),
                heal("killed"),
            ),
            demand=[observed("killed-goes-on.reached").equals(1)],
            gates=Gates(min_acked=1000),
            why="one of three is no majority: nobody may be elected, and nothing acknowledged",
        ),
    )
