"""What can be shown of a cluster that somebody else runs, with no fault but the death of our own clients.

Each function judges a part of its row: what the row says of broken brokers is for those that break them, which run here
too where the cluster's owner gave hooks.
"""

from __future__ import annotations

from harness.suite import (
    ALL_SLAVES,
    AwaitCount,
    AwaitDelivered,
    AwaitHealthy,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Prover,
    ReadBack,
    SendDirect,
    Step,
    StopLoad,
    consume,
    forbid,
    guarantee,
    master,
    metric,
    observed,
    plan,
    produce,
    slave,
    then,
)

RATE = 400
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
UNHURT = Gates(in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)
LEVELS = {2: 5.0, 3: 10.0, 4: 30.0}
"""Delay level -> seconds, of the shipped messageDelayLevel."""
ROUNDED_S = 0.001
"""The broker counts in whole milliseconds from when it stored a message."""
LATE_S = 5.0
EACH = 1500
"""Messages of one transactional producer, a quarter of which are to be committed when the broker asks."""
PRODUCERS = 3
ASKED_S = 240
"""A broker asks 6 s after the half message at the earliest, in rounds of 30 s (5.x) or 60 s (4.x), some at a time."""
UNASKED_S = 75
"""Longer than one round of asking."""


@guarantee("at-least-once")
def test_all_is_delivered_though_a_consumer_dies(scenario: Prover) -> None:
    """No broker is hurt: a consumer is killed, and all acknowledged is delivered, on average less than twice."""
    scenario(
        load=[produce(2, rate=RATE, threads=4), consume(3)],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(AwaitCount(who="c-1", what="delivered", at_least=100, from_start=True), name="victim-works"),
            then(Kill(target="client/c-1", lasting=True), name="consumer-killed"),
            then(Elapse(seconds=4), name="afterwards"),
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


@guarantee("slave-is-not-writable")
def test_a_slave_takes_no_write_beside_its_master(scenario: Prover) -> None:
    """With its master up, sends straight to a slave are refused, and nothing of them is stored."""
    code = 14 if scenario.version.major < 5 else 2
    sends, least = 50, 40
    look = SendDirect(target=slave(0), count=sends, among=(code,))
    scenario(
        load=[produce(2, rate=RATE, threads=4)],
        steps=plan(then(ENOUGH, name="loaded"), then(look, name="master-up")),
        demand=[
            *(observed(f"master-up.{what}").equals(0) for what in ("stored", "accepted", "codes.other")),
            forbid("stored-though-failed"),
            forbid("lost", replicas="master"),
        ],
        gates=UNHURT.model_copy(update={"also": (observed("master-up.answered") >= least,)}),
        control=scenario.control(
            "to-the-master",
            load=[produce(2, rate=RATE, threads=4)],
            steps=plan(then(SendDirect(target=master(0), count=sends), name="master-up", after_s=2)),
            demand=[observed("master-up.stored").equals(0)],
            why="the same sends to the master must be taken",
            gates=UNHURT.model_copy(update={"min_acked": 300}),
        ),
    )


@guarantee("replicas-agree")
def test_replicas_hold_the_same(scenario: Prover) -> None:
    """Without a fault: when the load has ended, every offset holds the same bytes on all replicas, and none lacks."""
    scenario(
        load=[produce(2, rate=RATE, threads=4)],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(StopLoad(name="p"), name="no-more-sends"),
            then(AwaitHealthy(), name="in-step"),
            then(ReadBack(phase="slaves", target=ALL_SLAVES), name="slaves-read"),
        ),
        demand=[forbid("diverged"), forbid("lost", replicas="master"), forbid("lacking")],
        gates=UNHURT.model_copy(update={"preconditions": (observed("slaves-read.complete").equals(1),)}),
    )


@guarantee("delay-is-never-early")
def test_no_delayed_message_is_early_on_a_calm_cluster(scenario: Prover) -> None:
    """Without a fault: messages of three delay levels come no sooner than their delay, and all of them."""
    gates = UNHURT.model_copy(update={"min_acked": 600})

    def late(less: int) -> list[Expectation]:
        return [
            demand
            for level, delay_s in LEVELS.items()
            for demand in (
                metric("delay_s", which="least", process=f"level{level}") >= delay_s - ROUNDED_S,
                metric("delay_s", which="most", process=f"level{level}") < delay_s + LATE_S,
            )[: 2 - less]
        ]

    def sent(at_least: int) -> list[tuple[Step, ...]]:
        counts = {n: AwaitCount(who=f"level{n}", what="ok", at_least=at_least, from_start=True) for n in LEVELS}
        return [then(count, name=f"sent-{n}") for n, count in counts.items()]

    scenario(
        load=[*(produce(1, name=f"level{level}", rate=40, delay_level=level) for level in LEVELS), consume(2)],
        steps=plan(*sent(250), *(then(StopLoad(name=f"level{n}"), name=f"no-more-{n}") for n in LEVELS)),
        drain_s=150,
        demand=[*late(0), forbid("undelivered"), forbid("phantom"), forbid("stored-though-failed")],
        gates=gates,
        control=scenario.control(
            "one-level-less",
            load=[*(produce(1, name=f"level{n}", rate=40, delay_level=n - 1) for n in LEVELS), consume(2)],
            steps=plan(*sent(200)),
            drain_s=60,
            demand=late(1),
            gates=gates,
            why="messages of the next shorter level must be seen to be early",
        ),
    )


@guarantee("transaction-is-all-or-nothing")
def test_every_transaction_ends_as_decided_at_the_products_pace(scenario: Prover) -> None:
    """A producer is killed with transactions open; those left of its group are asked, and all end as was decided."""
    tx = {"mode": "transaction", "client": "java", "max_messages": EACH, "timeout_ms": 10_000, "retries": 0}
    load = produce(PRODUCERS, rate=60 * PRODUCERS, **tx)
    under_way = then(AwaitCount(who="p", what="ok", at_least=300, from_start=True, timeout_s=120), name="loaded")
    everybody = "+".join(f"client/p-{n}" for n in range(1, PRODUCERS + 1))
    scenario(
        load=[load, consume(1)],
        steps=plan(
            under_way,
            then(Kill(target="client/p-1", lasting=True), name="killed"),
            *(
                then(
                    AwaitCount(who=f"p-{n}", what="invoked", at_least=EACH, from_start=True, timeout_s=120),
                    name=f"sent-{n}",
                )
                for n in range(2, PRODUCERS + 1)
            ),
            then(AwaitDelivered(timeout_s=ASKED_S), name="settled"),
        ),
        demand=[
            observed("settled.all").equals(1),
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("stored-though-failed"),
            forbid("phantom"),
        ],
        gates=Gates(in_flight_at_fault=False, min_acked=1500, min_acked_before_fault=50),
        control=scenario.control(
            "nobody-to-ask",
            load=[load, consume(1)],
            steps=plan(
                under_way,
                then(Kill(target=everybody, lasting=True), name="killed"),
                then(AwaitDelivered(timeout_s=UNASKED_S), name="settled"),
            ),
            demand=[observed("settled.all").equals(1)],
            gates=Gates(in_flight_at_fault=False, min_acked=250, min_acked_before_fault=50),
            await_deliveries=False,
            why="with nobody of its group left to ask, an open transaction must stay unseen",
        ),
    )
