"""What a broker's death costs: a dead process loses nothing acknowledged, and under SYNC_FLUSH nor does a power cut."""

from __future__ import annotations

from harness.suite import (
    ALL_MASTERS,
    AwaitCount,
    ClusterNeeds,
    CutPower,
    Elapse,
    Gates,
    Kill,
    Prover,
    SyncDisks,
    forbid,
    guarantee,
    master,
    metric,
    outage,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
LOAD = produce(2, rate=1000, threads=4)
SYNCED = produce(2, rate=1000, threads=24)
"""Each send waits for an fsync: many at a time share one."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
AGAIN = AwaitCount(who="p", what="ok", at_least=1000, timeout_s=120)
"""Sends get through again: clients come back to a broker in their own time, through proxies after a minute."""
SETTLED_S = 2.0
"""4.x writes its table of topics anew some 6 s after its start, unsynced: a cut just after that takes every topic."""
CUT_S = (0.5, 4.0)
"""Each cut comes at a moment of its own."""
STARTED_S = 8.0
"""After that, and clients have found their way back to a broker that was away."""
POOLED = {
    # Committed to the page cache every five seconds or at 4 MiB, whichever comes first: so seldom that a kill right
    # after it, which loses nothing, is rare.
    "transientStorePoolEnable": "true",
    "transientStorePoolSize": "3",
    "commitIntervalCommitLog": "500",
    "commitCommitLogThoroughInterval": "5000",
    "commitCommitLogLeastPages": "1000",
}
POOLED_FILES = {"mappedFileSizeCommitLog": str(16 << 20)}
"""The pool holds three files in memory, and those of a stock cluster are of 1 GiB."""


@guarantee("process-kill-loses-nothing")
def test_kill_9_loses_nothing_acknowledged(scenario: Prover) -> None:
    """Kill -9 of one master, then of all masters at once, loses nothing acknowledged, whatever the flush type."""
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("one", Kill(target=master(0)), after_s=0, for_s=2),
            then(AGAIN, name="again"),
            outage("all", Kill(target=ALL_MASTERS), after_s=4, for_s=2),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            forbid("lost", replicas="master"),
            forbid("phantom"),
            forbid("stored-though-failed"),
            forbid("offset-reuse"),
        ],
        control=scenario.control(
            "transient-store-pool",
            cluster=ClusterNeeds(
                broker_conf=POOLED | (POOLED_FILES if scenario.topology.stock else {}),
                jvm_opts=("-XX:MaxDirectMemorySize=512m",),
                # Only these take the pool in every version; a slave's copy would hide what the master lost.
                flush="async",
                replication="async" if scenario.topology.slaves else None,
            ),
            load=[LOAD],
            steps=plan(outage("kill", Kill(target=master(0)), after_s=5, for_s=1)),
            demand=[forbid("lost", replicas="master")],
            gates=Gates(min_acked=2000),
            why="messages in transientStorePool are not in the page cache: the same kill must lose some",
        ),
    )


@guarantee("sync-flush-survives-power-loss")
def test_power_cuts_lose_nothing_under_sync_flush(scenario: Prover) -> None:
    """Three cuts at random moments lose nothing that a SYNC_FLUSH master acknowledged; one with ASYNC_FLUSH does."""
    disks = ClusterNeeds(disk_bytes=DISK_BYTES, power=True)
    scenario(
        cluster=disks,
        load=[SYNCED],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(SyncDisks(), after_s=SETTLED_S),
            outage("cut-1", CutPower(target=master(0)), after_s=scenario.moment(*CUT_S), for_s=1),
            then(SyncDisks(), after_s=STARTED_S, name="synced-2"),
            outage("cut-2", CutPower(target=master(0)), after_s=scenario.moment(*CUT_S), for_s=1),
            then(SyncDisks(), after_s=STARTED_S, name="synced-3"),
            outage("cut-3", CutPower(target=master(0)), after_s=scenario.moment(*CUT_S), for_s=1),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[forbid("lost", replicas="master"), forbid("phantom"), forbid("stored-though-failed")],
        control=scenario.control(
            "async-flush",
            # A SYNC_MASTER whose slave is far ahead of it acknowledges nothing until it has caught up.
            cluster=disks.model_copy(
                update={"flush": "async", "replication": "async" if scenario.topology.slaves else None}
            ),
            load=[LOAD],
            steps=plan(
                then(SyncDisks(), after_s=5 + SETTLED_S),
                outage("cut", CutPower(target=master(0)), after_s=2, for_s=1),
            ),
            demand=[forbid("lost", replicas="master")],
            gates=Gates(min_acked=2000),
            why="un-synced pages must be lost by the same cut, else it forgets nothing",
        ),
    )


FLUSH_WINDOW_MS = 10_500
"""flushCommitLogThoroughInterval, the longest that anything waits to be flushed, and one flushIntervalCommitLog."""


@guarantee("async-flush-loses-only-a-tail")
def test_a_power_cut_under_async_flush_costs_only_the_newest(scenario: Prover) -> None:
    """What an ASYNC_FLUSH master loses in a power cut is the newest of its log and younger than the flush window.

    Of what it had acknowledged before its disk was synced nothing is lost.
    """
    scenario(
        cluster=ClusterNeeds(disk_bytes=DISK_BYTES, power=True),
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(SyncDisks(), after_s=SETTLED_S, name="synced"),
            # Later than the window, or nothing that is lost could be older than it.
            outage(
                "cut", CutPower(target=master(0)), after_s=FLUSH_WINDOW_MS / 1000 + scenario.moment(*CUT_S), for_s=1
            ),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        read_roles="masters",  # what the cut does to the slave: power-cut-leaves-replicas-agreeing
        demand=[
            forbid("lost-inside", replicas="master"),
            forbid("lost", replicas="master", sent_before="synced"),
            metric("rpo_ms", replicas="master") <= FLUSH_WINDOW_MS,
            forbid("phantom"),
        ],
    )
