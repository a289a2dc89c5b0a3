"""Disks that take their time: who answers only after the flush must wait for it."""

from __future__ import annotations

from harness.suite import (
    ALL_MASTERS,
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Gates,
    Prover,
    SlowDisk,
    Step,
    forbid,
    guarantee,
    metric,
    outage,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
LOAD = produce(2, rate=1000, threads=24, timeout_ms=10_000)
"""Each send waits for an fsync, many for the same."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the fault, however slow the machine is."""
DELAY_S = 1.0
"""Far from both what a disk takes by itself and the five seconds after which a broker answers FLUSH_DISK_TIMEOUT."""
ANSWERED = 100
"""Sends that were acknowledged while the disks were slow: some 50 share each flush."""


@guarantee("sync-flush-waits-for-the-disk")
def test_an_answer_does_not_come_before_the_flush(scenario: Prover) -> None:
    """While every sync takes a second longer, no SEND_OK of a SYNC_FLUSH master comes in less, and none is lost."""
    disks = ClusterNeeds(disk_bytes=DISK_BYTES)
    waits = metric("latency_min_ms", window="slow") >= DELAY_S * 1e3
    gates = Gates(also=(metric("ok_in", window="slow") >= ANSWERED,))

    def steps() -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            outage("slow", SlowDisk(target=ALL_MASTERS, delay_s=DELAY_S), after_s=1, for_s=8 * DELAY_S),
            then(Elapse(seconds=2), name="afterwards"),
        )

    scenario(
        cluster=disks,
        load=[LOAD],
        steps=steps(),
        demand=[waits, forbid("lost", replicas="master"), forbid("phantom")],
        gates=gates,
        control=scenario.control(
            "async-flush",
            cluster=disks.model_copy(update={"flush": "async"}),
            load=[LOAD],
            steps=steps(),
            demand=[waits],
            gates=gates,
            why="a master that flushes after it has answered must answer before the slow disk has",
        ),
    )
