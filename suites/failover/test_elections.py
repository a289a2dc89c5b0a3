"""Groups that elect their master: they outlive it, and what was acknowledged every member has afterwards."""

from __future__ import annotations

from harness.suite import (
    ALL_NAMESERVERS,
    ALL_SLAVES,
    AwaitCount,
    AwaitLeader,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Partition,
    Pause,
    Prover,
    SendDirect,
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
IN_FLIGHT = 2 * 4
"""Sends of that load that can wait for an answer at one instant."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
ELECTED_S = 75
"""Until sends are acknowledged again: the loss is noticed (10 s), then the election, then a client polls (30 s)."""
GOES_ON = AwaitCount(who="p", what="ok", at_least=500, timeout_s=ELECTED_S)
NO_MAJORITY_S = 15
"""So long that every thread of a producer has sent more than once to a leader that no one follows."""
ASKED_S = 10
"""More than a leader waits for its followers before it answers (2.5 s in a DLedger group, 5 s of an HA link)."""
SHRUNK_S = 25
"""haMaxTimeSlaveNotCatchup (15 s) and one checkSyncStateSetPeriod (5 s): then the master knows that it is alone."""


def _lost(name: str, fault: object) -> tuple[Step, ...]:
    """The master is lost, another one takes over and sends are acknowledged, and it comes back."""
    return plan(
        then(AwaitLeader(timeout_s=ELECTED_S), name=f"{name}-led", after_s=3),
        then(fault, name=name),
        then(GOES_ON, name=f"{name}-goes-on"),
        then(AwaitLeader(other_than=f"{name}-led", timeout_s=ELECTED_S), name=f"{name}-leads"),
        heal(name, after_s=1),
    )


def _alone(for_s: float) -> tuple[Step, ...]:
    """All that follow are gone, and the master is asked directly: what it answers may be anything but SEND_OK."""
    return plan(
        then(Kill(target=ALL_SLAVES), name="alone", after_s=3),
        then(SendDirect(target=master(), count=3, timeout_s=ASKED_S), name="asked"),
        heal("alone", after_s=for_s),
    )


REPLACED = ("killed-goes-on", "killed-leads", "paused-goes-on", "paused-leads", "cut-goes-on", "cut-leads")
"""What is seen after each loss, see `_lost`."""


def _another_leads() -> list[Expectation]:
    """Else a master that is cut off from all others might go on alone, and its followers copy it after the heal."""
    return [observed(f"{name}.reached").equals(1) for name in REPLACED]


def _nothing_is_missing(scenario: Prover) -> list[Expectation]:
    """Every member has what was acknowledged, at its place, and no other message there.

    That one of them has it is demanded as well: what one member lacks may be known, what all lack is lost.
    """
    members = [f"{group.name}-{replica.called}" for group in scenario.topology.brokers for replica in group.replicas]
    return [
        forbid("lost"),
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
            _alone(NO_MAJORITY_S),
            then(Elapse(seconds=5), name="afterwards"),
        ),
        demand=[
            *_nothing_is_missing(scenario),
            forbid("stored-though-failed"),
            *_another_leads(),
            metric("ok_despite", window="alone").equals(0),
            observed("asked.accepted").equals(0),
        ],
        gates=Gates(also=(metric("invoked_in", window="alone") > 0, observed("asked.answered") > 0)),
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

    While every controller is away sends go on. A master whose slaves are gone acknowledges nothing; on every release so
    far it acknowledges what waits at the instant at which it learns that it is alone, and after that nothing.
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
            _alone(SHRUNK_S),
            then(Elapse(seconds=5), name="afterwards"),
        ),
        demand=[
            *_nothing_is_missing(scenario),
            *_another_leads(),
            metric("ok_in", window="no-controller") > 0,
            metric("ok_despite", window="alone").equals(0),
            metric("ok_in", window="alone") <= IN_FLIGHT,  # beside what is expected of the one above
            observed("asked.accepted").equals(0),
        ],
        gates=Gates(also=(metric("invoked_in", window="alone") > 0, observed("asked.answered") > 0)),
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
