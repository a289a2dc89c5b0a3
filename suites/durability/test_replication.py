"""What SEND_OK of a SYNC_MASTER or ASYNC_MASTER is worth when a replica is silent or a master is destroyed."""

from __future__ import annotations

from typing import Literal

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    DestroyStore,
    Elapse,
    Gates,
    Kill,
    Partition,
    Pause,
    Prover,
    ReplicationLag,
    forbid,
    guarantee,
    master,
    metric,
    outage,
    plan,
    produce,
    slave,
    then,
)

STATUS_TIMEOUT_MS = 15_000
"""Longer than any replication wait of any version (3 s, 10 s), so that the status is seen and not a time-out."""
HOUSEKEEPING_S = 20
"""haHousekeepingInterval: a master closes a link from which it read nothing for so long; 4.x then answers at once."""
SLACK_S = 4

PATIENT = produce(2, rate=1000, threads=4, timeout_ms=STATUS_TIMEOUT_MS)
PRODUCERS, THREADS = 2, 6
ONCE = produce(PRODUCERS, rate=1000, threads=THREADS, retries=0, timeout_ms=STATUS_TIMEOUT_MS)
AS_SHIPPED = ONCE.model_copy(update={"retries": None})
"""What a client makes of a status its own retries are part of."""
TRIES = 3
"""How often a client may send a message to one master before it says what became of it; the C++ client's number."""
ASKED = PRODUCERS * THREADS // 2
"""Sends that must have been begun and answered while no slave was there: half of all threads, once each."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""

CUT_OFF_S = 6
"""Twice what can be allowed at most: a p99 lag of a second or more is no measurement, and three times it is allowed."""


def _slaves(scenario: Prover) -> str:
    """Every slave of the first master: with one of several left there still are two copies."""
    return "+".join(slave(number) for number in range(max(1, scenario.topology.brokers[0].slaves)))


def _wait_s(scenario: Prover) -> int:
    """The longest that a SYNC_MASTER waits for its slave: until 4.9.2 5 s, after another 5 s for the disk, then 3 s."""
    return 10 if scenario.version < (4, 9, 3) else 3


def _two_rounds_s(scenario: Prover) -> int:
    """So long that every thread ends a wait that began before the fault was seen, and another that began after it."""
    return 2 * _wait_s(scenario) + SLACK_S


def _needs(scenario: Prover, replication: Literal["async"] | None = None) -> ClusterNeeds:
    """Before 4.7 the thread that takes a send waits for the slave itself, and as shipped (from 4.2) there is one.

    Of twelve sends that wait the last would be answered after a minute. With a thread for each all are as by 4.7.
    """
    waits_itself = (4, 2) <= (scenario.version.major, scenario.version.minor) < (4, 7)
    threads = {"sendMessageThreadPoolNums": "16", "useReentrantLockWhenPutMessage": "true"} if waits_itself else {}
    return ClusterNeeds(broker_conf=threads, replication=replication)


def _silences(slaves: str) -> tuple[tuple[str, object], ...]:
    return (
        ("paused", Pause(target=slaves)),
        ("killed", Kill(target=slaves)),
        ("cut", Partition(sources=master(0), sinks=slaves, one_way=True)),
    )


@guarantee("sync-master-ack-means-two-copies")
def test_no_ok_while_no_slave_is_reachable(scenario: Prover) -> None:
    """While its slaves are paused, dead or cut off, a SYNC_MASTER answers no send with SEND_OK.

    Each lasts for two of its longest waits, the pause also until it has closed the silent link.
    """
    broker = scenario.topology.brokers[0].name
    silences = _silences(_slaves(scenario))
    rounds_s = _two_rounds_s(scenario)
    lasts_s = {name: rounds_s + HOUSEKEEPING_S * (name == "paused") for name, _ in silences}
    # 5.x has no answer of its own for a closed link.
    closed = [metric("answered", status="SLAVE_NOT_AVAILABLE", window="paused") > 0] * (scenario.version.major < 5)
    scenario(
        cluster=_needs(scenario),
        load=[ONCE],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *(outage(name, fault, after_s=3, for_s=lasts_s[name]) for name, fault in silences),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            *(metric("ok_despite", window=name, broker=broker).equals(0) for name, _ in silences),
            forbid("lost", replicas="master"),
        ],
        gates=Gates(
            also=(
                *(metric("answered_in", window=name, broker=broker) >= ASKED for name, _ in silences),
                metric("answered", status="FLUSH_SLAVE_TIMEOUT", window="paused") > 0,
                *closed,
            )
        ),
        control=scenario.control(
            "async-master",
            cluster=_needs(scenario, replication="async"),
            load=[ONCE],
            steps=plan(outage("paused", Pause(target=_slaves(scenario)), after_s=4, for_s=3)),
            demand=[metric("ok_despite", window="paused", broker=broker).equals(0)],
            gates=Gates(min_acked=2000),
            why="an ASYNC_MASTER acknowledges in the same fault",
        ),
    )


@guarantee("sync-master-survives-disk-loss")
def test_a_destroyed_sync_master_loses_nothing(scenario: Prover) -> None:
    """Slaves cut off, then the master killed and its store deleted: no SEND_OK after the cut, and none at all lost."""
    broker = scenario.topology.brokers[0].name
    cut = Partition(sources=master(0), sinks=_slaves(scenario), one_way=True, lasting=True)
    destroyed = DestroyStore(target=master(0), lasting=True)
    scenario(
        cluster=_needs(scenario),
        load=[ONCE],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(cut, name="cut"),
            then(destroyed, name="destroyed", after_s=_two_rounds_s(scenario)),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            *(forbid("lost", broker=str(group.name)) for group in scenario.topology.brokers),
            forbid("phantom"),
            metric("ok_despite", window="cut", broker=broker).equals(0),
        ],
        gates=Gates(also=(metric("answered_in", window="cut", broker=broker) >= ASKED,)),
        control=scenario.control(
            "async-master-cut-off",
            cluster=_needs(scenario, replication="async"),
            load=[ONCE],
            steps=plan(
                then(cut, name="cut", after_s=4),
                then(destroyed, name="destroyed", after_s=2),
                then(Elapse(seconds=1), name="afterwards"),
            ),
            demand=[forbid("lost", broker=broker)],
            gates=Gates(min_acked=2000),
            why="an ASYNC_MASTER whose slave was cut off before must lose what it acknowledged since",
        ),
    )


@guarantee("async-master-loses-only-the-lag")
def test_a_destroyed_async_master_loses_only_the_lag(scenario: Prover) -> None:
    """Master killed and its store deleted: each queue lost its newest, none older than 1 s or thrice the p99 lag."""
    lag = ReplicationLag(target=slave(0))
    within_the_lag = metric("rpo_excess_ms") <= 0
    scenario(
        load=[PATIENT],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(lag),
            then(DestroyStore(target=master(0), lasting=True), name="destroyed"),
            then(Elapse(seconds=3), name="afterwards"),
        ),
        demand=[forbid("lost-inside"), forbid("phantom"), within_the_lag],
        control=scenario.control(
            "slave-cut-off-before",
            load=[PATIENT],
            steps=plan(
                then(lag, after_s=2),
                then(Partition(sources=master(0), sinks=_slaves(scenario), one_way=True, lasting=True), name="cut"),
                then(DestroyStore(target=master(0), lasting=True), name="destroyed", after_s=CUT_OFF_S),
                then(Elapse(seconds=1), name="afterwards"),
            ),
            demand=[within_the_lag],
            gates=Gates(min_acked=2000),
            why="a slave that was cut off six seconds before lacks more than any lag that counts as one allows",
        ),
    )


def _never_weaker(scenario: Prover) -> str | None:
    """Why no master of this topology and release has such a status to give; None: it has."""
    if scenario.topology.replication != "sync":
        return "FLUSH_DISK_TIMEOUT is the only such status here, and nothing makes a disk that slow"
    if scenario.topology.stock and scenario.version.major >= 5:
        return "as shipped a 5.x master waits for no slave, and so has no such status to give"
    return None


@guarantee("non-ok-status-is-stored")
def test_a_weaker_status_means_stored(scenario: Prover) -> None:
    """What a SYNC_MASTER answers with FLUSH_SLAVE_TIMEOUT or (4.x) SLAVE_NOT_AVAILABLE is on its disk all the same."""
    if (why := _never_weaker(scenario)) is not None:
        scenario.skipped(why)
        return
    if scenario.client == "cpp":
        scenario.skipped("the cpp client tells no such status: there is none whose message could be looked for")
        return
    statuses = ["FLUSH_SLAVE_TIMEOUT", *(["SLAVE_NOT_AVAILABLE"] if scenario.version.major < 5 else [])]
    slaves = _slaves(scenario)
    scenario(
        cluster=_needs(scenario),
        load=[ONCE],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("paused", Pause(target=slaves), after_s=0, for_s=5),
            outage("killed", Kill(target=slaves), after_s=3, for_s=3),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            *(forbid("lost", statuses=[status], replicas="master") for status in statuses),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
    )


@guarantee("non-ok-status-is-stored")
def test_a_weaker_status_is_told_as_such(scenario: Prover) -> None:
    """While its slaves are paused a SYNC_MASTER answers FLUSH_SLAVE_TIMEOUT, and whoever sent is told just that."""
    if (why := _never_weaker(scenario)) is not None:
        scenario.skipped(why)
        return
    scenario(
        cluster=_needs(scenario),
        load=[AS_SHIPPED],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage(
                "paused", Pause(target=_slaves(scenario)), after_s=0, for_s=TRIES * (_wait_s(scenario) + 1) + SLACK_S
            ),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[metric("answered", status="FLUSH_SLAVE_TIMEOUT") > 0, forbid("phantom")],
        # There was something to be told.
        gates=Gates(also=(metric("unacknowledged_in", window="paused", since="observed") >= ASKED,)),
    )
