"""How long it takes, stage by stage, until a lost master is missed, left and used again."""

from __future__ import annotations

from harness.suite import (
    POLLS_S,
    AwaitCount,
    AwaitRoutes,
    Elapse,
    Kill,
    Prover,
    Step,
    Watch,
    forbid,
    guarantee,
    heal,
    isolate,
    master,
    metric,
    observed,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=1000, threads=4)
CALM = produce(2, rate=200, threads=4)
"""Where minutes are waited for, a load that leaves the machine to what runs beside it."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
"""The load before the fault, however slow the machine is."""
RTO_S = 5
"""A send that was under way waits its 3 s out; the next one finds another master."""
SLACK_S = 5
EXPIRY_S = 120 + 10
"""Without a heartbeat for two minutes, and one scan."""
BOOT_S = 90
"""Until a broker is there again that was started, however slow the machine is."""
NEVER_MS = 600_000


@guarantee("failover-stages")
def test_how_long_a_dead_master_is_missed(scenario: Prover) -> None:
    """A killed master is dropped at once and left within a poll; every client is served meanwhile, and by it again."""
    polls_s = POLLS_S[scenario.client_timers] + SLACK_S
    steps = _lost(scenario, Kill(target=master(0), await_health=False), dropped_s=SLACK_S, left_s=polls_s)
    left = metric("rerouted_s", window="lost") < polls_s
    scenario(
        load=[LOAD],
        steps=steps,
        demand=[
            left,
            observed("dropped.all").equals(1),
            metric("first_ok_s", window="lost") < RTO_S,
            metric("full_service_s", window="lost") < BOOT_S + polls_s,
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        control=scenario.control(
            "who-never-asks",
            load=[LOAD.model_copy(update={"poll_nameserver_ms": NEVER_MS})],
            steps=steps,
            demand=[left],
            why="clients that do not ask for the route again must be seen to keep the dead master in theirs",
        ),
    )


@guarantee("failover-stages-of-a-silent-master")
def test_how_long_a_silent_master_is_missed(scenario: Prover) -> None:
    """A master that is cut off from everybody is dropped after two minutes, and every client is served meanwhile."""
    polls_s = POLLS_S[scenario.client_timers] + SLACK_S
    cut = isolate(master(0)).model_copy(update={"await_health": False})
    steps = _lost(scenario, cut, dropped_s=EXPIRY_S + SLACK_S, left_s=polls_s)
    dropped = observed("dropped.slowest_s") < EXPIRY_S + SLACK_S
    scenario(
        load=[CALM],
        steps=steps,
        demand=[
            dropped,
            observed("dropped.all").equals(1),
            metric("rerouted_s", window="lost") < EXPIRY_S + SLACK_S + polls_s,
            metric("first_ok_s", window="lost") < 2 * RTO_S,
            metric("full_service_s", window="lost") < BOOT_S + polls_s,
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
    )


def _lost(scenario: Prover, fault: object, *, dropped_s: float, left_s: float) -> tuple[Step, ...]:
    """A master is lost until every client has left it, and comes back until every client may use it again.

    At another moment of the clients' poll each time: at a fixed one all repetitions would wait alike.
    """
    lost, back = (Watch(target=master(0), present=so, since="lost", since_heal=so) for so in (False, True))
    return plan(
        then(ENOUGH, name="loaded"),
        then(Elapse(seconds=scenario.moment(0, POLLS_S[scenario.client_timers])), name="any-moment"),
        then(fault, name="lost"),
        then(AwaitRoutes(watches={"dropped": lost}, timeout_s=dropped_s), name="nameservers-drop"),
        then(Elapse(seconds=left_s), name="clients-leave"),
        heal("lost"),
        then(AwaitRoutes(watches={"registered": back}, timeout_s=BOOT_S), name="nameservers-know"),
        then(Elapse(seconds=left_s), name="clients-return"),
    )
