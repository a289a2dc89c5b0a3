"""The seam between two files of the commit log, and a broker that dies at it."""

from __future__ import annotations

from harness.suite import (
    AwaitCommitLog,
    AwaitCount,
    ClusterNeeds,
    CutPower,
    Elapse,
    Gates,
    Kill,
    Prover,
    forbid,
    guarantee,
    master,
    observed,
    outage,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
FILE_BYTES = 1 << 20
SEAMS = (8, 16, 24)
"""So many files there are when the next fault comes: each far enough from the one before for the broker to be back."""


@guarantee("file-rollover-loses-nothing")
def test_a_death_at_the_seam_of_two_files(scenario: Prover) -> None:
    """A master is killed just as its log goes on in a new file, three times; with SYNC_FLUSH its power is cut as well.

    Small messages and others that seldom fit into the rest of a file, of which a tenth of a file is then left over.
    """
    synced = scenario.topology.flush == "sync"
    needs = ClusterNeeds(
        broker_conf={"mappedFileSizeCommitLog": str(FILE_BYTES), "mapedFileSizeCommitLog": str(FILE_BYTES)},
        disk_bytes=DISK_BYTES if synced else None,
        power=synced,
    )
    deaths = [Kill(target=master(0)), CutPower(target=master(0)) if synced else Kill(target=master(0))]
    faults = [*deaths, deaths[0]]
    scenario(
        cluster=needs,
        load=[
            produce(2, rate=400 * scenario.topology.masters, threads=8, body_bytes=1000),
            produce(1, rate=10 * scenario.topology.masters, threads=2, name="large", body_bytes=100_000),
        ],
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120), name="loaded"),
            *(
                part
                for number, (files, fault) in enumerate(zip(SEAMS, faults, strict=True), 1)
                for part in (
                    then(AwaitCommitLog(target=master(0), at_least=files, timeout_s=180), name=f"seam-{number}"),
                    outage(f"death-{number}", fault, after_s=0, for_s=1),
                )
            ),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[
            forbid("lost", replicas="master"),
            forbid("phantom"),
            forbid("stored-though-failed"),
            forbid("offset-reuse"),
        ],
        gates=Gates(
            min_acked=1000,
            preconditions=tuple(observed(f"seam-{number}.reached").equals(1) for number in (1, 2, 3)),
        ),
    )
