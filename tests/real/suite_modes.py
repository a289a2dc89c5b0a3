"""Every way to send and to consume, in one scenario: for tests of the clients and their records, not of the product."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Gates,
    Kill,
    Prover,
    consume,
    forbid,
    guarantee,
    master,
    outage,
    plan,
    produce,
    then,
)

MODES = ("sync", "async", "orderly", "oneway")


@guarantee("process-kill-loses-nothing")
def test_modes(scenario: Prover) -> None:
    """Each mode on a topic of its own, read by groups that refuse messages, in order and not, and by one for all."""
    scenario(
        cluster=ClusterNeeds(topics=len(MODES)),
        load=[
            *(produce(1, name=f"p{mode}", mode=mode, rate=150, threads=2, topic=n) for n, mode in enumerate(MODES)),
            consume(1, name="cs", group="gs", topic=0, fail_every=40),
            consume(2, name="ca", group="ga", topic=1, model="broadcasting"),
            consume(2, name="cr", group="gr", topic=2, listener="orderly", fail_every=60),
            consume(1, name="co", group="go", topic=3, listener="orderly", fail_every=50),
        ],
        steps=plan(
            *(
                then(AwaitCount(who=f"p{mode}", what="invoked", at_least=300, from_start=True), name=f"{mode}-before")
                for mode in MODES
            ),
            outage("kill", Kill(target=master()), after_s=1, for_s=1),
            *(then(AwaitCount(who=f"p{mode}", what="invoked", at_least=300), name=f"{mode}-after") for mode in MODES),
        ),
        drain_s=120,
        demand=[
            *(forbid("lost", process=f"p{mode}") for mode in MODES if mode != "oneway"),
            forbid("phantom"),
            forbid("undelivered"),
            forbid("reordered-delivery", group="gr"),
        ],
        gates=Gates(min_acked=900),
    )
