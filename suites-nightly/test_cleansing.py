"""Deleting a broker's store, the documented way to start over."""

from __future__ import annotations

from harness.suite import (
    AwaitAnswer,
    AwaitCount,
    AwaitHealthy,
    AwaitRoute,
    ClusterNeeds,
    DestroyStore,
    Elapse,
    Expectation,
    Gates,
    Prover,
    ReadBack,
    SendDirect,
    Step,
    Stop,
    StopLoad,
    Verdict,
    forbid,
    guarantee,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    slave,
    then,
)

TAKEN = (0, 10, 11, 12)
"""What is stored, with its copy or without."""
LOAD = produce(2, rate=800, threads=4)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
NEW = 20
SLAVE_LOOKS_S = 15
"""Three times what a slave waits before it dials its master again, which it does every 5 s."""


def _emptied(how: DestroyStore | Stop, every: str, whole: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """A broker name of these nodes is loaded, stopped for so long, and sent to again once it has taken a message.

    It has once it says that it stored one, with its copy or not: a master whose slave is not back yet says so.
    """
    return plan(
        then(ENOUGH, name="loaded"),
        then(StopLoad(name="p"), name="no-more-sends"),
        outage("cleansed", how, after_s=0, for_s=1),
        then(AwaitRoute(target=every, present=True, since="cleansed", since_heal=True, timeout_s=60), name="back"),
        then(AwaitAnswer(target=master(0), codes=TAKEN, timeout_s=60), name="takes"),
        whole,
        then(SendDirect(target=master(0), count=NEW), name="new"),
    )


@guarantee("cleansing-empties")
def test_a_cleansed_broker_is_empty_and_works(scenario: Prover) -> None:
    """Stopped, emptied and started, a broker name serves nothing of what it had, and takes and serves new messages."""
    group = scenario.topology.brokers[0]
    every = "+".join([master(0), *(slave(n) for n in range(group.slaves))])
    cluster = ClusterNeeds(broker_conf={"autoCreateTopicEnable": "true"}, insists=True)
    first = scenario.topology.group(group.name)[0].name
    empty: list[Expectation] = [metric("stored_count", replicas=[first]).equals(NEW + 1)]

    def emptied(how: DestroyStore | Stop) -> tuple[Step, ...]:
        return _emptied(how, every, whole=plan(then(AwaitHealthy(), name="whole")))

    scenario(
        cluster=cluster,
        load=[LOAD],
        steps=emptied(DestroyStore(target=every, await_health=False)),
        demand=[*empty, observed("new.accepted").equals(NEW), forbid("lost", process="probe"), forbid("phantom")],
        gates=Gates(min_acked=3000, in_flight_at_fault=False, preconditions=(observed("takes.sent").equals(1),)),
        control=scenario.control(
            "kept",
            cluster=cluster,
            load=[LOAD],
            steps=emptied(Stop(target=every, await_health=False)),
            demand=empty,
            gates=Gates(min_acked=3000, in_flight_at_fault=False),
            why="the same stop and start without the deletion must keep everything",
        ),
    )


@guarantee("cleansing-one-side-diverges-nothing")
def test_a_master_cleansed_alone_agrees_with_its_slave(scenario: Prover) -> None:
    """The master alone is emptied and takes new messages: its slave holds the same at every offset."""
    group = scenario.topology.brokers[0]
    slaves = "+".join(slave(n) for n in range(group.slaves))
    every = f"{master(0)}+{slaves}"
    cluster = ClusterNeeds(broker_conf={"autoCreateTopicEnable": "true"}, insists=True)

    def emptied(target: str) -> tuple[Step, ...]:
        return plan(
            _emptied(DestroyStore(target=target, await_health=False), every),
            then(Elapse(seconds=SLAVE_LOOKS_S), name="copied"),
            then(ReadBack(phase="compared"), name="compared"),
            # A slave that does not follow is no cluster to end with: emptied as well, it does.
            outage("mended", DestroyStore(target=slaves), after_s=0, for_s=1),
        )

    agree: list[Expectation] = [forbid("diverged", phase="compared")]
    gates = Gates(
        min_acked=3000,
        in_flight_at_fault=False,
        min_acked_before_fault=0,
        preconditions=(observed("takes.reached").equals(1),),
    )
    scenario(
        cluster=cluster,
        load=[LOAD],
        steps=emptied(master(0)),
        demand=agree,
        gates=gates,
        control=scenario.control(
            "both-sides",
            cluster=cluster,
            load=[LOAD],
            steps=emptied(every),
            demand=agree,
            gates=gates,
            expect=Verdict.HELD,
            why="with both sides cleansed the replicas agree",
        ),
    )
