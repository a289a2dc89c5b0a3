"""Nameservers: stateless, independent, and needed only by those who do not know the way yet."""

from __future__ import annotations

from harness.suite import (
    ALL_NAMESERVERS,
    AwaitCount,
    AwaitRoute,
    ClusterNeeds,
    Gates,
    Kill,
    Partition,
    Pause,
    Prover,
    Registered,
    StartLoad,
    at,
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
    then,
)

EXPIRY_S = 120
REGISTRATION_S = 30
SCAN_S = 10
SLACK_S = 5


@guarantee("nameserver-outage-is-invisible")
def test_one_nameserver_less_is_not_noticed(scenario: Prover) -> None:
    """Killing, pausing and cutting off each nameserver in turn fails no send and changes no other one's routes."""
    steps, routes, start_s = [], [], 6.0
    for index in (0, 1):
        faults = (
            ("kill", Kill(target=nameserver(index))),
            ("pause", Pause(target=nameserver(index))),
            ("cut", isolate(nameserver(index))),
        )
        for word, fault in faults:
            name = f"{word}-{index}"
            steps += [
                *at(start_s, fault, name=name),
                *at(start_s + 3, Registered(target="broker/*", on=nameserver(1 - index)), name=f"routes-{name}"),
                *heal(name, start_s + 4),
            ]
            routes.append(observed(f"routes-{name}.no").equals(0))
            start_s += 9
    scenario(
        load=[produce(4, rate=600), consume(1)],
        steps=plan(steps),
        duration_s=start_s,
        demand=[metric("unacknowledged").equals(0), *routes, forbid("lost"), forbid("undelivered")],
    )


@guarantee("no-nameserver-running-clients-continue")
def test_running_clients_need_no_nameserver(scenario: Prover) -> None:
    """With every nameserver dead, running clients go on, new ones cannot begin, and all recover when they return."""
    scenario(
        cluster=ClusterNeeds(topics=1),
        load=[produce(4, rate=600), consume(1)],
        steps=plan(
            at(8, Kill(target=ALL_NAMESERVERS)),
            then(
                StartLoad(
                    load=(
                        produce(1, rate=2, name="late-producer", retries=0, poll_nameserver_ms=30_000),
                        consume(
                            1, name="late-consumer", group="late", wait_assignment=False, poll_nameserver_ms=30_000
                        ),
                    ),
                    must_be_ready=False,
                ),
                name="late",
            ),
            then(AwaitCount(who="late-producer", what="fail", at_least=3, timeout_s=60), name="late-fails"),
            then(AwaitCount(who="late-producer", what="ok", at_least=1, timeout_s=3), name="late-sends-nothing"),
            then(AwaitCount(who="late-consumer", what="delivered", at_least=1, timeout_s=3), name="late-gets-nothing"),
            then(AwaitCount(who="c", what="delivered", at_least=500, timeout_s=10), name="running-goes-on"),
            heal("kill"),
            then(AwaitCount(who="late-producer", what="ok", at_least=5, timeout_s=60), name="late-sends"),
            then(AwaitCount(who="late-consumer", what="delivered", at_least=50, timeout_s=90), name="late-gets"),
        ),
        demand=[
            metric("unacknowledged", process="p-").equals(0),
            observed("late-fails.reached").equals(1),
            observed("late-sends-nothing.reached").equals(0),
            observed("late-gets-nothing.reached").equals(0),
            observed("running-goes-on.reached").equals(1),
            observed("late-sends.reached").equals(1),
            observed("late-gets.reached").equals(1),
            forbid("lost"),
        ],
    )


@guarantee("nameserver-partition")
def test_a_partitioned_broker_expires_only_where_it_is_cut_off(scenario: Prover) -> None:
    """A broker cut off from one nameserver stays routed by the other; on the first it expires and comes back."""
    scenario(
        cluster=ClusterNeeds(timers="documented"),
        load=[produce(4, rate=100)],
        steps=plan(
            at(12, Partition(sources=master(0), sinks=nameserver(0)), name="cut"),
            then(
                AwaitRoute(target=master(0), present=False, since="cut", on=nameserver(0), timeout_s=150),
                name="expired",
            ),
            then(Registered(target=master(0), on=nameserver(1)), name="elsewhere"),
            heal("cut"),
            then(
                AwaitRoute(
                    target=master(0), present=True, since="cut", since_heal=True, on=nameserver(0), timeout_s=90
                ),
                name="returned",
            ),
        ),
        demand=[
            observed("expired.all").equals(1),
            observed("expired.fastest_s") >= EXPIRY_S - REGISTRATION_S - SLACK_S,
            observed("expired.slowest_s") <= EXPIRY_S + SCAN_S + SLACK_S,
            observed("elsewhere.no").equals(0),
            observed("returned.all").equals(1),
            metric("unacknowledged").equals(0),
            forbid("lost"),
        ],
        gates=Gates(min_acked_before_fault=100),
    )


@guarantee("dead-broker-expires-in-two-minutes")
def test_a_silent_broker_expires_and_a_killed_one_is_seen_at_once(scenario: Prover) -> None:
    """Kill -9 closes the connection and is seen within seconds; a frozen broker is dropped after two minutes."""
    scenario(
        cluster=ClusterNeeds(timers="documented"),
        load=[produce(4, rate=200)],
        steps=plan(
            at(12, Kill(target=master(0))),
            then(AwaitRoute(target=master(0), present=False, since="kill", timeout_s=30), name="killed"),
            heal("kill"),
            then(Pause(target=master(0))),
            then(AwaitRoute(target=master(0), present=False, since="pause", timeout_s=150), name="silent"),
            heal("pause"),
        ),
        demand=[
            observed("killed.all").equals(1),
            observed("killed.slowest_s") < SLACK_S,
            observed("silent.all").equals(1),
            observed("silent.fastest_s") >= EXPIRY_S - REGISTRATION_S - SLACK_S,
            observed("silent.slowest_s") <= EXPIRY_S + SCAN_S + SLACK_S,
            forbid("lost"),
        ],
        gates=Gates(min_acked=1500, min_acked_before_fault=100),
    )
