"""Where a wiped write permission lives, and what ends it."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    AwaitRoute,
    Elapse,
    Gates,
    Kill,
    Prover,
    Stop,
    WipeWritePermission,
    Writable,
    forbid,
    guarantee,
    heal,
    master,
    nameserver,
    observed,
    of_age,
    outage,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=400, threads=2)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
REGISTER_S = {"documented": 30, "fast": 10}
WIPE = WipeWritePermission(target=master(0))
LOOK = Writable(target=master(0))


@guarantee("wipe-is-temporary-and-local")
def test_what_ends_a_wipe_and_what_does_not(scenario: Prover) -> None:
    """A wipe outlives registrations; the restart of its broker ends it everywhere, that of a nameserver there alone."""
    others = "+".join(nameserver(n) for n in range(1, scenario.topology.nameservers))
    elsewhere = [then(Writable(target=master(0), on=others), name="elsewhere")] if others else []
    number = scenario.topology.nameservers
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            of_age(scenario),
            then(WIPE, name="first-wipe"),
            then(Elapse(seconds=3 * REGISTER_S[scenario.timers] + 5), name="registrations"),
            then(LOOK, name="after-registrations"),
            outage("broker-restart", Stop(target=master(0), await_health=False), after_s=0, for_s=1),
            then(_back("broker-restart", master(0), "nameserver/*"), name="broker-back"),
            then(LOOK, name="after-broker-restart"),
            heal("first-wipe"),
            of_age(scenario, "of-age-again"),
            then(WIPE, name="second-wipe"),
            then(LOOK, name="before-nameserver-restart"),
            outage("nameserver-restart", Kill(target=nameserver(0), await_health=False), after_s=0, for_s=1),
            then(_back("nameserver-restart", master(0), nameserver(0)), name="nameserver-back"),
            then(Writable(target=master(0), on=nameserver(0)), name="there"),
            *elsewhere,
            heal("second-wipe"),
        ),
        demand=[
            observed("after-registrations.no").equals(number),
            observed("after-broker-restart.yes").equals(number),
            observed("before-nameserver-restart.no").equals(number),
            observed("there.yes").equals(1),
            *([observed("elsewhere.no").equals(number - 1)] if others else []),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=Gates(min_acked=3000, in_flight_at_fault=False, min_acked_before_fault=0),
    )


def _back(fault: str, target: str, on: str) -> AwaitRoute:
    """The nameservers have the broker again."""
    return AwaitRoute(target=target, present=True, since=fault, since_heal=True, on=on, timeout_s=60)
