"""apache/rocketmq issue 4215: a consumer whose offset is beyond its queue's end begins anew from the first message."""

from __future__ import annotations

from typing import Literal

from harness.suite import (
    AwaitCount,
    AwaitDelivered,
    ClusterNeeds,
    Gates,
    MoveOffsets,
    Prover,
    StartLoad,
    Step,
    StopLoad,
    consume,
    forbid,
    guarantee,
    metric,
    observed,
    plan,
    produce,
    then,
)

SENDS = 2000
FIRST = produce(1, rate=400, max_messages=SENDS, retries=0, timeout_ms=10_000)
MORE = produce(1, name="more", rate=50, max_messages=5000, retries=0, timeout_ms=10_000)
AGAIN = consume(1, name="again")
GOES_ON = AwaitCount(who="again", what="delivered", at_least=300, from_start=True, timeout_s=120)
UNHURT = Gates(
    min_acked=SENDS,
    in_flight_at_fault=False,
    faults_bite=False,
    faults_heal=False,
    min_acked_before_fault=0,
    preconditions=(observed("moved.moved").equals(ClusterNeeds().queues),),
    also=(observed("goes-on.reached").equals(1),),
)


@guarantee("issue-4215-begins-anew")
def test_a_consumer_that_is_ahead_does_not_begin_anew(scenario: Prover) -> None:
    """A group has consumed everything, and its offsets are then beyond the end: it goes on with what comes new.

    So it is left when a broker loses the end of its queues. The client, told that its offset is none, takes the one
    that the broker answers, some ten seconds later.
    """
    few = metric("duplicate_ratio", group="g") < 0.1

    def steps(to: Literal["first", "beyond"]) -> tuple[Step, ...]:
        return plan(
            then(AwaitCount(who="p", what="invoked", at_least=SENDS, from_start=True, timeout_s=120), name="sent"),
            then(AwaitDelivered(timeout_s=60), name="delivered"),
            then(StopLoad(name="c"), name="no-consumer"),
            then(MoveOffsets(group="g", to=to), name="moved"),
            then(StartLoad(load=(AGAIN,)), name="again-there"),
            then(StartLoad(load=(MORE,)), name="more-there"),
            then(
                AwaitCount(who="again", what="delivered", at_least=300, from_start=True, timeout_s=120), name="goes-on"
            ),
        )

    scenario(
        load=[FIRST, consume(1)],
        steps=steps("beyond"),
        await_deliveries=False,  # what came before the broker said where to go on is skipped, as it must be
        demand=[few, forbid("lost", replicas="master"), forbid("phantom")],
        gates=UNHURT,
        control=scenario.control(
            "from-the-first",
            load=[FIRST, consume(1)],
            steps=steps("first"),
            await_deliveries=False,
            demand=[few],
            gates=UNHURT,
            why="a group that is sent back to the first message must be seen to be given everything again",
        ),
    )
