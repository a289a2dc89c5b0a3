"""A byte that changed on the disk, as bad memory or a bad sector leaves it."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    FlipByte,
    Gates,
    LoseFiles,
    Prover,
    forbid,
    guarantee,
    master,
    metric,
    outage,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=1000, threads=4)
FILES = {"mappedFileSizeCommitLog": str(16 << 20)}
"""The files of a stock cluster are of 1 GiB."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=6000, from_start=True, timeout_s=120)


@guarantee("bad-byte-costs-one-message")
def test_a_changed_byte_costs_the_message_that_it_is_in(scenario: Prover) -> None:
    """A master is killed, a byte in the midst of its newest commit-log file changes, it starts: one message is lost."""
    files = ClusterNeeds(broker_conf=FILES if scenario.topology.stock else {})
    scenario(
        cluster=files,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("flipped", FlipByte(target=master(0)), after_s=2, for_s=1),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        read_roles="masters",  # a slave that is ahead of its master then: power-cut-leaves-replicas-agreeing
        demand=[
            metric("lost_count", replicas="master") <= 1,
            forbid("phantom"),
        ],
        control=scenario.control(
            "a-whole-file",
            cluster=files,
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                outage("emptied", LoseFiles(target=master(0), files="commitlog/*"), after_s=2, for_s=1),
            ),
            read_roles="masters",
            demand=[metric("lost_count", replicas="master") <= 1],
            gates=Gates(min_acked=2000),
            why="a commit log whose files are empty has lost more than one message",
        ),
    )
