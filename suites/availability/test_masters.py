"""What one dead master costs: the documents' promise for several masters, and what a single one does."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    AwaitDelivered,
    ClusterNeeds,
    Expectation,
    Kill,
    Prover,
    StartLoad,
    Step,
    StopLoad,
    consume,
    forbid,
    guarantee,
    heal,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    then,
)

PRODUCERS, THREADS = 2, 4
LOAD = produce(PRODUCERS, rate=1000, threads=THREADS)
UNDER_WAY = PRODUCERS * THREADS
"""Most sends that a fault can meet half-way."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
BACK = AwaitCount(who="p", what="ok", at_least=1000, timeout_s=60)
"""The load after it."""
OUTAGE_S = 6
RTO_S = 5
"""A send that was under way waits its 3 s out; the next one finds another master."""


@guarantee("single-master-outage-stops-service")
def test_one_master_down_is_all_down(scenario: Prover) -> None:
    """With a single master its death stops every send; nothing acknowledged is lost and it comes back."""
    death = plan(
        then(ENOUGH, name="loaded"),
        outage("kill", Kill(target=master()), after_s=0, for_s=OUTAGE_S),
        then(BACK, name="back"),
    )
    stopped = [metric("unacknowledged_begun_in", window="kill") > 0, metric("ok_despite", window="kill").equals(0)]
    scenario(
        load=[LOAD],
        steps=death,
        demand=[forbid("lost", replicas="master"), forbid("phantom"), *stopped, observed("back.reached").equals(1)],
        control=scenario.control(
            "a-second-master",
            cluster=ClusterNeeds(topology="2m-noslave"),
            load=[LOAD],
            steps=death,
            demand=stopped,
            why="with a second master the same kill must not stop the sends",
        ),
    )


@guarantee("master-outage-leaves-sends-working")
def test_sends_go_on_when_a_master_dies(scenario: Prover) -> None:
    """With several masters, killing one fails no send that is begun after it, and loses nothing acknowledged.

    What was under way when it died may end without an answer, once per sending thread. Where a slave must
    acknowledge, the master's return is not judged here: until its slave is back it stores and answers 11 or 12.
    """
    death = plan(
        then(ENOUGH, name="loaded"),
        outage("kill", Kill(target=master(0)), after_s=0, for_s=OUTAGE_S),
        then(BACK, name="back"),
    )
    waits_for_slaves = scenario.topology.slaves and scenario.topology.replication == "sync"
    failed_later = metric("unacknowledged_begun_in", window="kill", until="heal" if waits_for_slaves else "end")
    scenario(
        load=[LOAD],
        steps=death,
        demand=[
            forbid("lost", replicas="master"),
            forbid("phantom"),
            failed_later.equals(0),
            metric("unacknowledged_in", window="kill") <= UNDER_WAY,
            metric("rto_max_s", window="kill") < RTO_S,
        ],
        control=scenario.control(
            "no-retries",
            load=[produce(PRODUCERS, rate=1000, threads=THREADS, retries=0)],
            steps=death,
            demand=[failed_later.equals(0)],
            why="the same kill must fail sends that may not be retried",
        ),
    )


@guarantee("downed-master-backlog-waits")
def test_backlog_of_a_dead_master_waits_for_it(scenario: Prover) -> None:
    """Without slaves, what only the dead master holds is delivered when it is back, and not before; then all of it."""
    scenario(
        load=[LOAD],
        steps=plan(
            _backlog(wait_s=8),
            heal("kill"),
            then(AwaitDelivered(timeout_s=120), name="all-delivered"),
        ),
        demand=[
            *_waits(),
            observed("all-delivered.all").equals(1),
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("phantom"),
        ],
        control=scenario.control(
            "with-slaves",
            cluster=ClusterNeeds(topology="2m-2s-sync"),
            load=[LOAD],
            steps=plan(_backlog(wait_s=60), heal("kill")),
            demand=_waits(),
            why="a slave that has every acknowledged message must deliver the same backlog while its master is down",
        ),
    )


def _backlog(wait_s: float) -> tuple[Step, ...]:
    """A master dies with all that it was given; consumers start only then."""
    return plan(
        then(ENOUGH, name="loaded"),
        then(Kill(target=master(0))),
        then(StopLoad(name="p"), name="no-more-sends"),
        then(StartLoad(load=(consume(2),))),
        then(AwaitDelivered(of="master/1", timeout_s=60), name="others-delivered"),
        then(AwaitDelivered(of="master/0", timeout_s=wait_s), name="while-down"),
    )


def _waits() -> list[Expectation]:
    return [observed("others-delivered.all").equals(1), observed("while-down.missing") > 0]
