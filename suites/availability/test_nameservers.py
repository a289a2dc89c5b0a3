"""Nameservers: stateless, independent, and needed only by those who do not know the way yet."""

from __future__ import annotations

from collections.abc import Mapping

from harness.suite import (
    ALL_CLIENTS,
    ALL_MASTERS,
    ALL_NAMESERVERS,
    ALL_SLAVES,
    AwaitCount,
    AwaitHealthy,
    AwaitRoute,
    AwaitRoutes,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Partition,
    Pause,
    Prover,
    Registered,
    Require,
    Same,
    Snapshot,
    StartLoad,
    Step,
    Watch,
    consume,
    forbid,
    guarantee,
    heal,
    isolate,
    master,
    metric,
    nameserver,
    observed,
    plan,
    produce,
    slave,
    then,
)

EXPIRY_S = 120
REGISTRATION_S = 30
SCAN_S = 10
POLL_S = 30
REBALANCE_S = 20
SLACK_S = 5
NEWCOMERS = 2
LATEST_EXPIRY_S = EXPIRY_S + SCAN_S + SLACK_S
PATIENCE_S = EXPIRY_S - REGISTRATION_S - SLACK_S
LOAD = produce(2, rate=500, threads=4)
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
CALM = produce(2, rate=200, threads=4)
"""Where minutes are waited for, a load that leaves the machine to what runs beside it."""


@guarantee("nameserver-outage-is-invisible")
def test_one_nameserver_less_is_not_noticed(scenario: Prover) -> None:
    """Killing, pausing and cutting off each nameserver in turn fails no send and changes no other one's routes.

    Clients that come while one of them hangs find their way by another.
    """
    steps: list[Step] = [*then(ENOUGH, name="loaded")]
    steps += plan(*(then(Snapshot(on=nameserver(index)), name=f"routes-of-{index}") for index in (0, 1)))
    routes: list[Expectation] = []
    # What a nameserver goes through now must not be an outage of its own that is just over: a registration that was
    # under way in a cut still fails after it, and then the broker closes the link that the nameserver knows it by. The
    # first one's last outage is a kill therefore, after which every link is new, and the other one's is the cut.
    for index, words in ((0, ("pause", "cut", "kill")), (1, ("kill", "pause", "cut"))):
        faults = {
            "kill": Kill(target=nameserver(index)),
            "pause": Pause(target=nameserver(index)),
            "cut": isolate(nameserver(index)),
        }
        for word in words:
            name = f"{word}-{index}"
            steps += then(faults[word], name=name)
            if name == "pause-0":
                steps += _newcomers(NEWCOMERS, timeout_s=60)
            steps += then(Elapse(seconds=4), name=f"during-{name}")
            steps += then(Snapshot(on=nameserver(1 - index)), name=f"seen-{name}")
            steps += then(Same(first=f"routes-of-{1 - index}", second=f"seen-{name}"), name=f"routes-{name}")
            steps += heal(name)
            routes.append(observed(f"routes-{name}").equals(1))
    scenario(
        load=[LOAD, consume(1)],
        steps=plan(steps),
        demand=[
            metric("unacknowledged", process="p-").equals(0),
            *routes,
            *(observed(f"late-{n}-sends.reached").equals(1) for n in range(1, NEWCOMERS + 1)),
            forbid("lost", replicas="master"),
            forbid("undelivered"),
        ],
        control=scenario.control(
            "every-nameserver",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(Kill(target=ALL_NAMESERVERS)),
                _newcomers(1, timeout_s=15),
                heal("kill"),
            ),
            demand=[observed("late-1-sends.reached").equals(1)],
            why="with no nameserver left a client that comes must find no way",
        ),
    )


def _newcomers(count: int, timeout_s: float) -> tuple[Step, ...]:
    """Producers that know no route yet, and whether each is acknowledged. A client picks its nameserver at random."""
    late = produce(count, rate=20 * count, name="late", wait_route=False)
    return plan(
        then(StartLoad(load=(late,), must_be_ready=False), name="late"),
        *(
            then(AwaitCount(who=f"late-{n}", what="ok", at_least=20, timeout_s=timeout_s), name=f"late-{n}-sends")
            for n in range(1, count + 1)
        ),
    )


