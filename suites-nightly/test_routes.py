"""What the nameservers' routes make of the load, and that each nameserver is on its own."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Gates,
    Prover,
    WipeWritePermission,
    Writable,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    nameserver,
    observed,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=1000, threads=4)
UNHURT = Gates(
    min_acked=10_000, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0
)


@guarantee("producers-spread-load")
def test_every_queue_has_its_share(scenario: Prover) -> None:
    """Over 10,000 sends no queue of any broker has 5 % more or less than an even share."""
    scenario(
        load=[LOAD],
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=10_000, from_start=True, timeout_s=120), name="loaded"),
        ),
        demand=[metric("queue_share_deviation") <= 0.05, forbid("lost"), forbid("phantom")],
        gates=UNHURT,
    )


@guarantee("nameservers-share-nothing")
def test_a_wipe_is_known_where_it_was_made_alone(scenario: Prover) -> None:
    """Write permission wiped on one nameserver is still there on every other."""
    others = "+".join(nameserver(n) for n in range(1, scenario.topology.nameservers))
    of_others = [observed("elsewhere.yes").equals(scenario.topology.nameservers - 1)]
    enough = AwaitCount(who="p", what="ok", at_least=2000, from_start=True, timeout_s=120)
    scenario(
        load=[LOAD],
        steps=plan(
            then(enough, name="loaded"),
            then(WipeWritePermission(target=master(0), on=nameserver(0)), name="wipe"),
            then(Writable(target=master(0), on=nameserver(0)), name="here"),
            then(Writable(target=master(0), on=others), name="elsewhere"),
            heal("wipe"),
        ),
        demand=[*of_others, forbid("lost"), forbid("phantom")],
        gates=Gates(min_acked=2000, in_flight_at_fault=False, also=(observed("here.no").equals(1),)),
        control=scenario.control(
            "wiped-everywhere",
            load=[LOAD],
            steps=plan(
                then(enough, name="loaded"),
                then(WipeWritePermission(target=master(0)), name="wipe"),
                then(Writable(target=master(0), on=others), name="elsewhere"),
                heal("wipe"),
            ),
            demand=of_others,
            gates=Gates(min_acked=2000, in_flight_at_fault=False),
            why="wiped on all of them it must be seen to be gone from all",
        ),
    )
