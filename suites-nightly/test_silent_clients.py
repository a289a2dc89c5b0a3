"""Clients that fall silent without a word: how long a broker counts on them, and who stands in."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    AwaitDelivered,
    AwaitDropped,
    ClusterNeeds,
    Elapse,
    Gates,
    Pause,
    Prover,
    consume,
    forbid,
    guarantee,
    heal,
    metric,
    observed,
    plan,
    produce,
    then,
)

EXPIRY_S, SCAN_S, SLACK_S = 120, 10, 5
"""A broker drops who sent no heartbeat for two minutes, and looks every 10 s."""
LATEST_S = EXPIRY_S + SCAN_S + SLACK_S
HEARTBEAT_S = 30
"""A client sends none before its first route; the next one is the first that a broker hears."""
EARLIEST_S = EXPIRY_S - HEARTBEAT_S - SLACK_S
"""Its last heartbeat may have been as long ago as they are apart when it fell silent."""
EACH = 1500
"""Messages of one producer, half of which the broker must ask about."""
CHECK_MS = 10_000
"""A broker asks 15 times and then gives up: it must still ask when the silent one is gone."""
LOAD = produce(2, rate=40, mode="transaction", max_messages=EACH, timeout_ms=10_000, retries=0)
UNDER_WAY = AwaitCount(who="p", what="ok", at_least=100, from_start=True, timeout_s=120)
KNOWN = plan(then(UNDER_WAY, name="loaded"), then(Elapse(seconds=HEARTBEAT_S + SLACK_S), name="known"))
"""The producers send, and every broker has heard of them."""
NEEDS = ClusterNeeds(
    timers="documented", broker_conf={"transactionTimeOut": "3000", "transactionCheckInterval": str(CHECK_MS)}
)


@guarantee("silent-producer-is-dropped")
def test_a_silent_producer_is_dropped_and_another_one_answers(scenario: Prover) -> None:
    """A transactional producer that stands still is dropped after two minutes; its mate answers for its transactions.

    While it stands, everything that it had left open comes to its end. Afterwards it goes on as if nothing had been.
    """
    masters = scenario.topology.masters
    gone = observed("gone.dropped").equals(1)
    scenario(
        cluster=NEEDS,
        load=[LOAD, consume(1)],
        steps=plan(
            KNOWN,
            then(Pause(target="client/p-1"), name="silent"),
            then(AwaitDropped(who="p-1", since="silent", timeout_s=LATEST_S + 30), name="gone"),
            then(AwaitDelivered(timeout_s=5 * CHECK_MS / 1000), name="settled"),
            heal("silent"),
            then(AwaitCount(who="p-1", what="invoked", at_least=EACH, from_start=True, timeout_s=120), name="goes-on"),
            then(AwaitDelivered(timeout_s=5 * CHECK_MS / 1000), name="settled-again"),
        ),
        demand=[
            gone,
            observed("gone.at_least_s") <= LATEST_S,
            observed("gone.seconds") >= EARLIEST_S,
            observed("settled.all").equals(1),
            observed("settled-again.all").equals(1),
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("phantom"),
            forbid("altered"),
        ],
        gates=Gates(
            min_acked=EACH // 2,
            min_acked_before_fault=20,
            in_flight_at_fault=False,
            also=(observed("gone.seconds") <= LATEST_S, observed("goes-on.reached").equals(1)),
            preconditions=(observed("gone.listed").equals(masters), metric("acked", process="p-1") > 0),
        ),
        control=scenario.control(
            "never-silent",
            cluster=NEEDS,
            load=[LOAD, consume(1)],
            steps=plan(
                KNOWN,
                then(Pause(target="client/p-2"), name="silent"),
                then(AwaitDropped(who="p-1", since="silent", timeout_s=LATEST_S), name="gone"),
                heal("silent"),
            ),
            demand=[gone],
            gates=Gates(
                min_acked=100,
                min_acked_before_fault=20,
                in_flight_at_fault=False,
                preconditions=(observed("gone.listed").equals(masters),),
            ),
            await_deliveries=False,
            why="who keeps sending heartbeats must stay, while another one is silent",
        ),
    )
