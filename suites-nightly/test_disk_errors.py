"""Disks that fail: what cannot be written may not be acknowledged."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    FailDisk,
    Gates,
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
    """The disk of a SYNC_FLUSH master answers EIO: whatever was acknowledged, before or meanwhile, is on it afterwards.

    What it refused it does not get from us: the disk is mended behind an unmount that fails.
    """
    _refused(
        scenario,
        FailDisk(target=master(0)),
        "a master that flushes after it has answered must lose some of what its disk refused",
    )


@guarantee("read-only-disk-is-never-acknowledged")
def test_what_a_read_only_disk_refuses_is_not_acknowledged(scenario: Prover) -> None:
    """The file system under a SYNC_FLUSH master goes read-only: whatever was acknowledged is on it afterwards."""
    _refused(
        scenario,
        FailDisk(target=master(0), how="read-only"),
        "a master that flushes after it has answered must lose some of what its file system refused",
    )


def _refused(scenario: Prover, fault: FailDisk, why: str) -> None:
    """Load, a disk that refuses for a while, and the same under ASYNC_FLUSH."""
    broker = scenario.topology.brokers[0].name
    disks = ClusterNeeds(disk_bytes=DISK_BYTES)
    lost = forbid("lost", replicas="master")

    def steps() -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(SyncDisks(), after_s=SETTLED_S),
            outage("refuses", fault, after_s=2, for_s=FAILING_S),
            then(Elapse(seconds=2), name="afterwards"),
        )

    scenario(
        cluster=disks,
        load=[LOAD],
        steps=steps(),
        read_roles="masters",  # what it does to a slave that is ahead then: power-cut-leaves-replicas-agreeing
        demand=[
            lost,
            forbid("altered"),  # a message may be torn where the disk began to refuse
            forbid("phantom"),
        ],
        gates=Gates(also=(metric("answered_in", window="refuses", broker=broker) >= ASKED,)),
        control=scenario.control(
            "async-flush",
            cluster=disks.model_copy(update={"flush": "async"}),
            load=[LOAD],
            steps=steps(),
            read_roles="masters",
            demand=[lost],
            gates=Gates(),
            why=why,
        ),
    )