@guarantee("no-nameserver-running-clients-continue")
def test_running_clients_need_no_nameserver(scenario: Prover) -> None:
    """With every nameserver dead, running clients go on, new ones cannot begin, and all recover when they return.

    A new producer's sends fail for want of a route and a new consumer owns no queue; within a poll and a rebalance of
    the return both work, without having been started again. Brokers register one by one with the nameservers that
    came back; here the slaves do so first, and running clients go on all the same.
    """
    has_slaves = scenario.topology.slaves > 0
    slaves_first = AwaitRoute(target=ALL_SLAVES, present=True, since="kill", since_heal=True, timeout_s=60)
    scenario(
        load=[LOAD, consume(1)],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(Kill(target=ALL_NAMESERVERS, await_health=False)),
            then(
                StartLoad(
                    load=(
                        produce(1, rate=2, name="late-producer", retries=0, wait_route=False),
                        consume(1, name="late-consumer", group="late", wait_assignment=False),
                    ),
                    must_be_ready=False,
                ),
                name="late",
            ),
            then(AwaitCount(who="late-producer", what="fail", at_least=3, timeout_s=60), name="late-fails"),
            then(AwaitCount(who="c", what="delivered", at_least=500, timeout_s=10), name="running-goes-on"),
            then(AwaitCount(who="late-producer", what="ok", from_start=True, timeout_s=3), name="late-unsent"),
            then(AwaitCount(who="late-consumer", what="delivered", from_start=True, timeout_s=3), name="late-ungiven"),
            then(Partition(sources=ALL_MASTERS, sinks=ALL_NAMESERVERS, await_health=False), name="masters-late"),
            heal("kill"),
            *([then(slaves_first, name="slaves-first")] * has_slaves),
            heal("masters-late", after_s=4),
            then(AwaitHealthy(), name="whole"),
            then(AwaitCount(who="late-producer", what="ok", at_least=5, timeout_s=90), name="late-sends"),
            then(AwaitCount(who="late-consumer", what="delivered", at_least=50, timeout_s=90), name="late-gets"),
        ),
        demand=[
            # For itself: that the return of the nameservers costs sends is expected of 5.x, and this is not.
            metric("unacknowledged_in", window="kill", process="p-").equals(0),
            metric("unacknowledged", process="p-").equals(0),
            observed("late-fails.reached").equals(1),
            observed("running-goes-on.reached").equals(1),
            observed("late-unsent.reached").equals(0),
            observed("late-ungiven.reached").equals(0),
            observed("late-sends.reached").equals(1),
            observed("late-sends.seconds") <= POLL_S + SLACK_S,
            observed("late-gets.reached").equals(1),
            observed("late-gets.seconds") <= POLL_S + REBALANCE_S + SLACK_S,
            forbid("lost", replicas="master"),
            forbid("undelivered", group="g"),
        ],
    )


@guarantee("nameserver-partition")
def test_a_partitioned_broker_expires_only_where_it_is_cut_off(scenario: Prover) -> None:
    """A broker cut off from one nameserver stays routed by the other; on the first it expires and comes back.

    At the same time the clients are cut off from that nameserver, and must live by the other; and where there is
    a second master it is cut off from both, one way only, expires everywhere and comes back.
    """
    two = scenario.topology.masters > 1
    cuts = {"cut": Partition(sources=master(0), sinks=nameserver(0), await_health=False)}
    cuts["clients-cut"] = Partition(sources=ALL_CLIENTS, sinks=nameserver(0), await_health=False)
    if two:
        cuts["all-cut"] = Partition(sources=master(1), sinks=ALL_NAMESERVERS, one_way=True, await_health=False)
    watched = {"cut": (master(0), nameserver(0))} | ({"all-cut": (master(1), ALL_NAMESERVERS)} if two else {})
    scenario(
        cluster=ClusterNeeds(timers="documented"),
        load=[CALM],
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120), name="loaded"),
            *(then(fault, name=name) for name, fault in cuts.items()),
            then(Elapse(seconds=PATIENCE_S), name="patience"),
            *(then(_still(*who), name=f"{name}-still") for name, who in watched.items()),
            then(_gone(watched), name="expired"),
            then(Registered(target=master(0), on=nameserver(1)), name="elsewhere"),
            then(Elapse(seconds=2), name="without"),
            *(heal(name) for name in cuts),
            then(_back(watched), name="returned"),
            then(AwaitHealthy(), name="whole"),
        ),
        demand=[
            *(demand for name in watched for demand in _expires(name)),
            observed("elsewhere.no").equals(0),
            *(observed(f"{name}-returned.all").equals(1) for name in watched),
            metric("unacknowledged").equals(0),
            forbid("lost", replicas="master"),
        ],
        gates=Gates(also=tuple(_seen_in_time(name) for name in watched)),
    )


