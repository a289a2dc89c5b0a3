"""The three ways to send: with an answer, with a callback, and without either."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Elapse,
    Gates,
    Kill,
    Prover,
    forbid,
    guarantee,
    master,
    outage,
    plan,
    produce,
    then,
)

ASYNC = produce(2, rate=600, name="async", mode="async", window=64)
ONE_WAY = produce(1, rate=200, name="oneway", mode="oneway", wait_route=True)
ENOUGH = AwaitCount(who="async", what="ok", at_least=3000, from_start=True, timeout_s=120)
BACK = AwaitCount(who="async", what="ok", at_least=1000, timeout_s=90)


@guarantee("async-callback-fires-once")
def test_every_callback_fires_once(scenario: Prover) -> None:
    """A master is killed twice under asynchronous sends: each has one callback, neither none nor two.

    What was acknowledged is read; one-way sends go on beside them, of which only the bytes are looked at.
    """
    scenario(
        load=[ASYNC, ONE_WAY],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("kill-1", Kill(target=master(0)), after_s=0, for_s=4),
            then(BACK, name="back-1"),
            outage("kill-2", Kill(target=master(0)), after_s=2, for_s=0),
            then(BACK, name="back-2"),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            forbid("never-completed", process="async"),
            forbid("completed-twice", process="async"),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=Gates(min_acked=3000),
    )
