"""A disk that fills up: writes are refused in time, only what has expired goes, and nothing acknowledged is lost."""

from __future__ import annotations

from harness.suite import (
    AgeCommitLog,
    AwaitAnswer,
    AwaitCommitLog,
    AwaitCount,
    ClusterNeeds,
    CommitLog,
    ExactlyDeleted,
    FillDisk,
    Prover,
    SendDirect,
    Step,
    at,
    consume,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
DISK_FULL = 14
FIRST_LOOK_S = 60
CHECK_S = 10
WARNING = 0.93
BETWEEN = 0.80
"""Above diskMaxUsedSpaceRatio (75 %), below the level of forced cleaning (85 %)."""


@guarantee("disk-warning-refuses-writes")
def test_a_nearly_full_disk_refuses_writes_and_recovers(scenario: Prover) -> None:
    """Past the warning level sends get code 14, reads go on, nothing is lost, and writes return when space is free."""
    scenario(
        cluster=ClusterNeeds(disk_bytes=DISK_BYTES),
        load=[produce(4, rate=600, timeout_ms=5000), consume(1)],
        steps=plan(
            at(10, FillDisk(target=master(0), ratio=WARNING), name="full"),
            then(
                AwaitAnswer(target=master(0), codes=(DISK_FULL,), timeout_s=FIRST_LOOK_S + 3 * CHECK_S), name="refused"
            ),
            then(SendDirect(target=master(0), count=20), name="while-full"),
            heal("full"),
            then(AwaitAnswer(target=master(0), codes=(0,), timeout_s=4 * CHECK_S), name="accepted"),
            then(AwaitCount(who="p", what="ok", at_least=1000, timeout_s=60), name="sends-return"),
        ),
        demand=[
            observed("refused.reached").equals(1),
            observed(f"while-full.codes.{DISK_FULL}").equals(20),
            observed("while-full.stored").equals(0),
            observed("accepted.reached").equals(1),
            observed("sends-return.reached").equals(1),
            forbid("lost"),
            forbid("undelivered"),
            forbid("stored-though-failed"),
        ],
        control=scenario.control(
            "space-left",
            cluster=ClusterNeeds(disk_bytes=DISK_BYTES),
            load=[produce(4, rate=600, timeout_ms=5000)],
            steps=plan(
                at(10, FillDisk(target=master(0), ratio=BETWEEN), name="full"),
                then(
                    AwaitAnswer(target=master(0), codes=(DISK_FULL,), timeout_s=FIRST_LOOK_S + 2 * CHECK_S, poll_s=1),
                    name="refused",
                ),
                heal("full"),
            ),
            demand=[observed("refused.reached").equals(1)],
            why="below the warning level nothing may be refused",
        ),
    )


@guarantee("past-ratio-deletes-only-expired")
def test_past_the_ratio_only_expired_files_go(scenario: Prover) -> None:
    """Past diskMaxUsedSpaceRatio exactly the files older than fileReservedTime go; younger ones stay, sends go on."""
    needs = ClusterNeeds(
        disk_bytes=DISK_BYTES,
        broker_conf={"mappedFileSizeCommitLog": str(8 << 20), "fileReservedTime": "1"},
    )

    def steps(ratio: float, wait_s: float) -> tuple[Step, ...]:
        return plan(
            at(2, AwaitCommitLog(target=master(0), at_least=7, timeout_s=90), name="grown"),
            then(CommitLog(target=master(0)), name="before"),
            then(AgeCommitLog(target=master(0), files=3, age_h=5), name="aged"),
            then(FillDisk(target=master(0), ratio=ratio), name="full"),
            then(AwaitCommitLog(target=master(0), at_most=4, timeout_s=wait_s), name="waited"),
            then(CommitLog(target=master(0)), name="after"),
            then(ExactlyDeleted(before="before", aged="aged", after="after"), name="deleted"),
            heal("full"),
        )

    load = [produce(4, rate=500, body_bytes=8192, timeout_ms=10_000)]
    scenario(
        cluster=needs,
        load=load,
        steps=steps(BETWEEN, FIRST_LOOK_S + 4 * CHECK_S),
        demand=[
            observed("deleted.exact").equals(1),
            observed("deleted.young_kept") >= 1,
            metric("unacknowledged").equals(0),
            forbid("phantom"),
        ],
        control=scenario.control(
            "below-the-ratio",
            cluster=needs,
            load=load,
            steps=steps(0.65, FIRST_LOOK_S + 2 * CHECK_S),
            demand=[observed("deleted.exact").equals(1)],
            why="below the ratio even aged files stay until their hour",
        ),
    )
