"""What a broker's death costs: a dead process loses nothing acknowledged, and under SYNC_FLUSH nor does a power cut."""

from __future__ import annotations

from harness.suite import (
    ALL_MASTERS,
    ClusterNeeds,
    CutPower,
    Gates,
    Kill,
    Prover,
    SyncDisks,
    at,
    forbid,
    guarantee,
    master,
    plan,
    produce,
)

DISK_BYTES = 512 << 20


@guarantee("process-kill-loses-nothing")
def test_kill_9_loses_nothing_acknowledged(scenario: Prover) -> None:
    """Kill -9 of one master, again, and of all masters at once loses nothing acknowledged, whatever the flush type."""
    outages = plan(
        at(8, Kill(target=master(0)), until=11, name="first"),
        at(18, Kill(target=master(0)), until=21, name="again"),
        at(28, Kill(target=ALL_MASTERS), until=31, name="all"),
    )
    scenario(
        load=[produce(4, rate=600)],
        steps=outages,
        duration_s=38,
        demand=[forbid("lost"), forbid("phantom"), forbid("stored-though-failed"), forbid("offset-reuse")],
        control=scenario.control(
            "transient-store-pool",
            cluster=ClusterNeeds(
                broker_conf={
                    "transientStorePoolEnable": "true",
                    "transientStorePoolSize": "3",
                    "commitIntervalCommitLog": "1000",
                },
                jvm_opts=("-XX:MaxDirectMemorySize=512m",),
                # Only these take the pool in every version; a slave's copy would hide what the master lost.
                flush="async",
                replication="async" if scenario.topology.slaves else None,
            ),
            load=[produce(4, rate=600)],
            steps=plan(at(8, Kill(target=master(0)), until=11)),
            duration_s=15,
            demand=[forbid("lost", replicas="master")],
            gates=Gates(min_acked=2000),
            why="messages in transientStorePool are not in the page cache: the same kill must lose some",
        ),
    )


@guarantee("sync-flush-survives-power-loss")
def test_power_cuts_lose_nothing_under_sync_flush(scenario: Prover) -> None:
    """Three power cuts of a SYNC_FLUSH master under load lose nothing acknowledged; the same with ASYNC_FLUSH does."""
    disks = ClusterNeeds(disk_bytes=DISK_BYTES, power=True)
    cuts = plan(
        at(0, SyncDisks()),
        at(8, CutPower(target=master(0)), until=11, name="cut-1"),
        at(18, CutPower(target=master(0)), until=21, name="cut-2"),
        at(28, CutPower(target=master(0)), until=31, name="cut-3"),
    )
    scenario(
        cluster=disks,
        load=[produce(4, rate=600)],
        steps=cuts,
        duration_s=38,
        demand=[forbid("lost", replicas="master"), forbid("phantom")],
        control=scenario.control(
            "async-flush",
            cluster=disks.model_copy(update={"flush": "async"}),
            load=[produce(4, rate=600)],
            steps=cuts,
            duration_s=38,
            demand=[forbid("lost", replicas="master")],
            why="un-synced pages must be lost by the same cuts, else the cut forgets nothing",
        ),
    )
