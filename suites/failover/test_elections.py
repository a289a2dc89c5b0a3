"""Groups that elect their master: they outlive it, and what was acknowledged every member has afterwards."""

from __future__ import annotations

from harness.suite import (
    ALL_NAMESERVERS,
    ALL_SLAVES,
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Expectation,
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
"""Until sends are acknowledged again: the loss is noticed (10 s), then the election, then a client polls (30 s)."""
GOES_ON = AwaitCount(who="p", what="ok", at_least=500, timeout_s=ELECTED_S)
NO_MAJORITY_S = 15
"""So long that every thread of a producer has sent more than once to a leader that no one follows."""
SHRUNK_S = 25
"""haMaxTimeSlaveNotCatchup (15 s) and one checkSyncStateSetPeriod (5 s): then the master knows that it is alone."""


def _lost(name: str, fault: object) -> tuple[Step, ...]:
    """The master is lost, sends are waited for that another one acknowledges, and it comes back."""
    return plan(
        then(fault, name=name, after_s=3),
        then(GOES_ON, name=f"{name}-goes-on"),
        heal(name, after_s=1),
    )


def _nothing_is_missing(scenario: Prover) -> list[Expectation]:
    """Every member has what was acknowledged, at its place, and no other message there."""
    members = [f"{group.name}-{replica.called}" for group in scenario.topology.brokers for replica in group.replicas]
    return [
        *(forbid("lost", replicas=member) for member in members),
        forbid("phantom"),
        forbid("offset-reuse"),
        forbid("diverged"),
    ]


@guarantee("dledger-survives-leader-loss")
def test_a_group_outlives_its_leader(scenario: Prover) -> None:
    """The leader is killed, paused and cut off: another one acknowledges, and no member lacks what was acknowledged.

    Without its followers a leader acknowledges nothing.
    """
    losses = {
        "killed": Kill(target=master()),
        "paused": Pause(target=master()),
        # From those who follow it alone: clients still reach it, and it must acknowledge nothing to them.
        "cut": Partition(sources=master(), sinks=ALL_SLAVES),
    }
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *(_lost(name, fault) for name, fault in losses.items()),
            outage("alone", Kill(target=ALL_SLAVES), after_s=3, for_s=NO_MAJORITY_S),
            then(Elapse(seconds=5), name="afterwards"),
        ),
        demand=[
            *_nothing_is_missing(scenario),
            forbid("stored-though-failed"),
            *(observed(f"{name}-goes-on.reached").equals(1) for name in losses),
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


@guarantee("controller-failover-loses-nothing")
def test_a_lost_master_is_replaced_without_loss(scenario: Prover) -> None:
    """The master is killed, paused and cut off: a slave takes over, and no member lacks what was acknowledged.

    While every controller is away sends go on. A master whose slaves are gone acknowledges nothing.
    """
    losses = {
        "killed": Kill(target=master()),
        "paused": Pause(target=master()),
        # From its slaves and every controller: clients still reach it, and it must acknowledge nothing to them.
        "cut": Partition(sources=master(), sinks=f"{ALL_SLAVES}+{ALL_NAMESERVERS}"),
    }
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *(_lost(name, fault) for name, fault in losses.items()),
            outage("no-controller", Kill(target=ALL_NAMESERVERS), after_s=3, for_s=15),
            outage("alone", Kill(target=ALL_SLAVES), after_s=3, for_s=SHRUNK_S),
            then(Elapse(seconds=5), name="afterwards"),
        ),
        demand=[
            *_nothing_is_missing(scenario),
            *(observed(f"{name}-goes-on.reached").equals(1) for name in losses),
            metric("ok_in", window="no-controller") > 0,
            metric("ok_despite", window="alone").equals(0),
        ],
        gates=Gates(also=(metric("invoked_in", window="alone") > 0,)),
        control=scenario.control(
            "acknowledged-alone",
            cluster=ClusterNeeds(broker_conf={"allAckInSyncStateSet": "", "minInSyncReplicas": ""}),
            load=[LOAD],
            steps=plan(
                then(Partition(sources=master(), sinks=ALL_SLAVES, one_way=True, lasting=True), name="cut", after_s=3),
                then(Kill(target=master(), lasting=True), name="killed", after_s=2),
                then(GOES_ON, name="goes-on"),
                then(Elapse(seconds=1), name="afterwards"),
            ),
            read_roles="masters",
            demand=[forbid("lost")],
            gates=Gates(min_acked=1000),
            why="a master that waits for no slave acknowledges what a slave that takes over cannot have",
        ),
    )
