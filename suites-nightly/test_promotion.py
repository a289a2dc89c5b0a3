"""The documents' failover by hand: a slave is stopped, and started again as master."""

from __future__ import annotations

from harness.suite import (
    AwaitAnswer,
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Gates,
    Kill,
    Misconfigure,
    Partition,
    Prover,
    Step,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    plan,
    produce,
    slave,
    then,
)

LOAD = produce(2, rate=600, threads=4)
ENOUGH = AwaitCount(who="p", what="ok", at_least=3000, from_start=True, timeout_s=120)
MORE = AwaitCount(who="p", what="ok", at_least=2000, timeout_s=90)
AS_MASTER = {"brokerRole": "ASYNC_MASTER", "brokerId": "0"}
"""It has no slave, for which a SYNC_MASTER would wait."""
AS_SLAVE = {"brokerRole": "SLAVE", "brokerId": "1"}
CUT_S = 2.0
"""So long the master takes messages that its slave does not get."""
UNWHOLE = Gates(min_acked=3000, faults_heal=False)


def _promoted() -> tuple[Step, ...]:
    """The slave of the first broker name becomes its master, takes a send, and clients are back at it."""
    return plan(
        then(Misconfigure(target=slave(0), conf=AS_MASTER, lasting=True, await_health=False), name="promoted"),
        then(AwaitAnswer(target=slave(0), codes=(0,), timeout_s=60), name="takes"),
        then(MORE, name="goes-on"),
    )


@guarantee("manual-promotion-loses-nothing")
def test_a_slave_is_made_master_by_hand(scenario: Prover) -> None:
    """The master is gone for good, its slave started as master: every message answered SEND_OK is read from it.

    It takes new ones, and producers that were never told use it again.
    """
    group = scenario.topology.brokers[0]
    name, promoted = group.name, scenario.topology.group(group.name)[1].name
    lost = forbid("lost", replicas=[promoted], broker=name)
    gone = Kill(target=master(0), lasting=True)
    every = "+".join(slave(n) for n in range(group.slaves))
    cut = Partition(sources=master(0), sinks=every, one_way=True, await_health=False)
    scenario(
        load=[LOAD],
        steps=plan(then(ENOUGH, name="loaded"), then(gone, name="gone"), _promoted()),
        demand=[
            lost,
            forbid("phantom"),
            observed("takes.reached").equals(1),
            metric("ok_in", window="promoted", until="end", broker=name) > 0,
        ],
        gates=UNWHOLE,
        control=scenario.control(
            "behind",
            cluster=ClusterNeeds(replication="async"),
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(cut, name="cut"),
                then(Elapse(seconds=CUT_S), name="behind"),
                then(gone, name="gone"),
                heal("cut"),
                _promoted(),
            ),
            demand=[lost],
            gates=UNWHOLE,
            why="a slave that had fallen behind an asynchronous master must lose some when it is promoted",
        ),
    )


@guarantee("returning-old-master-splits-nothing")
def test_the_old_master_comes_back_as_a_slave(scenario: Prover) -> None:
    """The old master had some that its slave never got, and returns as a slave with its store: replicas agree."""
    cut = Partition(sources=master(0), sinks=slave(0), await_health=False)
    returns = Misconfigure(target=master(0), conf=AS_SLAVE, lasting=True, await_health=False)

    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(cut, name="cut"),
            then(Elapse(seconds=CUT_S), name="ahead"),
            then(Kill(target=master(0), lasting=True), name="gone"),
            heal("cut"),
            _promoted(),
            then(returns, name="returns"),
            then(Elapse(seconds=10), name="time-to-copy"),
        ),
        demand=[forbid("diverged"), forbid("phantom")],
        gates=UNWHOLE,
    )
