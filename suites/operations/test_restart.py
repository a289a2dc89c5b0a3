"""Taking a broker out for maintenance: with the documented wipe nothing fails, without it nothing is lost."""

from __future__ import annotations

from harness.suite import (
    ANSWER_TIMEOUT_MS,
    POLLS_S,
    STORED,
    AwaitAnswer,
    AwaitCount,
    AwaitRoute,
    ClusterNeeds,
    Elapse,
    Expectation,
    Kill,
    Prover,
    Same,
    Snapshot,
    Stop,
    WipeWritePermission,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    of_age,
    outage,
    plan,
    produce,
    then,
)

DOCUMENTED_WAIT_S = 40
"""The documents' own figure: after about 40 s every client has polled the route."""
POLL_S = 30
LOAD = produce(2, rate=800, threads=4, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
BACK = AwaitRoute(target="broker/*", present=True, since="stop", since_heal=True, timeout_s=60)
"""Every nameserver has every broker again."""


@guarantee("wipe-then-restart-fails-no-send")
def test_a_wiped_broker_restarts_unnoticed(scenario: Prover) -> None:
    """Write permission wiped on every nameserver, 40 s waited, broker stopped and started: no send fails.

    The broker is one that has been running for a while, as in any maintenance (see docs/findings on newborn brokers).
    Judged until every client has found its way back to the broker, one poll later. Where a slave must acknowledge, a
    client that comes back before the slave does may be answered 11 or 12: stored, and no failed send.
    """
    documented = ClusterNeeds(timers="documented")
    scenario(
        cluster=documented,
        # Two minutes are waited for: a load that leaves the machine to what runs beside it.
        load=[produce(2, rate=200, threads=4, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)],
        steps=plan(
            then(AwaitCount(who="p", what="ok", at_least=2000, from_start=True, timeout_s=120), name="loaded"),
            of_age(scenario),
            then(WipeWritePermission(target=master(0)), name="wipe"),
            then(Elapse(seconds=DOCUMENTED_WAIT_S), name="clients-poll"),
            outage("stop", Stop(target=master(0)), after_s=0, for_s=0),
            heal("wipe"),
            then(Elapse(seconds=POLL_S + 2), name="clients-return"),
        ),
        demand=[
            *_fails_none(scenario),
            forbid("lost", replicas="master"),
            forbid("phantom"),
            # The wait did its work before the stop, and undoing it brought the clients back.
            metric("ok_despite", window="stop", since="inject", margin_s=0, broker=_first(scenario)).equals(0),
            metric("ok_in", window="stop", since="recovered", until="end", broker=_first(scenario)) > 0,
        ],
        control=scenario.control(
            "without-the-wipe",
            cluster=documented,
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                outage("stop", Stop(target=master(0)), after_s=0, for_s=3),
            ),
            demand=_fails_none(scenario),
            why="the same stop without the wipe must fail sends",
        ),
    )


@guarantee("restart-without-wipe-loses-nothing")
def test_a_careless_restart_loses_nothing(scenario: Prover) -> None:
    """A graceful restart and a kill without any wipe may fail sends, loses nothing and leaves permissions alone."""
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(Snapshot(), name="before"),
            # What is judged is not waited for: a whole cluster is one whose permissions are as they were.
            outage("stop", Stop(target=master(0), await_health=False), after_s=0, for_s=2),
            then(BACK, name="back-from-stop"),
            # A master whose slave is not back yet acknowledges nothing, and clients come back with their next poll.
            then(AwaitCount(who="p", what="ok", at_least=2000, timeout_s=60), name="load-back"),
            outage("kill", Kill(target=master(0), await_health=False), after_s=4, for_s=2),
            then(BACK, name="back-from-kill"),
            then(Snapshot(), name="after"),
            then(Same(first="before", second="after"), name="intact"),
            # Its slave looks for it every 5 s, its clients with their next poll.
            then(AwaitAnswer(target=master(0), codes=(0,), timeout_s=60), name="acknowledges"),
            then(Elapse(seconds=POLLS_S[scenario.client_timers]), name="clients-return"),
        ),
        demand=[
            forbid("lost", replicas="master"),
            forbid("phantom"),
            observed("intact").equals(1),
            metric("ok_in", window="stop", since="recovered", until="end", broker=_first(scenario)) > 0,
            metric("ok_in", window="kill", since="recovered", until="end", broker=_first(scenario)) > 0,
        ],
        control=scenario.control(
            "wiped-meanwhile",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(Snapshot(), name="before"),
                then(WipeWritePermission(target=master(0)), name="wipe"),
                then(Snapshot(), name="after"),
                then(Same(first="before", second="after"), name="intact"),
                heal("wipe"),
            ),
            demand=[observed("intact").equals(1)],
            why="a permission that was wiped meanwhile must be seen to have changed",
        ),
    )


def _fails_none(scenario: Prover) -> list[Expectation]:
    if scenario.topology.slaves and scenario.topology.replication == "sync":
        return [
            metric("unacknowledged", but=list(STORED)).equals(0),
            metric("unacknowledged_in", window="stop").equals(0),
            # They are excused for being stored, and so they must be.
            metric("unstored", statuses=list(STORED), replicas="master").equals(0),
        ]
    return [metric("unacknowledged").equals(0)]


def _first(scenario: Prover) -> str:
    return str(scenario.topology.brokers[0].name)
