"""Addresses in configuration files: names in place of numbers, and lists of which not every entry is any good."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    AwaitRoute,
    Elapse,
    Expectation,
    Gates,
    Misconfigure,
    Prover,
    Registered,
    Step,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    nameserver,
    observed,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=400, threads=3)
ENOUGH = AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120)
QUIET = Gates(min_acked=1000, in_flight_at_fault=False)
KEPT: list[Expectation] = [forbid("lost", replicas="master"), forbid("phantom")]
UNKNOWN = "nobody.invalid"
"""A name that resolves nowhere: its top-level domain is set apart for that."""
BAD = f"{UNKNOWN}:9876;192.0.2.1:9876"
"""One that does not resolve, and one at an address of nobody (set apart for documentation)."""
EXPIRY_S = 130.0
"""Two minutes after which a broker that says nothing is dropped, and a look every ten seconds."""
POLLS_S = {"documented": 32 + 10, "fast": 15}
"""By which every client has asked for the route again, and sent to whom it names."""
PROXIED_S = 90
"""The same through proxies: they keep for 20 s that a topic has no broker, and tell it to who asks every 30 s."""


@guarantee("one-bad-nameserver-address-is-harmless")
def test_a_list_of_nameservers_with_bad_entries(scenario: Prover) -> None:
    """A broker is told of one nameserver, by name and between two bad entries: it registers and stays registered.

    Beyond the two minutes after which a nameserver drops who says nothing. Clients are told of good ones alone.
    """
    stays = [observed("came.all").equals(1), observed("stays.no").equals(0)]

    def told(addresses: str) -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(Misconfigure(target=master(0), conf={"namesrvAddr": addresses}), name="told"),
            then(AwaitRoute(target=master(0), present=True, since="told", on=nameserver(0), timeout_s=60), name="came"),
            then(Elapse(seconds=EXPIRY_S), name="beyond-expiry"),
            then(Registered(target=master(0), on=nameserver(0)), name="stays"),
            heal("told"),
        )

    scenario(
        load=[LOAD],
        steps=told(f"{UNKNOWN}:9876;namesrv-1:9876;192.0.2.1:9876"),
        demand=[*stays, *KEPT],
        gates=QUIET,
        control=scenario.control(
            "all-bad",
            load=[LOAD],
            steps=told(BAD),
            demand=stays,
            gates=QUIET,
            why="a broker that is told of bad ones alone must not be registered",
        ),
    )


@guarantee("hostname-as-broker-ip")
def test_a_broker_that_registers_by_name(scenario: Prover) -> None:
    """With brokerIP1 a name that every node can resolve, clients find the broker by it and are acknowledged."""
    name = scenario.topology.group(scenario.topology.brokers[0].name)[0]
    polls_s = PROXIED_S if scenario.client == "grpc" else POLLS_S[scenario.client_timers]
    reached = metric("ok_in", window="named", broker=str(name.broker_name)) > 0

    def named(host: str) -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(Misconfigure(target=master(0), conf={"brokerIP1": host}), name="named"),
            then(Elapse(seconds=polls_s), name="used"),
            heal("named"),
        )

    scenario(
        load=[LOAD],
        steps=named(name.name),
        demand=[reached, *KEPT],
        gates=QUIET,
        control=scenario.control(
            "unknown-name",
            load=[LOAD],
            steps=named(UNKNOWN),
            demand=[reached],
            gates=QUIET,
            why="a name that nobody can resolve must leave clients without the broker",
        ),
    )
