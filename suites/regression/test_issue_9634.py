"""apache/rocketmq issue 9634: a slave lowers one of its own settings by ten each time it is started."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Expectation,
    Gates,
    Misconfigure,
    Prover,
    Same,
    Setting,
    Step,
    Stop,
    forbid,
    guarantee,
    observed,
    outage,
    plan,
    produce,
    slave,
    then,
)

KEY = "accessMessageInMemoryMaxRatio"
LOAD = produce(1, rate=200)
UNHURT = Gates(min_acked=500, min_acked_before_fault=0, in_flight_at_fault=False)


@guarantee("issue-9634-setting-sinks")
def test_a_restart_changes_no_setting(scenario: Prover) -> None:
    """A slave that was told a setting is stopped and started: what share of its memory it reckons with stays the same.

    What it is told makes it write all its settings to its file, the lowered one among them.
    """
    same: list[Expectation] = [observed("kept").equals(1)]

    def steps(*restart: tuple[Step, ...]) -> tuple[Step, ...]:
        return plan(
            then(AwaitCount(who="p", what="ok", at_least=500, from_start=True, timeout_s=120), name="loaded"),
            then(Setting(target=slave(0), key=KEY), name="before"),
            *restart,
            then(Setting(target=slave(0), key=KEY), name="after"),
            then(Same(first="before", second="after"), name="kept"),
        )

    scenario(
        load=[LOAD],
        steps=steps(outage("restart", Stop(target=slave(0)), after_s=0, for_s=1)),
        demand=[*same, forbid("lost", replicas="master"), forbid("phantom")],
        gates=UNHURT,
        control=scenario.control(
            "told-otherwise",
            load=[LOAD],
            steps=steps(then(Misconfigure(target=slave(0), conf={KEY: "25"}), name="restart")),
            demand=same,
            gates=UNHURT,
            why="a setting that another file says must be seen to be another",
        ),
    )
