"""A disk filled to its last byte: what the broker acknowledged is there once there is space again."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    FillDisk,
    Gates,
    Kill,
    Prover,
    Step,
    forbid,
    guarantee,
    heal,
    master,
    observed,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
FIRST_LOOK_S = 60
"""Before a broker's first look at its disk nothing is refused: what it is sent it tries to write."""
FULL_S = 6
LOAD = produce(2, rate=800, threads=4, timeout_ms=10_000)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
RETURN = AwaitCount(who="p", what="ok", at_least=500, timeout_s=60)


@guarantee("full-disk-corrupts-nothing")
def test_a_full_disk_costs_nothing_acknowledged(scenario: Prover) -> None:
    """Filled to the last byte under load, before the broker looks at its disk and after; freed, killed and restarted.

    A page of a mapped file that has no block cannot be written, and whether the process survives that is the JVM's
    affair: it is killed if it does. It first goes on with the space that was freed, behind whatever the full disk left.
    """
    scenario(
        cluster=ClusterNeeds(
            disk_bytes=DISK_BYTES,
            # One file only: past 85 % older ones go by force with what was acknowledged in them, by design.
            broker_conf={"mappedFileSizeCommitLog": str(128 << 20), "mapedFileSizeCommitLog": str(128 << 20)},
        ),
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            _full("cold"),
            then(Elapse(seconds=FIRST_LOOK_S), name="looked"),
            _full("warm"),
        ),
        demand=[
            observed("cold-return.reached").equals(1),
            observed("warm-return.reached").equals(1),
            forbid("lost", replicas="master"),
            forbid("phantom"),
            forbid("altered"),
        ],
        gates=Gates(in_flight_at_fault=False),
    )


def _full(name: str) -> tuple[Step, ...]:
    """Full, free again, written to, then killed and restarted: each time the sends return."""
    return plan(
        then(FillDisk(target=master(0), ratio=1.0, await_health=False), name=f"{name}-full"),
        then(Elapse(seconds=FULL_S), name=f"{name}-sent"),
        heal(f"{name}-full"),
        then(AwaitCount(who="p", what="ok", at_least=200, timeout_s=30), name=f"{name}-goes-on"),
        then(Kill(target=master(0)), name=f"{name}-kill"),
        heal(f"{name}-kill", after_s=1),
        then(RETURN, name=f"{name}-return"),
    )
