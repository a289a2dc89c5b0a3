"""Delivery: at least once, whatever dies."""

from __future__ import annotations

from harness.suite import Kill, Prover, Stop, at, consume, forbid, guarantee, heal, master, metric, plan, produce


@guarantee("at-least-once")
def test_every_acknowledged_message_is_delivered(scenario: Prover) -> None:
    """Consumer killed, broker killed, broker restarted: all acknowledged is delivered; duplicates are counted."""
    scenario(
        load=[produce(4, rate=600), consume(3)],
        steps=plan(
            at(8, Kill(target="client/c-1", lasting=True), name="consumer-killed"),
            at(14, Kill(target=master(0)), name="broker-killed"),
            heal("broker-killed", 18),
            at(26, Stop(target=master(0)), name="broker-restarted"),
            heal("broker-restarted", 30),
        ),
        duration_s=36,
        drain_s=120,
        demand=[
            forbid("undelivered"),
            forbid("lost"),
            forbid("phantom"),
            metric("duplicate_ratio") < 1,
        ],
    )
