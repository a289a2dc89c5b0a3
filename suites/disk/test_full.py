"""A disk that fills up: writes are refused in time, only what has expired goes, and nothing acknowledged is lost."""

from __future__ import annotations

import datetime

from harness.suite import (
    AgeCommitLog,
    AwaitAnswer,
    AwaitCommitLog,
    AwaitCount,
    AwaitDelivered,
    AwaitGone,
    ClusterNeeds,
    CommitLog,
    Elapse,
    ExactlyDeleted,
    FillDisk,
    Gates,
    Prover,
    SendDirect,
    StartLoad,
    Step,
    StopLoad,
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
REFUSED, REFUSED_AT_LEAST = 20, 15
"""Sends straight to the full broker, and how many of them it must have answered for this to show anything."""
WARNING = 0.93
BETWEEN = 0.79
"""Above diskMaxUsedSpaceRatio (75 %), below the level of forced cleaning (85 %)."""
BELOW = 0.65
# All that is sent while the disk is full, a reader must catch up with beside the sends that go on.
LOAD = produce(2, rate=200, threads=4, timeout_ms=10_000)
ENOUGH = AwaitCount(who="p", what="ok", at_least=2000, from_start=True, timeout_s=120)
"""The load before the disk fills up, however slow the machine is."""


@guarantee("disk-warning-refuses-writes")
def test_a_nearly_full_disk_refuses_writes_and_recovers(scenario: Prover) -> None:
    """Past the warning level sends get code 14, reads go on, nothing is lost, and writes return when space is free."""
    needs = ClusterNeeds(
        disk_bytes=DISK_BYTES,
        # One file only: above 85 % whole older files are deleted with what was acknowledged in them, by design.
        broker_conf={"mappedFileSizeCommitLog": str(128 << 20), "mapedFileSizeCommitLog": str(128 << 20)},
    )
    others = scenario.topology.masters > 1
    scenario(
        cluster=needs,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(FillDisk(target=master(0), ratio=WARNING, await_health=False), name="full"),
            then(
                AwaitAnswer(target=master(0), codes=(DISK_FULL,), timeout_s=FIRST_LOOK_S + 3 * CHECK_S), name="refused"
            ),
            then(SendDirect(target=master(0), count=REFUSED, among=(DISK_FULL,)), name="while-full"),
            then(StartLoad(load=(consume(1),)), name="reader"),
            then(AwaitDelivered(of=master(0), timeout_s=60), name="reads-go-on"),
            heal("full"),
            then(AwaitAnswer(target=master(0), codes=(0,), timeout_s=6 * CHECK_S), name="accepted"),
            then(AwaitCount(who="p", what="ok", at_least=500, timeout_s=60), name="sends-return"),
            # Where the broker looks at its disk at once, all of that may take less than so many sends need.
            then(AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=60), name="enough"),
        ),
        demand=[
            observed("refused.reached").equals(1),
            *(observed(f"while-full.{what}").equals(0) for what in ("stored", "accepted", "codes.other")),
            observed("reads-go-on.all").equals(1),
            observed("accepted.reached").equals(1),
            observed("sends-return.reached").equals(1),
            *([metric("unacknowledged_in", window="full", process="p-").equals(0)] if others else []),
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("stored-though-failed"),
        ],
        # One send that is not answered is neither refused nor taken.
        gates=Gates(also=(observed("while-full.answered") >= REFUSED_AT_LEAST,)),
        control=scenario.control(
            "space-left",
            cluster=needs,
            load=[LOAD],
            steps=plan(
                then(FillDisk(target=master(0), ratio=BETWEEN), name="full", after_s=3),
                then(
                    AwaitAnswer(target=master(0), codes=(DISK_FULL,), timeout_s=_one_look_s(scenario), poll_s=1),
                    name="refused",
                ),
                heal("full"),
            ),
            demand=[observed("refused.reached").equals(1)],
            gates=Gates(min_acked=2000),
            why="below the warning level nothing may be refused",
        ),
    )


@guarantee("past-ratio-deletes-only-expired")
def test_past_the_ratio_only_expired_files_go(scenario: Prover) -> None:
    """Past diskMaxUsedSpaceRatio exactly the files older than fileReservedTime go; younger ones stay, sends go on."""
    needs = ClusterNeeds(
        disk_bytes=DISK_BYTES,
        broker_conf={
            "mappedFileSizeCommitLog": str(8 << 20),
            "mapedFileSizeCommitLog": str(8 << 20),
            "fileReservedTime": "1",
            "deleteWhen": f"{(datetime.datetime.now().astimezone().hour + 12) % 24:02d}",
        },
    )
    # What makes the files is stopped before the disk is filled: the usage must stay between the two levels.
    bulk = produce(1, rate=400, name="bulk", threads=4, body_bytes=16 << 10, timeout_ms=10_000)

    def steps(ratio: float, wait_s: float) -> tuple[Step, ...]:
        return plan(
            then(AwaitCommitLog(target=master(0), at_least=7, timeout_s=120), name="grown"),
            then(StopLoad(name="bulk")),
            then(ENOUGH, name="loaded"),
            then(CommitLog(target=master(0)), name="before"),
            then(AgeCommitLog(target=master(0), files=3, age_h=5), name="aged"),
            then(FillDisk(target=master(0), ratio=ratio), name="full"),
            then(AwaitGone(target=master(0), files="aged", timeout_s=wait_s), name="waited"),
            then(Elapse(seconds=CHECK_S + 1), name="another-look"),
            then(CommitLog(target=master(0)), name="after"),
            then(ExactlyDeleted(before="before", aged="aged", after="after"), name="deleted"),
            heal("full"),
        )

    load = [LOAD, bulk]
    scenario(
        cluster=needs,
        load=load,
        steps=steps(BETWEEN, FIRST_LOOK_S + 4 * CHECK_S),
        demand=[
            observed("deleted.exact").equals(1),
            observed("deleted.young_kept") >= 1,
            metric("unacknowledged").equals(0),
            # What was sent after there were seven files lies in the younger ones; a slave's copy proves nothing of it.
            forbid("lost", sent_after="grown", replicas="master"),
            forbid("phantom"),
        ],
        # A disk that fills is no instant: on a quick machine no send happens to be under way at it. Fewer files than
        # were waited for leave no young one besides the last.
        gates=Gates(in_flight_at_fault=False, preconditions=(observed("grown.reached").equals(1),)),
        control=scenario.control(
            "below-the-ratio",
            cluster=needs,
            load=load,
            steps=steps(BELOW, FIRST_LOOK_S - CHECK_S),
            demand=[observed("deleted.exact").equals(1)],
            gates=Gates(in_flight_at_fault=False),
            why="below the ratio even aged files stay until their hour",
        ),
    )


def _one_look_s(scenario: Prover) -> float:
    """Within this time of the load the broker has looked at its disk: 4.8 and 4.9 do from their first second."""
    early = (4, 8) <= (scenario.version.major, scenario.version.minor) < (5, 0)
    return 2.5 * CHECK_S if early else FIRST_LOOK_S + CHECK_S
