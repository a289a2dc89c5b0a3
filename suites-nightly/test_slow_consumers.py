"""Where a consumer reads that has fallen behind."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Gates,
    Misconfigure,
    Prover,
    PullDirect,
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

LOAD = produce(2, rate=600, threads=4)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
EVERYTHING_IS_OLD = {"accessMessageInMemoryMaxRatio": "0"}
"""Of the machine's memory, what may lie behind the end of the log and still count as fresh: nothing."""
QUIET = Gates(min_acked=3000, in_flight_at_fault=False)
PULL = PullDirect(target=master(0), group="behind")


@guarantee("slow-consumer-is-sent-to-the-slave")
def test_a_consumer_that_is_behind_is_sent_to_the_slave(scenario: Prover) -> None:
    """With slaveReadEnable=true a master sends whoever reads what is old to its slave, and otherwise to itself.

    Asked is the master, as a client would; that clients go where they are sent is not looked at.
    """
    moved = observed("behind.suggested_least").equals(1)

    def steps(readable: str) -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(PULL, name="fresh"),
            then(
                Misconfigure(target=master(0), conf={**EVERYTHING_IS_OLD, "slaveReadEnable": readable}), name="all-old"
            ),
            then(PULL, name="behind"),
            heal("all-old"),
            then(PULL, name="fresh-again"),
        )

    scenario(
        load=[LOAD],
        steps=steps("true"),
        demand=[
            observed("fresh.suggested_most").equals(0),
            moved,
            observed("fresh-again.suggested_most").equals(0),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=QUIET,
        control=scenario.control(
            "slave-not-readable",
            load=[LOAD],
            steps=steps("false"),
            demand=[moved],
            gates=QUIET,
            why="with slaveReadEnable=false the same reader must be kept by the master",
        ),
    )
