"""Every way in which the C++ client can send and consume: for tests of that client, not of the product."""

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

MODES = ("sync", "orderly", "oneway", "transaction")


@guarantee("process-kill-loses-nothing")
def test_cpp(scenario: Prover) -> None:
    """Each mode on a topic of its own, through a kill; read by groups that refuse messages, in order, and by all."""
    scenario(
        cluster=ClusterNeeds(
            topics=len(MODES) + 1, broker_conf={"transactionTimeOut": "3000", "transactionCheckInterval": "3000"}
        ),
        load=[
            *(produce(1, name=f"p{mode}", mode=mode, rate=150, topic=n) for n, mode in enumerate(MODES)),
            produce(1, name="plate", rate=50, delay_level=2, topic=len(MODES)),
            consume(1, name="cs", group="gs", topic=0, fail_every=40),
            consume(2, name="cb", group="gb", topic=0, model="broadcasting"),
            consume(2, name="co", group="go", topic=1, listener="orderly", fail_every=60),
            consume(1, name="cw", group="gw", topic=2),
            consume(1, name="ct", group="gt", topic=3),
            consume(1, name="cl", group="gl", topic=len(MODES)),
        ],
        steps=plan(
            *(
                then(AwaitCount(who=f"p{mode}", what="invoked", at_least=400, from_start=True), name=f"{mode}-before")
                for mode in MODES
            ),
            outage("kill", Kill(target=master()), after_s=1, for_s=1),
            *(then(AwaitCount(who=f"p{mode}", what="invoked", at_least=400), name=f"{mode}-after") for mode in MODES),
        ),
        drain_s=120,
        demand=[
            forbid("lost"),
            forbid("phantom"),
            forbid("undelivered"),
            forbid("stored-though-failed", process="psync"),
            forbid("reordered-delivery", group="go"),
        ],
        gates=Gates(min_acked=900),
    )
