"""Taking a broker out for maintenance: with the documented wipe nothing fails, without it nothing is lost."""

from __future__ import annotations

from harness.suite import (
    ClusterNeeds,
    Elapse,
    Kill,
    Prover,
    Same,
    Snapshot,
    Stop,
    WipeWritePermission,
    at,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    plan,
    produce,
    then,
)

DOCUMENTED_WAIT_S = 40
"""The documents' own figure: after about 40 s every client has polled the route."""


@guarantee("wipe-then-restart-fails-no-send")
def test_a_wiped_broker_restarts_unnoticed(scenario: Prover) -> None:
    """Write permission wiped on every nameserver, 40 s waited, broker stopped and started: no send fails."""
    documented = ClusterNeeds(timers="documented")
    load = [produce(4, rate=300, retries=0)]
    scenario(
        cluster=documented,
        load=load,
        steps=plan(
            at(8, WipeWritePermission(target=master(0)), name="wipe"),
            then(Elapse(seconds=DOCUMENTED_WAIT_S), name="clients-poll"),
            then(Stop(target=master(0)), name="stop"),
            heal("stop"),
            heal("wipe"),
        ),
        duration_s=60,
        demand=[metric("unacknowledged").equals(0), forbid("lost"), forbid("phantom")],
        control=scenario.control(
            "without-the-wipe",
            cluster=documented,
            load=load,
            steps=plan(at(15, Stop(target=master(0)), name="stop"), heal("stop", 25)),
            duration_s=30,
            demand=[metric("unacknowledged").equals(0)],
            why="the same stop without the wipe must fail sends",
        ),
    )


@guarantee("restart-without-wipe-loses-nothing")
def test_a_careless_restart_loses_nothing(scenario: Prover) -> None:
    """A graceful restart and a kill without any wipe may fail sends, loses nothing and leaves permissions alone."""
    scenario(
        load=[produce(4, rate=600, retries=0)],
        steps=plan(
            at(6, Snapshot(), name="before"),
            at(8, Stop(target=master(0)), name="stop"),
            heal("stop", 14),
            at(22, Kill(target=master(0)), name="kill"),
            heal("kill", 26),
            then(Snapshot(), name="after"),
            then(Same(first="before", second="after"), name="intact"),
        ),
        duration_s=32,
        demand=[
            forbid("lost"),
            forbid("phantom"),
            observed("intact").equals(1),
            metric("ok_in", window="stop", since="recovered", until="end") > 0,
        ],
    )
