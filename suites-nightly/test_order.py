"""Order within a queue, whoever of the group is there to consume it."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Elapse,
    Gates,
    Kill,
    Prover,
    StartLoad,
    consume,
    forbid,
    guarantee,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=600, threads=2, mode="orderly")
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
LOCK_S = 60
"""How long a dead consumer's lock on a queue lives at the broker (rocketmq.broker.rebalance.lockMaxLiveTime)."""


@guarantee("queue-order-holds")
def test_an_orderly_group_is_given_each_queue_in_order(scenario: Prover) -> None:
    """Messages of a key are stored in the order of their sends and given in that order, while members die and join."""
    scenario(
        load=[LOAD, consume(3, listener="orderly")],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(AwaitCount(who="c-1", what="delivered", at_least=100, from_start=True), name="victim-works"),
            then(Kill(target="client/c-1", lasting=True), name="consumer-killed"),
            then(Elapse(seconds=LOCK_S + 10), name="lock-expires"),
            then(StartLoad(load=(consume(2, name="late", listener="orderly"),)), name="others-join"),
            then(AwaitCount(who="late", what="delivered", at_least=500, timeout_s=60), name="others-work"),
        ),
        drain_s=150,
        demand=[
            forbid("reordered-store"),
            forbid("reordered-delivery", group="g"),
            forbid("undelivered"),
            forbid("lost"),
        ],
        control=scenario.control(
            "concurrent-listener",
            load=[LOAD, consume(3, listener="concurrent")],
            steps=plan(then(ENOUGH, name="loaded")),
            demand=[forbid("reordered-delivery", group="g")],
            gates=Gates(
                min_acked=3000, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0
            ),
            why="a concurrent listener must be seen to be given messages of a queue out of order",
        ),
    )
