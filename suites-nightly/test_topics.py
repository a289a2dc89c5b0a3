"""Topics that change while they are used."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Prover,
    SetQueues,
    Step,
    consume,
    forbid,
    guarantee,
    metric,
    plan,
    produce,
    then,
)

BEFORE, AFTER = 4, 8
LOAD = produce(2, rate=900, threads=3)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
SETTLED_S = {"documented": 30 + 22, "fast": 12}
"""By which every client has polled the route, and every consumer has what is its own of it."""
LOOK_S = 8
UNHURT = Gates(in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)


@guarantee("queue-expansion-is-live")
def test_queues_are_added_under_load(scenario: Prover) -> None:
    """From four queues to eight under load: no send fails, nothing is lost, and soon all eight are written and read."""
    everywhere = AFTER * scenario.topology.masters
    used: list[Expectation] = [metric("queues_in_use", group="g", during="look") >= everywhere]
    needs = ClusterNeeds(queues=BEFORE)

    def steps(*change: Step) -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            change,
            then(Elapse(seconds=SETTLED_S[scenario.timers]), name="settled"),
            then(Elapse(seconds=LOOK_S), name="look"),
        )

    scenario(
        cluster=needs,
        load=[LOAD, consume(2)],
        steps=steps(*then(SetQueues(queues=AFTER), name="grown")),
        demand=[
            *used,
            metric("unacknowledged").equals(0),
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("phantom"),
        ],
        gates=UNHURT,
        control=scenario.control(
            "unchanged",
            cluster=needs,
            load=[LOAD, consume(2)],
            steps=steps(),
            demand=used,
            gates=UNHURT,
            why="without the change no queue beyond the fourth may be used",
        ),
    )
