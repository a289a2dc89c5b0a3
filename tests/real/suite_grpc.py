"""Every way in which the gRPC client can send and consume: for tests of that client, not of the product."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Gates,
    Prover,
    consume,
    forbid,
    guarantee,
    metric,
    plan,
    produce,
    then,
)

MODES = ("sync", "async", "orderly", "transaction")
EACH = 200


@guarantee("process-kill-loses-nothing")
def test_grpc(scenario: Prover) -> None:
    """Each mode on a topic made for it; groups that are pushed to, that consume in order, and that ask."""
    scenario(
        cluster=ClusterNeeds(
            topics=len(MODES) + 1, broker_conf={"transactionTimeOut": "3000", "transactionCheckInterval": "3000"}
        ),
        load=[
            *(
                produce(1, name=f"p{mode}", mode=mode, rate=100, topic=n, max_messages=EACH)
                for n, mode in enumerate(MODES)
            ),
            produce(1, name="plate", rate=100, delay_level=2, topic=len(MODES), max_messages=EACH),
            consume(2, name="cs", group="gs", topic=0),
            consume(1, name="ca", group="ga", topic=1, listener="simple"),
            consume(2, name="co", group="go", topic=2, listener="orderly"),
            consume(1, name="ct", group="gt", topic=3),
            consume(1, name="cl", group="gl", topic=len(MODES)),
        ],
        steps=plan(
            *(
                then(AwaitCount(who=who, what="invoked", at_least=EACH, from_start=True, timeout_s=120), name=who)
                for who in (*(f"p{mode}" for mode in MODES), "plate")
            ),
        ),
        drain_s=90,
        demand=[
            forbid("lost"),
            forbid("phantom"),
            forbid("undelivered"),
            forbid("stored-though-failed"),
            forbid("reordered-key", group="go"),
            metric("delay_s", which="least", process="plate", group="gl") >= 5,
        ],
        gates=Gates(
            min_acked=700, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0
        ),
    )
