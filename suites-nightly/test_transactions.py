"""Transactions: what is committed is seen, what is rolled back never, and what is left open is asked about."""

from __future__ import annotations

from typing import Literal

from harness.suite import (
    ALL_MASTERS,
    AwaitCount,
    AwaitDelivered,
    ClusterNeeds,
    Gates,
    Kill,
    Prover,
    ReadBack,
    StartLoad,
    Step,
    consume,
    forbid,
    guarantee,
    metric,
    observed,
    plan,
    produce,
    then,
)

EACH = 3000
"""Messages of one producer, a quarter of which are to be committed when the broker asks."""
PRODUCERS = 3
UNHURT = Gates(min_acked=500, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)
SETTLE_S = 90
"""Many times what the broker waits before it asks, and between two rounds of asking."""
ALL_PRODUCERS = "+".join(f"client/p-{n}" for n in range(1, PRODUCERS + 1))
CONF = {"transactionTimeOut": "3000", "transactionCheckInterval": "3000"}
# However often a client tries to store a half message: each copy ends as its number says.
LOAD = produce(PRODUCERS, rate=150 * PRODUCERS, mode="transaction", max_messages=EACH, timeout_ms=10_000)
UNDER_WAY = AwaitCount(who="p", what="ok", at_least=600, from_start=True, timeout_s=120)
SETTLED = AwaitDelivered(timeout_s=SETTLE_S)
HALVES = "RMQ_SYS_TRANS_HALF_TOPIC"
"""Where a broker keeps what is not decided yet."""
NO_PERMISSION = 16
REFUSED = 200


@guarantee("transaction-is-all-or-nothing")
def test_every_transaction_ends_as_decided(scenario: Prover) -> None:
    """A producer is killed with transactions open; those left of its group are asked, and all end as was decided.

    The decision is recorded before the broker is told, if it is told at all: half of them it must ask for.
    """
    scenario(
        cluster=ClusterNeeds(broker_conf=CONF),
        load=[LOAD, consume(1)],
        steps=plan(
            then(UNDER_WAY, name="loaded"),
            then(Kill(target="client/p-1", lasting=True), name="killed"),
            *(
                then(
                    AwaitCount(who=f"p-{n}", what="invoked", at_least=EACH, from_start=True, timeout_s=120),
                    name=f"sent-{n}",
                )
                for n in range(2, PRODUCERS + 1)
            ),
            then(SETTLED, name="settled"),
        ),
        demand=[
            observed("settled.all").equals(1),
            forbid("lost"),
            forbid("undelivered"),
            forbid("stored-though-failed"),
            forbid("phantom"),
            forbid("altered"),
        ],
        gates=Gates(in_flight_at_fault=False, min_acked=3000),
        control=scenario.control(
            "nobody-to-ask",
            cluster=ClusterNeeds(broker_conf=CONF),
            load=[LOAD, consume(1)],
            steps=plan(
                then(UNDER_WAY, name="loaded"),
                then(Kill(target=ALL_PRODUCERS, lasting=True), name="killed"),
                then(AwaitDelivered(timeout_s=20), name="settled"),
            ),
            demand=[observed("settled.all").equals(1)],
            gates=Gates(in_flight_at_fault=False, min_acked=500),
            await_deliveries=False,
            why="with nobody of its group left to ask, an open transaction must stay unseen",
        ),
    )


@guarantee("transaction-reject-is-honoured")
def test_a_broker_that_rejects_transactions_takes_none(scenario: Prover) -> None:
    """With rejectTransactionMessage=true every half message is refused with 16, and nothing of it is stored."""
    plain = produce(1, rate=200)
    enough = AwaitCount(who="p", what="ok", at_least=500, from_start=True, timeout_s=120)
    half = produce(1, rate=100, name="tx", mode="transaction", max_messages=REFUSED, retries=0)

    def tried(what: Literal["fail", "invoked"]) -> tuple[Step, ...]:
        return plan(
            then(enough, name="loaded"),
            then(StartLoad(load=(half,)), name="transactions"),
            then(AwaitCount(who="tx", what=what, at_least=REFUSED, from_start=True, timeout_s=90), name="tried"),
            then(ReadBack(phase="halves", target=ALL_MASTERS, topics=(HALVES,)), name="halves"),
        )

    none_taken = metric("acked", process="tx").equals(0)
    scenario(
        cluster=ClusterNeeds(broker_conf={"rejectTransactionMessage": "true"}, insists=True),
        load=[plain],
        steps=tried("fail"),
        demand=[
            none_taken,
            metric("answered", code=NO_PERMISSION, process="tx").equals(REFUSED),
            observed("halves.messages").equals(0),
            forbid("stored-though-failed"),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=UNHURT.model_copy(
            # One that was not answered in time was not refused by anybody.
            update={
                "also": (observed("tried.reached").equals(1),),
                "preconditions": (metric("unknown", process="tx").equals(0),),
            }
        ),
        control=scenario.control(
            "accepted",
            cluster=ClusterNeeds(broker_conf={"rejectTransactionMessage": "false"}, insists=True),
            load=[plain],
            steps=tried("invoked"),
            demand=[none_taken],
            gates=UNHURT,
            why="a broker that rejects none must take the same transactions",
        ),
    )
