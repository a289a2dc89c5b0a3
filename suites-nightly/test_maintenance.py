"""Every node out for maintenance in turn, its broker's write permission wiped first."""

from __future__ import annotations

from harness.suite import (
    AwaitAnswer,
    AwaitCount,
    AwaitRoute,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Prover,
    Step,
    Stop,
    StoreFiles,
    WipeWritePermission,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    slave,
    then,
)

NEWBORN_S = 62
"""A 4.x master makes the topic of half messages 60 s after its start, and so undoes whatever wipe there is."""
POLLS_S = {"documented": 32, "fast": 4}
"""By which every client has asked for the route again."""
ANSWER_TIMEOUT_MS = 15_000
"""Longer than any replication wait: an answer that the slave is not back yet is no time-out."""
STORED = ["SLAVE_NOT_AVAILABLE", "FLUSH_SLAVE_TIMEOUT"]
LOAD = produce(2, rate=800, threads=4, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)


@guarantee("rolling-restart-loses-nothing")
def test_every_node_restarts_in_turn(scenario: Prover) -> None:
    """Each master, wiped on every nameserver, after its slaves, without retries: no send fails and none is lost.

    Where a slave must acknowledge, a client that comes back to a master before its slave is in step may be answered 11
    or 12: stored, and no failed send. The nodes have been running for a while, as in any maintenance (see docs/findings
    on newborn brokers), and so has each before it is wiped, for no node is restarted twice.
    """
    names = [str(group.name) for group in scenario.topology.brokers]
    waits = scenario.topology.slaves and scenario.topology.replication == "sync"
    stops = [f"master-{number}" for number in range(len(names))]
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *([then(Elapse(seconds=NEWBORN_S), name="of-age")] * (scenario.version.major < 5)),
            *(_maintenance(scenario, number) for number in range(len(names))),
        ),
        demand=[
            metric("unacknowledged", process="p-", but=STORED if waits else []).equals(0),
            *([metric("unstored", statuses=STORED, replicas="master").equals(0)] if waits else []),
            forbid("lost", replicas="master"),
            forbid("phantom"),
            # Each wait did its work before the stop, and undoing the wipe brought the clients back.
            *(
                metric("ok_despite", window=stop, since="inject", margin_s=0, broker=name).equals(0)
                for stop, name in zip(stops, names, strict=True)
            ),
            *(
                metric("ok_in", window=stop, since="recovered", until="end", broker=name) > 0
                for stop, name in zip(stops, names, strict=True)
            ),
        ],
        control=scenario.control(
            "without-the-wipes",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                *(outage(stop, Stop(target=master(n)), after_s=2, for_s=3) for n, stop in enumerate(stops)),
            ),
            demand=[metric("unacknowledged", process="p-", but=STORED if waits else []).equals(0)],
            why="the same stops without the wipes must fail sends",
        ),
    )


def _maintenance(scenario: Prover, number: int) -> tuple[Step, ...]:
    """One broker name: wiped, its slaves restarted, its master restarted, and writable again.

    A cluster with a wiped master is not whole: each return is waited for by what it must bring.
    """
    before = sum(group.slaves for group in scenario.topology.brokers[:number])
    slaves = range(before, before + scenario.topology.brokers[number].slaves)
    polls = POLLS_S[scenario.timers]
    return plan(
        then(WipeWritePermission(target=master(number)), name=f"wipe-{number}"),
        then(Elapse(seconds=polls), name=f"clients-leave-{number}"),
        *(_restarted(f"slave-{n}", slave(n), number) for n in slaves),
        _restarted(f"master-{number}", master(number), number),
        heal(f"wipe-{number}"),
        then(Elapse(seconds=polls), name=f"clients-return-{number}"),
    )


def _restarted(name: str, target: str, number: int) -> tuple[Step, ...]:
    """One node stopped and started: routed by every nameserver, and its master acknowledges (with a slave in step)."""
    return plan(
        outage(name, Stop(target=target, await_health=False), after_s=0, for_s=1),
        then(AwaitRoute(target=target, present=True, since=name, since_heal=True, timeout_s=60), name=f"routed-{name}"),
        then(AwaitAnswer(target=master(number), codes=(0,), timeout_s=60), name=f"acknowledges-{name}"),
    )


GONE_S = 10
"""A nameserver closes the connection of a broker that ends and forgets it; the broker tells it as well."""


@guarantee("graceful-stop-is-clean")
def test_a_stop_leaves_nothing_behind(scenario: Prover) -> None:
    """SIGTERM: the broker is off every nameserver at once and its abort file is gone; after kill -9 that is there."""
    tidy: list[Expectation] = [observed("left.count").equals(0)]
    abort = StoreFiles(target=master(0), files="abort")

    def ends(how: Stop | Kill) -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(abort, name="running"),
            then(how, name="end"),
            then(AwaitRoute(target=master(0), present=False, since="end", timeout_s=60), name="gone"),
            then(abort, name="left"),
            heal("end"),
            then(AwaitCount(who="p", what="ok", at_least=500, timeout_s=60), name="load-back"),
        )

    scenario(
        load=[LOAD],
        steps=ends(Stop(target=master(0))),
        demand=[
            *tidy,
            observed("gone.all").equals(1),
            observed("gone.slowest_at_least_s") <= GONE_S,
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=Gates(preconditions=(observed("running.count").equals(1),), also=(observed("gone.slowest_s") <= GONE_S,)),
        control=scenario.control(
            "killed",
            load=[LOAD],
            steps=ends(Kill(target=master(0))),
            demand=tidy,
            why="kill -9 must leave the abort file",
        ),
    )