@guarantee("dead-broker-expires-in-two-minutes")
def test_a_silent_broker_expires_and_a_killed_one_is_seen_at_once(scenario: Prover) -> None:
    """Kill -9 closes the connection and is seen within seconds; a frozen broker is dropped after two minutes.

    A slave of the frozen master is cut off at the same time and goes as late. Clients are not told: where there is
    another master, each stops using the frozen one within one poll after the last nameserver dropped it.
    """
    slaves, two = scenario.topology.slaves > 0, scenario.topology.masters > 1
    silent: dict[str, Partition | Pause] = {}
    if slaves:
        silent["cut"] = Partition(sources=slave(0), sinks="node/*+client/*", await_health=False)
    silent["pause"] = Pause(target=master(0))
    who = {"pause": master(0), "cut": slave(0)}
    watched = {name: (who[name], ALL_NAMESERVERS) for name in silent}
    first = str(scenario.topology.brokers[0].name)
    scenario(
        cluster=ClusterNeeds(timers="documented"),
        load=[CALM],
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=2000, from_start=True, timeout_s=120), name="loaded"),
            then(Kill(target=master(0))),
            then(AwaitRoute(target=master(0), present=False, since="kill", timeout_s=30), name="killed"),
            heal("kill"),
            # Whoever polled meanwhile learns only by its next poll that there is a first master again.
            then(Elapse(seconds=POLL_S + 2), name="clients-return"),
            *(then(fault, name=name) for name, fault in silent.items()),
            then(Elapse(seconds=PATIENCE_S), name="patience"),
            *(then(_still(*of), name=f"{name}-still") for name, of in watched.items()),
            then(_gone(watched), name="expired"),
            then(Elapse(seconds=POLL_S + SLACK_S if two else 1), name="clients-poll"),
            *(heal(name) for name in silent),
        ),
        demand=[
            observed("killed.all").equals(1),
            observed("killed.slowest_at_least_s") < SLACK_S,
            *(demand for name in silent for demand in _expires(name)),
            *([metric("stops_using_s", broker=first, window="pause", after="pause-expired") <= POLL_S + 3] * two),
            forbid("lost", replicas="master"),
        ],
        gates=Gates(also=(observed("killed.slowest_s") < SLACK_S, *(_seen_in_time(name) for name in silent))),
    )


def _gone(watched: Mapping[str, tuple[str, str]]) -> AwaitRoutes:
    """Every expiry is seen when it happens (`<fault>-expired`), whichever comes first."""
    watches = {
        f"{fault}-expired": Watch(target=target, present=False, since=fault, on=on)
        for fault, (target, on) in watched.items()
    }
    return AwaitRoutes(watches=watches, timeout_s=EXPIRY_S + 30)


def _still(target: str, on: str) -> Registered:
    return Registered(target=target, on=on)


def _back(watched: Mapping[str, tuple[str, str]]) -> AwaitRoutes:
    watches = {
        f"{fault}-returned": Watch(target=target, present=True, since=fault, since_heal=True, on=on)
        for fault, (target, on) in watched.items()
    }
    return AwaitRoutes(watches=watches, timeout_s=120)


def _expires(name: str) -> list[Expectation]:
    """After two minutes without a sign of life, of which the last may have come up to a registration before."""
    return [
        observed(f"{name}-still.no").equals(0),
        observed(f"{name}-expired.all").equals(1),
        observed(f"{name}-expired.slowest_at_least_s") <= LATEST_EXPIRY_S,
    ]


def _seen_in_time(name: str) -> Require:
    """Broken is only what was certainly late. What may have been late, for a nameserver was silent, is no proof."""
    return observed(f"{name}-expired.slowest_s") <= LATEST_EXPIRY_S
