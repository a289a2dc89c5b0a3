"""apache/rocketmq issue 3473: a graceful stop forgets how far delayed messages had been delivered."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Gates,
    Kill,
    Prover,
    Step,
    Stop,
    consume,
    forbid,
    guarantee,
    master,
    metric,
    outage,
    plan,
    produce,
    then,
)

LEVEL = 2
"""Five seconds."""
SENDS = 3000
LOAD = (produce(1, rate=100, delay_level=LEVEL, max_messages=SENDS, retries=0, timeout_ms=10_000), consume(1))
UNHURT = Gates(min_acked=1000, min_acked_before_fault=50, in_flight_at_fault=False)


@guarantee("issue-3473-delayed-twice")
def test_what_was_delivered_is_not_delivered_again(scenario: Prover) -> None:
    """A broker is stopped as mqshutdown does while it delivers delayed messages: none of them is stored a second time.

    How far it had come is written down every ten seconds. A broker that does not do so as it ends begins, after its
    start, where it last did, and delivers again what it had delivered since.
    """
    once = metric("duplicates_stored").equals(0)
    # Some were waiting when the broker ended, and came after.
    waiting = metric("straddled", process="p", window="end", group="g") >= 50
    gates = UNHURT.model_copy(update={"also": (waiting,)})

    def steps(ends: Stop | Kill) -> tuple[Step, ...]:
        return plan(
            then(
                AwaitCount(who="c", what="delivered", at_least=800, from_start=True, timeout_s=120), name="delivering"
            ),
            outage("end", ends, after_s=0, for_s=1),
            then(AwaitCount(who="p", what="invoked", at_least=SENDS, from_start=True, timeout_s=120), name="sent"),
        )

    scenario(
        load=LOAD,
        steps=steps(Stop(target=master(0))),
        drain_s=60,
        demand=[once, forbid("lost", replicas="master"), forbid("undelivered"), forbid("phantom")],
        gates=gates,
        control=scenario.control(
            "killed",
            load=LOAD,
            steps=steps(Kill(target=master(0))),
            drain_s=60,
            demand=[once],
            gates=gates,
            why="a broker that is killed must be seen to deliver some of them again",
        ),
    )
