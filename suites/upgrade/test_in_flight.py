"""What is on its way while brokers move to another release: delayed, retried, ordered and undecided messages."""

from __future__ import annotations

from harness.suite import (
    ANSWER_TIMEOUT_MS,
    AwaitCount,
    AwaitDelivered,
    ClusterNeeds,
    Gates,
    Prover,
    StartLoad,
    consume,
    forbid,
    guarantee,
    metric,
    plan,
    produce,
    then,
)
from suites.upgrade.moves import broker_name, loaded

DELAY_LEVEL, DELAY_S = 6, 120.0
"""Longer than a broker name takes to move: what was sent just before is due after it."""
ROUNDED_S = 0.001
"""The broker counts in whole milliseconds from when it stored a message."""
TOPICS = ClusterNeeds(topics=5, broker_conf={"transactionTimeOut": f"{DELAY_S * 1000:.0f}"})
"""The broker asks for the end of a transaction that is as old as delayed messages are when they are due."""
STEADY = produce(1, rate=200, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)
ORDERED = produce(1, name="ordered", rate=100, mode="orderly", topic=2, timeout_ms=ANSWER_TIMEOUT_MS)
SOME = 600
DELAYED = produce(
    1, name="delayed", rate=50, delay_level=DELAY_LEVEL, topic=1, max_messages=SOME, timeout_ms=ANSWER_TIMEOUT_MS
)
UNDECIDED = produce(
    1,
    name="tx",
    rate=50,
    mode="transaction",
    topic=3,
    max_messages=SOME,
    retries=0,
    timeout_ms=ANSWER_TIMEOUT_MS,
)
REFUSED = produce(1, name="refused", rate=50, topic=4, max_messages=SOME, timeout_ms=ANSWER_TIMEOUT_MS)
WAITING = {"delayed": "g-delayed", "tx": "g-tx", "refused": "g-refused"}
CONSUMERS = (
    consume(1, name="c", group="g"),
    consume(1, name="cd", group="g-delayed", topic=1),
    consume(1, name="co", group="g-ordered", topic=2, listener="orderly"),
    consume(1, name="ct", group="g-tx", topic=3),
    consume(1, name="cr", group="g-refused", topic=4, fail_every=3, fail_attempts=1, retry_level=DELAY_LEVEL),
)
EARLY = DELAYED.model_copy(update={"delay_level": DELAY_LEVEL - 1})
ON_TIME = metric("delay_s", group="g-delayed", which="least") >= DELAY_S - ROUNDED_S
UNHURT = Gates(min_acked=500, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)
FEW = Gates(min_acked=2000, min_acked_before_fault=20, in_flight_at_fault=False)


@guarantee("upgrade-keeps-what-is-in-flight")
def test_what_is_on_its_way_arrives(scenario: Prover) -> None:
    """A broker name moves while each kind of message is on its way there: all arrive, none early, and in order.

    Messages that a consumer refused come again, and transactions that were open end as their producer decided.
    """
    sent = then(AwaitCount(who="delayed", what="ok", at_least=400, from_start=True, timeout_s=120), name="delayed-sent")
    first = str(scenario.topology.brokers[0].name)
    scenario(
        cluster=TOPICS,
        load=[STEADY, ORDERED, *CONSUMERS],
        steps=plan(
            loaded(scenario),
            then(StartLoad(load=(DELAYED, UNDECIDED, REFUSED)), name="on-their-way"),
            sent,
            *(
                then(
                    AwaitCount(who=name, what="invoked", at_least=400, from_start=True, timeout_s=60),
                    name=f"{name}-sent",
                )
                for name in ("tx", "refused")
            ),
            broker_name(scenario, 0, "upgrade"),
            # Who ends is asked for no transaction any more.
            then(AwaitDelivered(group="g-tx", timeout_s=DELAY_S + 120), name="decided"),
        ),
        drain_s=DELAY_S + 120,
        demand=[
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("phantom"),
            forbid("stored-though-failed"),
            forbid("reordered-store", process="ordered"),
            forbid("reordered-delivery", group="g-ordered"),
            ON_TIME,
            metric("attempts", group="g-refused", which="most") >= 2,
        ],
        gates=FEW.model_copy(
            update={
                "also": tuple(
                    metric("straddled", process=name, group=group, broker=first, window="master-0") >= 20
                    for name, group in WAITING.items()
                )
            }
        ),
        control=scenario.control(
            "one-level-less",
            cluster=TOPICS,
            load=[STEADY, EARLY, *CONSUMERS[:2]],
            steps=plan(sent),
            drain_s=DELAY_S,
            demand=[ON_TIME],
            gates=UNHURT,
            why="messages of the next shorter level must be seen to be early",
        ),
    )
