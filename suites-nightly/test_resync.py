"""Slaves that were away, and several of them behind one master: what they come to hold."""

from __future__ import annotations

from harness.suite import (
    ALL_SLAVES,
    AwaitCount,
    AwaitDelivered,
    AwaitHealthy,
    DestroyStore,
    Expectation,
    Gates,
    Kill,
    Partition,
    Pause,
    Prover,
    ReadBack,
    consume,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    slave,
    then,
)

TIMEOUT_MS = 15_000
"""Longer than any replication wait: an answer that no slave is there is no time-out."""
LOAD = produce(2, rate=800, threads=4, retries=0, timeout_ms=TIMEOUT_MS, body_bytes=2000)
AWAY_S = 7
"""More than a master waits for a slave (5 s): by then it has answered what waited, and stored more without it."""
FILES_FULL = AwaitCount(who="p", what="ok", at_least=20_000, from_start=True, timeout_s=180)
"""Of 2 kB each, over two masters: more than the 16 MB of one commit-log file on either."""


@guarantee("slave-resyncs")
def test_a_slave_catches_up(scenario: Prover) -> None:
    """Killed, stopped for a while, cut off and at last wiped, under load: each time it has all there is a moment later.

    A wiped slave begins at its master's last commit-log file. It must have what was acknowledged since it was back; of
    what came before, the run says how much it lacks.
    """
    name = str(scenario.topology.brokers[0].name)
    node = f"{name}-1"
    away = ("killed", "paused", "cut", "wiped")
    brokers = scenario.topology.brokers
    others = [at for group in brokers for n in range(group.slaves + 1) if (at := f"{group.name}-{n}") != node]
    scenario(
        load=[LOAD],
        steps=plan(
            outage("killed", Kill(target=slave(0)), after_s=3, for_s=AWAY_S),
            outage("paused", Pause(target=slave(0)), after_s=2, for_s=AWAY_S),
            outage("cut", Partition(sources=master(0), sinks=slave(0)), after_s=2, for_s=AWAY_S),
            then(FILES_FULL, name="more-than-a-file"),
            then(AwaitHealthy(), name="in-step"),
            then(ReadBack(phase="unwiped", target=ALL_SLAVES), name="unwiped"),
            outage("wiped", DestroyStore(target=slave(0)), after_s=0, for_s=AWAY_S),
            then(AwaitHealthy(), name="in-step-again"),
        ),
        demand=[
            observed("in-step.healthy").equals(1),
            observed("in-step-again.healthy").equals(1),
            forbid("lacking", phase="unwiped", replicas="slave", sent_before="in-step"),
            forbid("lacking", replicas="slave", sent_after="wiped"),
            forbid("lacking", replicas=others),
            forbid("diverged"),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=Gates(also=tuple(metric("answered_in", window=window, broker=name) > 0 for window in away)),
    )


@guarantee("one-master-many-slaves")
def test_every_slave_holds_what_its_master_holds(scenario: Prover) -> None:
    """One of several slaves is cut off for a while; after that, each slave of each master holds the same as it."""
    hold: list[Expectation] = [forbid("lacking"), forbid("diverged")]
    cut = Partition(sources=master(0), sinks=slave(0))
    enough = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
    scenario(
        load=[LOAD],
        steps=plan(
            then(enough, name="loaded"),
            then(AwaitHealthy(), name="in-step"),
            then(ReadBack(phase="under-load"), name="under-load"),
            outage("cut", cut, after_s=1, for_s=5),
            then(AwaitHealthy(), name="in-step-again"),
        ),
        demand=[
            forbid("lacking", phase="under-load", sent_before="in-step"),
            *hold,
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        control=scenario.control(
            "slave-still-cut-off",
            load=[LOAD],
            steps=plan(
                then(cut.model_copy(update={"lasting": True}), name="cut", after_s=3),
                then(AwaitCount(who="p", what="ok", at_least=500, timeout_s=60), name="more"),
            ),
            demand=[forbid("lacking")],
            gates=Gates(min_acked=500),
            why="a slave that is still cut off must lack what was acknowledged since",
        ),
    )


OFFSETS_S = 10
"""A slave asks its master for the offsets of the groups so often, and a client commits them every 5 s."""


@guarantee("failback-costs-only-duplicates")
def test_reading_goes_to_the_slave_and_back(scenario: Prover) -> None:
    """Consumers read on from the slave of a dead master, and from the master when it is back; some come twice.

    Not more of them than one period of the offsets' synchronisation holds.
    """
    rate = 400
    broker = str(scenario.topology.brokers[0].name)
    slaves = "+".join(slave(number) for number in range(max(1, scenario.topology.brokers[0].slaves)))
    scenario(
        load=[produce(2, rate=rate, threads=4, timeout_ms=TIMEOUT_MS), consume(2)],
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120), name="loaded"),
            then(AwaitCount(who="c", what="delivered", at_least=2000, from_start=True, timeout_s=60), name="consumed"),
            then(Kill(target=master(0)), name="kill"),
            then(AwaitDelivered(of=master(0), timeout_s=60), name="from-slave"),
            heal("kill"),
            then(AwaitCount(who="p", what="ok", at_least=3000, timeout_s=90), name="load-back"),
            # The slave goes: what comes from this broker now, the master gives.
            then(Kill(target=slaves, lasting=True), name="slaves-gone"),
            then(AwaitCount(who="c", what="delivered", at_least=1000, timeout_s=60), name="from-master"),
        ),
        consumes_from_slaves=True,
        drain_s=120,
        demand=[
            observed("from-slave.all").equals(1),
            observed("from-master.reached").equals(1),
            metric("delivered", group="g", broker=broker) > 0,
            metric("duplicates_delivered", group="g") <= rate * (OFFSETS_S + 5),
            forbid("undelivered"),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
    )
