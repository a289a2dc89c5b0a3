"""Every node out for maintenance in turn, its broker's write permission wiped first."""

from __future__ import annotations

from harness.suite import (
    ANSWER_TIMEOUT_MS,
    AwaitCount,
    AwaitRoute,
    Expectation,
    Gates,
    Kill,
    Prover,
    Step,
    Stop,
    StoreFiles,
    forbid,
    guarantee,
    heal,
    in_turn,
    left_and_returned,
    master,
    no_failed_send,
    observed,
    of_age,
    outage,
    plan,
    produce,
    then,
)

LOAD = produce(2, rate=800, threads=4, retries=0, timeout_ms=ANSWER_TIMEOUT_MS)
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)


@guarantee("rolling-restart-loses-nothing")
def test_every_node_restarts_in_turn(scenario: Prover) -> None:
    """Each master, wiped on every nameserver, after its slaves, without retries: no send fails and none is lost.

    Where a slave must acknowledge, a client that comes back to a master before its slave is in step may be answered 11
    or 12: stored, and no failed send. The nodes have been running for a while, as in any maintenance (see docs/findings
    on newborn brokers), and so has each before it is wiped, for no node is restarted twice.
    """
    masters = range(len(scenario.topology.brokers))
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            of_age(scenario),
            *(in_turn(scenario, number, _restarted) for number in masters),
        ),
        demand=[
            *no_failed_send(scenario),
            forbid("lost", replicas="master"),
            forbid("phantom"),
            *left_and_returned(scenario),
        ],
        control=scenario.control(
            "without-the-wipes",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                *(outage(f"master-{n}", Stop(target=master(n)), after_s=2, for_s=3) for n in masters),
            ),
            demand=no_failed_send(scenario)[:1],
            why="the same stops without the wipes must fail sends",
        ),
    )


def _restarted(target: str) -> Stop:
    return Stop(target=target, await_health=False)


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
