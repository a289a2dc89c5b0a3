"""When commit-log files go: at their hour, past a ratio, and by force."""

from __future__ import annotations

import datetime

from harness.suite import (
    AgeCommitLog,
    AwaitCommitLog,
    AwaitCount,
    AwaitGone,
    ClusterNeeds,
    CommitLog,
    Elapse,
    ExactlyDeleted,
    FillDisk,
    Gates,
    Prover,
    Step,
    StopLoad,
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
FILES, OLD = 7, 3
FIRST_LOOK_S, CHECK_S = 60, 10
FORCED = 0.88
"""Above the level of forced cleaning (85 %), below the one that refuses writes (90 %)."""
UNHURT = Gates(in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)
LOAD = [
    produce(2, rate=500, threads=2, timeout_ms=10_000),
    produce(1, rate=400, name="bulk", threads=4, body_bytes=16 << 10, timeout_ms=10_000),
]
GROWN = (observed("grown.reached").equals(1),)


def _needs(**conf: str) -> ClusterNeeds:
    small = {"mappedFileSizeCommitLog": str(8 << 20), "mapedFileSizeCommitLog": str(8 << 20)}
    return ClusterNeeds(disk_bytes=DISK_BYTES, broker_conf={**small, "fileReservedTime": "1", **conf})


def _hours(*ahead: int) -> str:
    """Hours of the day, so many from now, as deleteWhen has them."""
    now = datetime.datetime.now().astimezone().hour
    return ";".join(f"{(now + hours) % 24:02d}" for hours in ahead)


def _grown(age_h: float) -> tuple[Step, ...]:
    """Seven files, the oldest three of which are named, and made so old."""
    return plan(
        then(AwaitCommitLog(target=master(0), at_least=FILES, timeout_s=120), name="grown"),
        then(StopLoad(name="bulk")),
        then(AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120), name="loaded"),
        then(CommitLog(target=master(0)), name="before"),
        then(AgeCommitLog(target=master(0), files=OLD, age_h=age_h), name="old"),
    )


def _gone(within_s: float) -> tuple[Step, ...]:
    """Until the old ones are gone, and one look of the broker more."""
    return plan(
        then(AwaitGone(target=master(0), files="old", timeout_s=within_s), name="waited"),
        then(Elapse(seconds=CHECK_S + 1), name="another-look"),
        then(CommitLog(target=master(0)), name="after"),
        then(ExactlyDeleted(before="before", aged="old", after="after"), name="deleted"),
    )


@guarantee("expired-files-go-on-schedule")
def test_expired_files_go_at_their_hour(scenario: Prover) -> None:
    """At the hour of deleteWhen exactly the files older than fileReservedTime go, though nobody consumed them."""
    within_s = FIRST_LOOK_S + 3 * CHECK_S
    exact = [observed("deleted.exact").equals(1)]
    scenario(
        # The hour may be over before the broker has looked.
        cluster=_needs(deleteWhen=_hours(0, 1)),
        load=LOAD,
        steps=plan(_grown(age_h=5), _gone(within_s)),
        demand=[
            *exact,
            observed("deleted.young_kept") >= 1,
            metric("unacknowledged").equals(0),
            forbid("lost", sent_after="grown", replicas="master"),
            forbid("phantom"),
        ],
        gates=UNHURT.model_copy(update={"preconditions": GROWN}),
        control=scenario.control(
            "another-hour",
            cluster=_needs(deleteWhen=_hours(12)),
            load=LOAD,
            steps=plan(_grown(age_h=5), _gone(FIRST_LOOK_S)),
            demand=exact,
            gates=UNHURT,
            why="at another hour they must stay",
        ),
    )


@guarantee("forced-cleaning-is-oldest-first")
def test_forced_cleaning_takes_the_oldest(scenario: Prover) -> None:
    """Above the forced level the oldest files go though they are young; what is sent after that is there."""
    within_s = FIRST_LOOK_S + 4 * CHECK_S

    def steps() -> tuple[Step, ...]:
        return plan(
            _grown(age_h=0),
            then(FillDisk(target=master(0), ratio=FORCED, await_health=False), name="full"),
            _gone(within_s),
            heal("full"),
        )

    scenario(
        cluster=_needs(deleteWhen=_hours(12)),
        load=LOAD,
        steps=steps(),
        demand=[
            observed("waited.reached").equals(1),
            observed("after.count") >= 1,
            # Until the first look files filled up and went by force as well.
            forbid("lost", sent_after="waited", replicas="master"),
            forbid("phantom"),
        ],
        gates=Gates(in_flight_at_fault=False, preconditions=GROWN),
        control=scenario.control(
            "not-by-force",
            cluster=_needs(deleteWhen=_hours(12), cleanFileForciblyEnable="false"),
            load=LOAD,
            steps=steps(),
            demand=[observed("waited.reached").equals(1)],
            gates=Gates(in_flight_at_fault=False),
            why="with cleanFileForciblyEnable=false young files must stay",
        ),
    )


@guarantee("documented-ratio-keeps-the-ladder")
def test_past_the_documented_ratio_only_expired_files_go(scenario: Prover) -> None:
    """diskMaxUsedSpaceRatio=88 as documented, and a disk a little past it: the expired files go, and no others."""
    documented = 88
    scenario(
        cluster=_needs(deleteWhen=_hours(12), diskMaxUsedSpaceRatio=str(documented)),
        load=LOAD,
        steps=plan(
            _grown(age_h=5),
            then(FillDisk(target=master(0), ratio=0.885, await_health=False), name="full"),
            _gone(FIRST_LOOK_S + 4 * CHECK_S),
            heal("full"),
        ),
        demand=[
            observed("deleted.exact").equals(1),
            observed("deleted.young_kept") >= 1,
            forbid("phantom"),
        ],
        gates=Gates(in_flight_at_fault=False, preconditions=GROWN),
        control=scenario.control(
            "below-the-ratio",
            cluster=_needs(deleteWhen=_hours(12), diskMaxUsedSpaceRatio=str(documented)),
            load=LOAD,
            steps=plan(
                _grown(age_h=5),
                then(FillDisk(target=master(0), ratio=0.7), name="full"),
                _gone(FIRST_LOOK_S + 4 * CHECK_S),
                heal("full"),
            ),
            demand=[observed("deleted.exact").equals(1)],
            gates=Gates(in_flight_at_fault=False),
            why="on a disk that is below every level no file may go, expired or not",
        ),
    )
