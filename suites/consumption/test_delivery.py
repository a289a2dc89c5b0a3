"""Delivery: at least once, whatever dies."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Elapse,
    Gates,
    Kill,
    Prover,
    Stop,
    consume,
    forbid,
    guarantee,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    then,
)

ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""


@guarantee("at-least-once")
def test_every_acknowledged_message_is_delivered(scenario: Prover) -> None:
    """Consumer killed, broker killed, broker restarted: all acknowledged is delivered, on average less than twice."""
    scenario(
        load=[produce(2, rate=800, threads=4), consume(3)],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(AwaitCount(who="c-1", what="delivered", at_least=100, from_start=True), name="victim-works"),
            then(Kill(target="client/c-1", lasting=True), name="consumer-killed"),
            outage("broker-killed", Kill(target=master(0)), after_s=4, for_s=2),
            outage("broker-restarted", Stop(target=master(0)), after_s=4, for_s=2),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        drain_s=150,
        demand=[
            forbid("undelivered"),
            forbid("lost", replicas="master"),
            forbid("phantom"),
            metric("duplicate_ratio") < 0.5,
        ],
        gates=Gates(preconditions=(observed("victim-works.reached").equals(1),)),
    )
