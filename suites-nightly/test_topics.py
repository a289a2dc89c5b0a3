"""Topics that change while they are used."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    MakeTopics,
    Prover,
    Routed,
    SetQueues,
    StartLoad,
    Step,
    consume,
    forbid,
    guarantee,
    metric,
    observed,
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
            then(Elapse(seconds=SETTLED_S[scenario.client_timers]), name="settled"),
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


@guarantee("auto-topic-reaches-every-broker")
def test_a_topic_made_by_the_first_send_is_on_every_broker(scenario: Prover) -> None:
    """With autoCreateTopicEnable=true and defaultTopicQueueNums=4 one send makes four queues on every broker.

    Its producer is a new one, whose client asks for four queues as well, which is its own default.
    """
    everywhere = scenario.topology.masters
    first = produce(1, rate=10, name="first", topic=1, max_messages=1, wait_route=False, timeout_ms=10_000)
    reached = observed("made.brokers_least").equals(everywhere)

    def needs(automatic: str) -> ClusterNeeds:
        conf = {"autoCreateTopicEnable": automatic, "defaultTopicQueueNums": str(BEFORE)}
        return ClusterNeeds(topics=2, late_topics=1, broker_conf=conf, insists=True)

    # Made everywhere in the end: the oracle is to read what there is of it on every broker.
    steps = plan(
        then(ENOUGH, name="loaded"),
        then(Routed(topic="topic-1"), name="before"),
        then(StartLoad(load=(first,)), name="first-send"),
        then(AwaitCount(who="first", what="invoked", at_least=1, from_start=True, timeout_s=60), name="sent"),
        then(Elapse(seconds=SETTLED_S[scenario.client_timers]), name="settled"),
        then(Routed(topic="topic-1"), name="made"),
        then(MakeTopics(topics=(1,)), name="made-by-hand"),
    )
    scenario(
        cluster=needs("true"),
        load=[LOAD],
        steps=steps,
        demand=[
            reached,
            observed("made.queues_least").equals(BEFORE),
            observed("made.queues_most").equals(BEFORE),
            metric("acked", process="first").equals(1),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=UNHURT.model_copy(update={"also": (observed("before.yes").equals(0),)}),
        control=scenario.control(
            "not-automatic",
            cluster=needs("false"),
            load=[LOAD],
            steps=steps,
            demand=[reached],
            gates=UNHURT,
            why="with autoCreateTopicEnable=false the same send must make no topic at all",
        ),
    )
