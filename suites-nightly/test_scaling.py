"""Clusters that grow while they are used."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Join,
    MakeTopics,
    Prover,
    StartLoad,
    Step,
    StopLoad,
    forbid,
    guarantee,
    metric,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=400, threads=3)
ENOUGH = AwaitCount(who="p", what="ok", at_least=2000, from_start=True, timeout_s=120)
POLL_S = {"documented": 30 + 5, "fast": 12}
"""By which every client that runs has polled the routes."""
FROM_THE_START, LATER = 0, 1
SENDS = 1500
UNHURT = Gates(in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)


def _sent(name: str, topic: int) -> tuple[Step, ...]:
    """So many sends by a producer that starts now: it asks for the route and takes every queue in turn."""
    load = produce(1, rate=300, name=name, topic=topic, max_messages=SENDS)
    return plan(
        then(StartLoad(load=(load,)), name=f"{name}-start"),
        then(AwaitCount(who=name, what="ok", at_least=SENDS, from_start=True, timeout_s=90), name=f"{name}-sent"),
        then(StopLoad(name=name), name=f"{name}-stop"),
    )


@guarantee("new-broker-takes-load")
def test_a_new_broker_takes_its_share_of_new_topics(scenario: Prover) -> None:
    """A master joins under load: a topic made after it is spread over all, an older one only once it is made there.

    No send fails, nobody is restarted, and the producers that ran before use it as well.
    """
    masters = scenario.topology.masters
    newcomer = scenario.topology.brokers[-1].name
    needs = ClusterNeeds(topics=2, late_topics=1, joining=(masters - 1,))

    def share(name: str) -> list[Expectation]:
        there = metric("broker_share", broker=newcomer, process=f"{name}-")
        return [there >= 0.9 / masters, there <= 1.1 / masters]

    joined = plan(then(ENOUGH, name="loaded"), then(Join(broker=masters - 1)))
    scenario(
        cluster=needs,
        load=[LOAD],
        steps=plan(
            joined,
            _sent("before", FROM_THE_START),
            then(MakeTopics(topics=(LATER,)), name="made"),
            _sent("new", LATER),
            then(MakeTopics(topics=(FROM_THE_START,)), name="made-there"),
            then(Elapse(seconds=POLL_S[scenario.client_timers]), name="polled"),
            _sent("old", FROM_THE_START),
        ),
        demand=[
            metric("broker_share", broker=newcomer, process="before-").equals(0),
            *share("new"),
            *share("old"),
            metric("broker_share", broker=newcomer, process="p-") > 0,
            metric("unacknowledged").equals(0),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=UNHURT,
        control=scenario.control(
            "a-topic-from-before",
            cluster=needs,
            load=[LOAD],
            steps=plan(
                joined,
                _sent("old", FROM_THE_START),
                then(MakeTopics(topics=(FROM_THE_START, LATER)), name="made"),
            ),
            demand=share("old"),
            gates=UNHURT,
            why="a topic that was there before is not on the new broker until it is made there",
        ),
    )
