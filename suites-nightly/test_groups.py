"""How a consumer group shares its queues, keeps apart from others, and replaces who is gone."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Partition,
    Prover,
    StartLoad,
    Step,
    consume,
    forbid,
    guarantee,
    heal,
    metric,
    observed,
    plan,
    produce,
    then,
)

QUEUES = 6
LOAD = produce(2, rate=900, threads=3)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
SETTLED_S = {"documented": 22, "fast": 6}
"""Longer than a client's rebalance interval, by which everybody has what is theirs."""
LOOK_S = 5
UNHURT = Gates(in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)
REBALANCE_S = 20
EXPIRY_S, SCAN_S, HEARTBEAT_S = 120, 10, 30


@guarantee("clustering-shares-queues")
def test_consumers_share_the_queues(scenario: Prover) -> None:
    """Of 6 queues two consumers have 3 each, three have 2 each, and of seven the last has none; each has one owner."""
    cluster = ClusterNeeds(queues=QUEUES // scenario.topology.masters)
    members = (2, 3, 7)
    shares = {2: (3, 3), 3: (2, 2), 7: (1, 0)}

    def joining(model: str) -> tuple[Step, ...]:
        """Members join until there are 2, 3 and 7; after each the group settles and is looked at."""
        parts = [then(ENOUGH, name="loaded")]
        before = 0
        for number in members:
            joins = consume(number - before, name=f"c{number}", model=model, wait_assignment=number <= QUEUES)
            parts += [
                then(StartLoad(load=(joins,)), name=f"join-{number}"),
                then(Elapse(seconds=SETTLED_S[scenario.client_timers]), name=f"settle-{number}"),
                then(Elapse(seconds=LOOK_S), name=f"of-{number}"),
            ]
            before = number
        return plan(*parts)

    def shared(number: int) -> list[Expectation]:
        look = {"group": "g", "during": f"of-{number}"}
        most, least = shares[number]
        return [
            metric("queues_per_member", **look, members=number, which="most").equals(most),
            metric("queues_per_member", **look, members=number, which="least").equals(least),
            metric("owners_per_queue", **look).equals(1),
        ]

    scenario(
        cluster=cluster,
        load=[LOAD],
        steps=joining("clustering"),
        demand=[*(demand for number in members for demand in shared(number)), forbid("undelivered"), forbid("lost")],
        gates=UNHURT.model_copy(
            update={"also": tuple(metric("queues_in_use", group="g", during=f"of-{n}").equals(QUEUES) for n in members)}
        ),
        control=scenario.control(
            "broadcasting",
            cluster=cluster,
            load=[LOAD],
            steps=joining("broadcasting"),
            demand=[demand for number in members for demand in shared(number)],
            gates=UNHURT,
            why="in broadcasting mode each of them has all 6",
        ),
    )


@guarantee("broadcasting-reaches-all")
def test_every_member_is_given_everything(scenario: Prover) -> None:
    """Three consumers in broadcasting mode are each given every acknowledged message, once."""
    everything = metric("least_delivered_ratio", group="g").equals(1)
    scenario(
        load=[LOAD, consume(3, model="broadcasting")],
        steps=plan(then(ENOUGH, name="loaded"), then(Elapse(seconds=LOOK_S), name="afterwards")),
        demand=[everything, forbid("undelivered"), forbid("redelivered"), forbid("phantom"), forbid("lost")],
        gates=UNHURT.model_copy(update={"min_acked": 3000}),
        control=scenario.control(
            "clustering",
            load=[LOAD, consume(3)],
            steps=plan(then(ENOUGH, name="loaded"), then(Elapse(seconds=LOOK_S), name="afterwards")),
            demand=[everything],
            gates=UNHURT.model_copy(update={"min_acked": 3000}),
            why="in clustering mode each is given a part",
        ),
    )


@guarantee("groups-are-independent")
def test_a_dead_group_takes_nothing_from_another(scenario: Prover) -> None:
    """While every consumer of one group is dead the other goes on, and both are given everything in the end."""
    groups = [consume(2, name="a", group="ga"), consume(2, name="b", group="gb")]
    goes_on = AwaitCount(who="b", what="delivered", at_least=2000, timeout_s=60)
    scenario(
        load=[LOAD, *groups],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(Kill(target="client/a-1+client/a-2", lasting=True), name="group-killed"),
            then(goes_on, name="other-goes-on"),
            then(StartLoad(load=(consume(2, name="again", group="ga"),)), name="group-returns"),
            then(Elapse(seconds=LOOK_S), name="afterwards"),
        ),
        drain_s=120,
        demand=[
            observed("other-goes-on.reached").equals(1),
            forbid("undelivered", group="ga"),
            forbid("undelivered", group="gb"),
            forbid("redelivered", group="gb"),
            forbid("lost"),
        ],
        control=scenario.control(
            "one-group",
            load=[LOAD, consume(2, name="a", group="gb"), consume(2, name="b", group="gb")],
            steps=plan(then(ENOUGH, name="loaded"), then(goes_on, name="other-goes-on")),
            demand=[metric("least_delivered_ratio", group="gb").equals(1)],
            gates=UNHURT.model_copy(update={"min_acked": 3000}),
            why="consumers of one group are each given a part",
        ),
    )


@guarantee("dead-consumer-is-replaced")
def test_the_queues_of_a_lost_consumer_move(scenario: Prover) -> None:
    """A killed consumer's queues are others' before the next regular rebalance; a silent one keeps them two minutes.

    The broker drops a client that it has not heard of for two minutes, looking every ten seconds; the last heartbeat
    may be thirty seconds old when the line is cut.
    """
    scenario(
        cluster=ClusterNeeds(timers="documented", queues=4),
        load=[LOAD, consume(3)],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(AwaitCount(who="c-1", what="delivered", at_least=100, from_start=True), name="first-works"),
            then(AwaitCount(who="c-2", what="delivered", at_least=100, from_start=True), name="second-works"),
            then(Kill(target="client/c-1", lasting=True), name="killed", after_s=2),
            then(Elapse(seconds=REBALANCE_S + 5), name="replaced"),
            then(Partition(sources="client/c-2", sinks="node/*"), name="silent"),
            then(Elapse(seconds=EXPIRY_S + SCAN_S + REBALANCE_S + 5), name="expired"),
            heal("silent"),
        ),
        drain_s=120,
        demand=[
            metric("taken_over_s", group="g", window="killed", which="last") < REBALANCE_S / 2,
            metric("taken_over_s", group="g", window="silent", which="first") >= EXPIRY_S - HEARTBEAT_S,
            metric("taken_over_s", group="g", window="silent", which="last") < EXPIRY_S + SCAN_S + REBALANCE_S,
            forbid("undelivered"),
            forbid("lost"),
        ],
        gates=Gates(preconditions=tuple(observed(f"{who}-works.reached").equals(1) for who in ("first", "second"))),
    )
