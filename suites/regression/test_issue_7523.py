"""apache/rocketmq issue 7523: with a store pool and SYNC_FLUSH no send is ever acknowledged."""

from __future__ import annotations

from harness.suite import (
    AwaitRoute,
    ClusterNeeds,
    Gates,
    Misconfigure,
    Prover,
    SendDirect,
    SlowDisk,
    Step,
    forbid,
    guarantee,
    heal,
    master,
    observed,
    plan,
    then,
)

FLUSH_DISK_TIMEOUT = 10
POOL = {
    "transientStorePoolEnable": "true",
    "transientStorePoolSize": "5",
    "flushDiskType": "SYNC_FLUSH",
}
SENDS = 20
ROLLED = 12
"""Of 2 MB each: more than the file in use takes (16 MiB), and less than the pool has buffers for."""
SLOW_S = 7.0
"""Longer than the broker waits for a flush (syncFlushTimeout, 5 s)."""
SENT = SendDirect(target=master(0), count=SENDS, timeout_s=15, among=(0, FLUSH_DISK_TIMEOUT))


@guarantee("issue-7523-pool-and-sync-flush")
def test_a_flushed_send_is_acknowledged(scenario: Prover) -> None:
    """A broker is started again with both settings: whoever sends to it is answered SEND_OK, not FLUSH_DISK_TIMEOUT."""
    pool = then(Misconfigure(target=master(0), conf=POOL, await_health=False), name="pool")
    there = then(AwaitRoute(target=master(0), present=True, since="pool", timeout_s=60), name="there")
    # Only files that are made from now on go through the pool: the one in use does not.
    rolled = then(SendDirect(target=master(0), count=ROLLED, body_bytes=2_000_000, timeout_s=15), name="rolled")
    demand = [observed(f"sends.codes.{FLUSH_DISK_TIMEOUT}").equals(0)]
    gates = Gates(
        min_acked=0,
        min_acked_before_fault=0,
        in_flight_at_fault=False,
        preconditions=(
            observed("rolled.stored").equals(ROLLED),
            observed("sends.answered").equals(SENDS),
            # A broker whose pool is empty says that it is busy, and nothing of the flush.
            observed("sends.codes.other").equals(0),
        ),
    )

    def steps(*between: tuple[Step, ...]) -> tuple[Step, ...]:
        return plan(
            pool, there, rolled, *between, then(SENT, name="sends"), *(heal("slow") for _ in between), heal("pool")
        )

    scenario(
        load=[],
        steps=steps(),
        demand=[*demand, forbid("lost", replicas="master")],
        gates=gates,
        control=scenario.control(
            "slow-disk",
            cluster=ClusterNeeds(disk_bytes=512 << 20),
            load=[],
            steps=steps(then(SlowDisk(target=master(0), delay_s=SLOW_S), name="slow")),
            demand=demand,
            gates=gates,
            why="a disk that takes longer than the broker waits must be seen in its answers",
        ),
    )
