"""A master that was cut off and replaced while clients wrote to it: how soon it follows, and what its queues hold."""

from __future__ import annotations

from harness.suite import (
    ALL_NAMESERVERS,
    ALL_SLAVES,
    AwaitCount,
    AwaitHealthy,
    AwaitLeader,
    Elapse,
    Gates,
    Kill,
    Partition,
    Prover,
    StopLoad,
    forbid,
    guarantee,
    heal,
    master,
    observed,
    plan,
    produce,
    then,
)

LIGHT = produce(2, rate=150, threads=2, timeout_ms=5000)
HEAVY = produce(2, rate=160, threads=6, body_bytes=30_000, timeout_ms=5000, name="heavy")
"""Several blocks of 32 kB under way at a time: then the master's log is ahead of what its slaves have confirmed."""
LOADED = AwaitCount(who="heavy", what="ok", at_least=500, from_start=True, timeout_s=120)
ELECTED_S = 75
"""Until sends are acknowledged again: the loss is noticed (10 s), then the election, then a client polls (30 s)."""
GOES_ON = AwaitCount(who="p", what="ok", at_least=300, timeout_s=ELECTED_S)
SOON_S = 60
"""Ten seconds until it hears of its new master, its log cut back, what it lacks copied: and what the machine adds."""


@guarantee("demoted-master-follows-soon")
def test_a_demoted_master_follows_and_has_everything_in_its_queues(scenario: Prover) -> None:
    """Cut off, replaced and healed, the old master follows within a minute; after a kill its queues lack nothing."""
    members = [f"{group.name}-{replica.called}" for group in scenario.topology.brokers for replica in group.replicas]
    cut = Partition(sources=master(), sinks=f"{ALL_SLAVES}+{ALL_NAMESERVERS}", await_health=False)
    soon = observed("back.seconds") < SOON_S
    begin = (
        then(LOADED, name="loaded"),
        then(AwaitLeader(timeout_s=ELECTED_S), name="led", after_s=1),
    )
    scenario(
        load=[LIGHT, HEAVY],
        steps=plan(
            *begin,
            then(cut, name="cut"),
            then(GOES_ON, name="goes-on"),
            then(AwaitLeader(other_than="led", timeout_s=ELECTED_S), name="leads"),
            then(StopLoad(name="heavy"), name="no-more-heavy"),
            heal("cut", after_s=1),
            then(AwaitHealthy(timeout_s=240), name="back"),
            then(AwaitCount(who="p", what="ok", at_least=1500, timeout_s=120), name="more"),
            then(Kill(target=ALL_SLAVES), name="killed", after_s=1),
            heal("killed", after_s=1),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            soon,
            observed("leads.reached").equals(1),
            forbid("lost"),  # what one member lacks may be known, what all lack is lost
            *(forbid("lost", replicas=member) for member in members),
            forbid("diverged"),
            forbid("phantom"),
        ],
        gates=Gates(min_acked=2000, preconditions=(observed("back.healthy").equals(1),)),
        control=scenario.control(
            "never-healed",
            load=[LIGHT, HEAVY],
            steps=plan(
                *begin,
                then(cut.model_copy(update={"lasting": True}), name="cut"),
                then(GOES_ON, name="goes-on"),
                then(AwaitHealthy(timeout_s=SOON_S), name="back"),
            ),
            demand=[soon],
            gates=Gates(min_acked=1000, healthy=False),
            why="a master that is still cut off does not follow anybody",
        ),
    )
