"""apache/rocketmq issue 313: whatever changes one topic of a broker gives all of them their permission back."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    AwaitRoute,
    ClusterNeeds,
    Elapse,
    Gates,
    Prover,
    SetQueues,
    Step,
    Stop,
    WipeWritePermission,
    Writable,
    forbid,
    guarantee,
    heal,
    master,
    observed,
    of_age,
    outage,
    plan,
    produce,
    then,
)

LOAD = produce(1, rate=100)
TWO = ClusterNeeds(topics=2)
OTHER = SetQueues(queues=ClusterNeeds().queues + 1, topic=1)
SETTLE_S = 5
REGISTER_S = {"documented": 30, "fast": 10}
LOOK = Writable(target=master(0), topic=0)
SEEN = Gates(
    min_acked=500,
    min_acked_before_fault=0,
    in_flight_at_fault=False,
    preconditions=(observed("wiped.yes").equals(0),),
)


@guarantee("issue-313-one-topic-restores-all")
def test_a_wipe_outlives_the_change_of_another_topic(scenario: Prover) -> None:
    """A broker's write permission is wiped, and another topic is given a queue more: the first stays unwritable.

    Up to 4.2.0 each change of a topic makes the broker register its whole table anew, and with it all permissions.
    """
    stays = [observed("afterwards.yes").equals(0)]

    def steps(*between: tuple[Step, ...]) -> tuple[Step, ...]:
        return plan(
            then(AwaitCount(who="p", what="ok", at_least=500, from_start=True, timeout_s=120), name="loaded"),
            of_age(scenario),
            then(WipeWritePermission(target=master(0)), name="wipe"),
            then(LOOK, name="wiped"),
            *between,
            then(Elapse(seconds=REGISTER_S[scenario.timers] + SETTLE_S), name="registered"),
            then(LOOK, name="afterwards"),
            heal("wipe"),
        )

    scenario(
        cluster=TWO,
        load=[LOAD],
        steps=steps(then(OTHER, name="other-changed")),
        demand=[*stays, forbid("lost", replicas="master"), forbid("phantom")],
        gates=SEEN,
        control=scenario.control(
            "restarted",
            cluster=TWO,
            load=[LOAD],
            steps=steps(
                outage("restart", Stop(target=master(0), await_health=False), after_s=0, for_s=1),
                then(
                    AwaitRoute(target=master(0), present=True, since="restart", since_heal=True, timeout_s=60),
                    name="back",
                ),
            ),
            demand=stays,
            gates=SEEN,
            why="the restart of its broker must be seen to end a wipe",
        ),
    )
