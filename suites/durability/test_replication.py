"""What SEND_OK of a SYNC_MASTER or ASYNC_MASTER is worth when a replica is silent or a master is destroyed."""

from __future__ import annotations

from harness.suite import (
    ClusterNeeds,
    DestroyStore,
    Kill,
    Partition,
    Pause,
    Prover,
    at,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    plan,
    produce,
    slave,
)

STATUS_TIMEOUT_MS = 15_000
"""Longer than any replication wait of any version (3 s, 5 s), so that the status is seen and not a time-out."""


def _silences() -> tuple[tuple[str, object], ...]:
    return (
        ("paused", Pause(target=slave(0))),
        ("killed", Kill(target=slave(0))),
        ("cut", Partition(sources=master(0), sinks=slave(0), one_way=True)),
    )


@guarantee("sync-master-ack-means-two-copies")
def test_no_ok_while_the_only_slave_is_unreachable(scenario: Prover) -> None:
    """While its only slave is paused, dead or cut off, a SYNC_MASTER answers no send with SEND_OK."""
    broker = scenario.topology.brokers[0].name
    steps, demands, start_s = [], [], 8.0
    for name, fault in _silences():
        steps += [*at(start_s, fault, name=name), *heal(name, start_s + 7)]
        demands.append(metric("ok_in", window=name, broker=broker).equals(0))
        start_s += 20
    load = [produce(8, rate=800, retries=0, timeout_ms=STATUS_TIMEOUT_MS)]
    scenario(
        load=load,
        steps=plan(steps),
        duration_s=start_s,
        demand=[
            *demands,
            *(metric("unacknowledged_in", window=name) > 0 for name, _ in _silences()),
            forbid("lost"),
        ],
        control=scenario.control(
            "async-master",
            cluster=ClusterNeeds(replication="async"),
            load=load,
            steps=plan(at(8, Pause(target=slave(0)), until=14, name="paused")),
            duration_s=18,
            demand=[metric("ok_in", window="paused", broker=broker).equals(0)],
            why="an ASYNC_MASTER acknowledges in the same fault",
        ),
    )


@guarantee("sync-master-survives-disk-loss")
def test_a_destroyed_sync_master_loses_nothing(scenario: Prover) -> None:
    """Master killed and its store deleted under load: every SEND_OK is read from the slave."""
    scenario(
        load=[produce(8, rate=800, timeout_ms=STATUS_TIMEOUT_MS)],
        steps=plan(at(12, DestroyStore(target=master(0), lasting=True), name="destroyed")),
        duration_s=18,
        demand=[forbid("lost"), forbid("phantom")],
        control=scenario.control(
            "async-master-cut-off",
            cluster=ClusterNeeds(replication="async"),
            load=[produce(8, rate=800)],
            steps=plan(
                at(8, Partition(sources=master(0), sinks=slave(0), one_way=True, lasting=True), name="cut"),
                at(11, DestroyStore(target=master(0), lasting=True), name="destroyed"),
            ),
            duration_s=15,
            demand=[forbid("lost")],
            why="an ASYNC_MASTER whose slave was cut off before must lose what it acknowledged since",
        ),
    )


@guarantee("sync-master-survives-disk-loss")
def test_a_cut_off_sync_master_promises_nothing_it_cannot_keep(scenario: Prover) -> None:
    """The slave cut off, then the master destroyed: no SEND_OK came after the cut, and none before it is lost."""
    broker = scenario.topology.brokers[0].name
    scenario(
        load=[produce(8, rate=800, retries=0, timeout_ms=STATUS_TIMEOUT_MS)],
        steps=plan(
            at(12, Partition(sources=master(0), sinks=slave(0), one_way=True, lasting=True), name="cut"),
            at(15, DestroyStore(target=master(0), lasting=True), name="destroyed"),
        ),
        duration_s=20,
        demand=[forbid("lost"), metric("ok_in", window="cut", broker=broker).equals(0)],
    )


@guarantee("async-master-loses-only-the-lag")
def test_a_destroyed_async_master_loses_only_the_lag(scenario: Prover) -> None:
    """Master killed and its store deleted: what is lost is the newest of each queue, no older than a second."""
    scenario(
        load=[produce(8, rate=800)],
        steps=plan(at(12, DestroyStore(target=master(0), lasting=True), name="destroyed")),
        duration_s=18,
        demand=[forbid("lost-inside"), forbid("phantom"), metric("rpo_ms") <= 1000],
        control=scenario.control(
            "slave-cut-off-before",
            load=[produce(8, rate=800)],
            steps=plan(
                at(8, Partition(sources=master(0), sinks=slave(0), one_way=True, lasting=True), name="cut"),
                at(12, DestroyStore(target=master(0), lasting=True), name="destroyed"),
            ),
            duration_s=16,
            demand=[metric("rpo_ms") <= 1000],
            why="a slave that was cut off four seconds before lacks more than a second",
        ),
    )
