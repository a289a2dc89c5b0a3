"""What one dead master costs: the documents' promise for several masters, and what a single one does."""

from __future__ import annotations

from harness.suite import (
    AwaitDelivered,
    Kill,
    Prover,
    StartLoad,
    at,
    consume,
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


@guarantee("single-master-outage-stops-service")
def test_one_master_down_is_all_down(scenario: Prover) -> None:
    """With a single master its death stops every send; nothing acknowledged is lost and it comes back."""
    scenario(
        load=[produce(4, rate=600)],
        steps=plan(at(10, Kill(target=master()), until=16)),
        duration_s=24,
        demand=[
            forbid("lost"),
            forbid("phantom"),
            metric("ok_in", window="kill").equals(0),
            metric("unacknowledged_in", window="kill") > 0,
            metric("ok_in", window="kill", since="recovered", until="end") > 0,
        ],
    )


@guarantee("master-outage-leaves-sends-working")
def test_sends_go_on_when_a_master_dies(scenario: Prover) -> None:
    """With several masters, killing one fails no send whose client may retry, and loses nothing acknowledged."""
    outage = plan(at(10, Kill(target=master(0)), until=20))
    scenario(
        load=[produce(4, rate=600)],
        steps=outage,
        duration_s=25,
        demand=[
            forbid("lost"),
            forbid("phantom"),
            metric("unacknowledged").equals(0),
            metric("rto_max_s") < 5,
        ],
        control=scenario.control(
            "no-retries",
            load=[produce(4, rate=600, retries=0)],
            steps=outage,
            duration_s=25,
            demand=[metric("unacknowledged").equals(0)],
            why="the same kill must fail sends that may not be retried",
        ),
    )


@guarantee("downed-master-backlog-waits")
def test_backlog_of_a_dead_master_waits_for_it(scenario: Prover) -> None:
    """Without slaves, what only the dead master holds is delivered when it is back, and not before; then all of it."""
    scenario(
        load=[produce(4, rate=600)],
        steps=plan(
            at(10, Kill(target=master(0))),
            then(StartLoad(load=(consume(2),))),
            then(AwaitDelivered(of="master/1", timeout_s=60), name="others-delivered"),
            then(AwaitDelivered(of="master/0", timeout_s=5), name="backlog-while-down"),
            heal("kill"),
            then(AwaitDelivered(timeout_s=90), name="all-delivered"),
        ),
        demand=[
            observed("others-delivered.all").equals(1),
            observed("backlog-while-down.all").equals(0),
            observed("all-delivered.all").equals(1),
            forbid("lost"),
            forbid("undelivered"),
            forbid("phantom"),
        ],
    )
