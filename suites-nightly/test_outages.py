"""Everything goes down at once: every process, and then the power of every machine."""

from __future__ import annotations

from harness.suite import (
    ALL_BROKERS,
    ALL_NODES,
    AwaitCount,
    ClusterNeeds,
    CutPower,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Prover,
    Step,
    SyncDisks,
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

DISK_BYTES = 512 << 20
LOAD = produce(2, rate=1000, threads=16)
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
BACK = AwaitCount(who="p", what="ok", at_least=2000, timeout_s=90)
SETTLED_S = 8.0
"""4.x writes its table of topics anew some 6 s after its start, unsynced: a cut just after that takes every topic."""
CUT_S = (0.5, 4.0)
"""Each cut comes at a moment of its own."""
FLUSH_WINDOW_MS = 10_500
"""flushCommitLogThoroughInterval, the longest that anything waits to be flushed, and one flushIntervalCommitLog."""


@guarantee("whole-cluster-outage-loses-nothing")
def test_all_nodes_down_at_once(scenario: Prover) -> None:
    """Every node killed at once loses nothing; every broker without power loses nothing, or only a tail if unsynced.

    With ASYNC_FLUSH what is lost in the cut is the newest of a broker's log, and younger than the flush window.
    """
    disks = ClusterNeeds(disk_bytes=DISK_BYTES, power=True)
    cut = CutPower(target=ALL_BROKERS)
    loses: list[Expectation] = (
        [forbid("lost", replicas="master")]
        if scenario.topology.flush == "sync"
        else [
            forbid("lost", replicas="master", sent_before="synced"),
            forbid("lost-inside", replicas="master"),
            metric("rpo_ms", replicas="master") <= FLUSH_WINDOW_MS,
        ]
    )
    scenario(
        cluster=disks,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("killed", Kill(target=ALL_NODES), after_s=0, for_s=2),
            then(BACK, name="back-from-kill"),
            then(SyncDisks(), after_s=SETTLED_S, name="synced"),
            outage("cut", cut, after_s=FLUSH_WINDOW_MS / 1000 + scenario.moment(*CUT_S), for_s=1),
            then(BACK, name="back-from-cut"),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        read_roles="masters",
        demand=[*loses, forbid("phantom"), forbid("stored-though-failed")],
        control=scenario.control(
            "async-flush",
            cluster=disks.model_copy(
                update={"flush": "async", "replication": "async" if scenario.topology.slaves else None}
            ),
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(SyncDisks(), after_s=SETTLED_S, name="synced"),
                outage("cut", cut, after_s=2, for_s=1),
            ),
            read_roles="masters",
            demand=[forbid("lost", replicas="master")],
            gates=Gates(min_acked=2000),
            why="with ASYNC_FLUSH the common cut must lose some, or it did not cut",
        ),
    )


@guarantee("sync-sync-survives-double-power-cut")
def test_master_and_slave_lose_power_together(scenario: Prover) -> None:
    """Both replicas of a broker name lose power at once, three times: its master has every acknowledged message.

    Of the slave nothing is demanded: what it answers never meant that it had flushed.
    """
    disks = ClusterNeeds(disk_bytes=DISK_BYTES, power=True)
    pair = CutPower(target=f"{master(0)}+{slave(0)}")
    lost = forbid("lost", replicas="master")

    def cuts(number: int) -> tuple[Step, ...]:
        # The slave may have to be told by hand what it lacks (power-cut-leaves-replicas-agreeing): not judged here.
        return plan(
            then(ENOUGH, name="loaded"),
            then(SyncDisks(), after_s=SETTLED_S, name="synced"),
            *(
                plan(
                    outage(f"cut-{n}", pair, after_s=FLUSH_WINDOW_MS / 1000 + scenario.moment(*CUT_S), for_s=1),
                    then(BACK, name=f"back-{n}"),
                )
                for n in range(1, number + 1)
            ),
        )

    scenario(
        cluster=disks,
        load=[LOAD],
        steps=cuts(3),
        demand=[lost, forbid("phantom"), forbid("stored-though-failed", process="p")],
        control=scenario.control(
            "async-flush",
            cluster=disks.model_copy(update={"flush": "async", "replication": "async"}),
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(SyncDisks(), after_s=SETTLED_S, name="synced"),
                outage("cut-1", pair, after_s=2, for_s=1),
            ),
            demand=[lost],
            gates=Gates(min_acked=2000),
            why="with ASYNC_FLUSH and ASYNC_MASTER the same cut must lose some, or it did not cut",
        ),
    )
