"""What the documents say of costs: measured, for how much it is depends on the machine."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    Gates,
    Prover,
    Step,
    TakeTurns,
    Verdict,
    forbid,
    guarantee,
    metric,
    plan,
    produce,
    then,
)

WARM = AwaitCount(who="sync", what="ok", at_least=3000, from_start=True, timeout_s=120)
"""Before the first turn: what is interpreted at first is compiled later, and slow until then."""
WIDEST = 1.25
"""An interval whose ends are further apart is no figure."""
ALIKE = 1.1
"""So far from 1 two loads that are the same may come out: less than what the documents say that waiting costs."""
THREADS = 8


@guarantee("sync-costs-about-ten-percent")
def test_what_waiting_for_the_slave_costs(scenario: Prover) -> None:
    """With as many threads, sends that wait for the slave are fewer and take longer than those that do not."""
    waits = produce(1, rate=None, threads=THREADS, name="sync")
    twin = produce(1, rate=None, threads=THREADS, name="same")
    asynchronous = produce(1, rate=None, threads=THREADS, name="async", wait_store=False)

    def steps(other: str) -> tuple[Step, ...]:
        return plan(then(WARM, name="warm"), then(TakeTurns(first="sync", second=other, rounds=20), name="turns"))

    gates = Gates(
        in_flight_at_fault=False,
        faults_bite=False,
        faults_heal=False,
        min_acked_before_fault=0,
        preconditions=tuple(
            metric("turns_ratio", name="turns", what=what, bound="width") <= WIDEST for what in ("rate", "latency")
        ),
    )

    scenario(
        load=[waits, asynchronous],
        steps=steps("async"),
        demand=[
            # How much it is, is the figure; an interval that lies on the other side of 1 altogether contradicts it.
            metric("turns_ratio", name="turns", what="rate", bound="low") < 1,
            metric("turns_ratio", name="turns", what="latency", bound="high") > 1,
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=gates,
        control=scenario.control(
            "both-wait",
            load=[waits, twin],
            steps=steps("same"),
            demand=[
                demand
                for what in ("rate", "latency")
                for demand in (
                    metric("turns_ratio", name="turns", what=what) > 1 / ALIKE,
                    metric("turns_ratio", name="turns", what=what) < ALIKE,
                )
            ],
            gates=gates,
            expect=Verdict.HELD,
            why="of two loads that both wait, neither may come out as the dearer one",
        ),
    )
