"""Disks that fail: what cannot be written may not be acknowledged."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    FailDisk,
    Gates,
    Kill,
    Prover,
    Step,
    SyncDisks,
    Verdict,
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
LOAD = produce(2, rate=1000, threads=24, timeout_ms=10_000)
"""Each send waits for an fsync, many for the same; and longer than the broker waits (syncFlushTimeout, 5 s)."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
"""The load before the fault, however slow the machine is."""
SETTLED_S = 2.0
"""4.x writes its table of topics anew some 6 s after its start, unsynced: what is lost must be messages, not topics."""
FAILING_S = 13.0
"""Two rounds of sends that are answered FLUSH_DISK_TIMEOUT."""
ASKED = 20


@guarantee("eio-is-never-acknowledged")
def test_what_cannot_be_flushed_is_not_acknowledged(scenario: Prover) -> None:
    """While the disk of a SYNC_FLUSH master answers EIO, no send that is not found on it afterwards is acknowledged.

    What was acknowledged before is all there.
    """
    broker = scenario.topology.brokers[0].name
    disks = ClusterNeeds(disk_bytes=DISK_BYTES)
    unflushed = forbid("lost", replicas="master", sent_after="eio")

    def steps(fault: FailDisk | Kill) -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(SyncDisks(), after_s=SETTLED_S),
            outage("eio", fault, after_s=2, for_s=FAILING_S),
            then(Elapse(seconds=2), name="afterwards"),
        )

    scenario(
        cluster=disks,
        load=[LOAD],
        steps=steps(FailDisk(target=master(0))),
        read_roles="masters",  # what it does to a slave that is ahead then: power-cut-leaves-replicas-agreeing
        demand=[
            unflushed,
            forbid("altered"),  # a message may be torn where the disk began to refuse
            forbid("lost", replicas="master", sent_before="eio"),
            forbid("phantom"),
        ],
        gates=Gates(also=(metric("answered_in", window="eio", broker=broker) >= ASKED,)),
        control=scenario.control(
            "killed-instead",
            cluster=disks,
            load=[LOAD],
            steps=steps(Kill(target=master(0))),
            read_roles="masters",
            demand=[unflushed],
            expect=Verdict.HELD,
            why="a master that is killed over a healthy disk must come back with all that was acknowledged",
        ),
    )
