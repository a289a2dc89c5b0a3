"""Ways to write that bypass the mapped file: what a power cut or the death of the process costs with them."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    CutPower,
    Elapse,
    Expectation,
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
SETTLED_S = 2.0
STARTED_S = 8.0
"""A broker that has just started writes its table of topics anew, unsynced: a cut just after that takes every topic."""

POOL = {
    "transientStorePoolEnable": "true",
    "transientStorePoolSize": "3",
    "mappedFileSizeCommitLog": str(16 << 20),
    "commitIntervalCommitLog": "200",
    "commitCommitLogThoroughInterval": "200",
}
SELDOM = {
    "commitIntervalCommitLog": "10000",
    "commitCommitLogThoroughInterval": "10000",
    "commitCommitLogLeastPages": "4000",
}
UNCOMMITTED_MS = 1000
"""Two commits of 200 ms each, and what a busy machine lets them wait."""


@guarantee("writes-without-mmap-survive-power-loss")
def test_power_cuts_lose_nothing_of_what_is_written_through_a_channel(scenario: Prover) -> None:
    """With writeWithoutMmap, SYNC_FLUSH loses nothing acknowledged in two power cuts; ASYNC_FLUSH does in one."""
    disks = ClusterNeeds(disk_bytes=DISK_BYTES, power=True, broker_conf={"writeWithoutMmap": "true"})
    scenario(
        cluster=disks,
        load=[SYNCED],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(SyncDisks(), after_s=SETTLED_S, name="synced-1"),
            outage("cut-1", CutPower(target=master(0)), after_s=2, for_s=1),
            then(SyncDisks(), after_s=STARTED_S, name="synced-2"),
            outage("cut-2", CutPower(target=master(0)), after_s=2, for_s=1),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[forbid("lost", replicas="master"), forbid("phantom"), forbid("stored-though-failed")],
        control=scenario.control(
            "async-flush",
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
            why="what was written and not synced must be lost by the same cut, else it forgets nothing",
        ),
    )


@guarantee("store-pool-loses-only-the-uncommitted")
def test_a_kill_with_a_store_pool_costs_what_was_not_committed(scenario: Prover) -> None:
    """Kill -9 of a master with transientStorePoolEnable loses the newest of its log, of two commits at most."""
    # A slave's copy would hide what the master lost, and only these take the pool in every version.
    pooled = ClusterNeeds(
        broker_conf=POOL,
        jvm_opts=("-XX:MaxDirectMemorySize=512m",),
        flush="async",
        replication="async" if scenario.topology.slaves else None,
    )
    kills = plan(
        then(ENOUGH, name="loaded"),
        outage("kill", Kill(target=master(0)), after_s=2, for_s=1),
        then(Elapse(seconds=2), name="afterwards"),
    )
    demand: list[Expectation] = [
        forbid("lost-inside", replicas="master"),
        metric("rpo_ms", replicas="master") <= UNCOMMITTED_MS,
        forbid("phantom"),
    ]
    scenario(
        cluster=pooled,
        load=[LOAD],
        steps=kills,
        read_roles="masters",
        demand=demand,
        control=scenario.control(
            "committed-seldom",
            cluster=pooled.model_copy(update={"broker_conf": POOL | SELDOM}),
            load=[LOAD],
            # One of them may come just after a commit.
            steps=plan(
                then(ENOUGH, name="loaded"),
                outage("kill-1", Kill(target=master(0)), after_s=2, for_s=1),
                outage("kill-2", Kill(target=master(0)), after_s=6, for_s=1),
            ),
            read_roles="masters",
            demand=[metric("rpo_ms", replicas="master") <= UNCOMMITTED_MS],
            gates=Gates(min_acked=2000),
            why="where commits are ten seconds apart, what one of two kills costs must be older than a second",
        ),
    )
