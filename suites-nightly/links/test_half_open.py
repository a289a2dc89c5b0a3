"""Connections of which only the ends know that they are: a nameserver that hears no broker any more."""

from __future__ import annotations

from harness.suite import (
    ALL_BROKERS,
    AwaitCount,
    AwaitHealthy,
    AwaitRoute,
    ClusterNeeds,
    Elapse,
    Fault,
    Gates,
    HalfOpen,
    Latency,
    Prover,
    Registered,
    Step,
    forbid,
    guarantee,
    heal,
    metric,
    nameserver,
    observed,
    plan,
    produce,
    then,
)

EXPIRY_S = 120
SCAN_S = 10
SLACK_S = 5
REGISTRATION_S = 30
LATEST_EXPIRY_S = EXPIRY_S + SCAN_S + SLACK_S
PATIENCE_S = EXPIRY_S - REGISTRATION_S - SLACK_S
CALM = produce(2, rate=200, threads=4)
"""Minutes are waited for, with a load that leaves the machine to what runs beside it."""


@guarantee("half-open-nameserver-link-is-noticed")
def test_a_nameserver_that_hears_nobody_drops_them_in_time(scenario: Prover) -> None:
    """A nameserver on whose open connections nothing comes drops its brokers after two minutes; the others do not.

    No send fails, and they are registered again when the link is healed.
    """
    needs = ClusterNeeds(links=("nameservers",), timers="documented")

    def steps(fault: Fault) -> tuple[Step, ...]:
        gone = AwaitRoute(target=ALL_BROKERS, present=False, since="mute", on=nameserver(0), timeout_s=EXPIRY_S + 30)
        back = AwaitRoute(
            target=ALL_BROKERS, present=True, since="mute", since_heal=True, on=nameserver(0), timeout_s=120
        )
        return plan(
            then(AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120), name="loaded"),
            then(fault, name="mute"),
            then(Elapse(seconds=PATIENCE_S), name="patience"),
            then(Registered(target=ALL_BROKERS, on=nameserver(0)), name="still"),
            then(gone, name="gone"),
            then(Registered(target=ALL_BROKERS, on=nameserver(1)), name="elsewhere"),
            then(Elapse(seconds=2), name="without"),
            heal("mute"),
            then(back, name="returned"),
            then(AwaitHealthy(), name="whole"),
        )

    noticed = [observed("gone.all").equals(1), observed("gone.slowest_at_least_s") <= LATEST_EXPIRY_S]
    scenario(
        cluster=needs,
        load=[CALM],
        steps=steps(HalfOpen(link="nameservers", target=nameserver(0), await_health=False)),
        demand=[
            *noticed,
            observed("still.no").equals(0),
            observed("elsewhere.no").equals(0),
            observed("returned.all").equals(1),
            # For itself: that its return may cost sends is expected of 5.x with slaves, and this is not.
            metric("unacknowledged_in", window="mute", process="p-").equals(0),
            metric("unacknowledged", process="p-").equals(0),
            forbid("lost", replicas="master"),
        ],
        gates=Gates(also=(observed("gone.slowest_s") <= LATEST_EXPIRY_S,)),
        control=scenario.control(
            "merely-late",
            cluster=needs,
            load=[CALM],
            steps=steps(Latency(link="nameservers", target=nameserver(0), latency_ms=1000, await_health=False)),
            demand=noticed,
            why="brokers whose registrations come late, but come, must still be there after the same time",
        ),
    )
