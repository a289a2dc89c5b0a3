"""Slaves: readable when the master is gone, never writable, never promoted."""

from __future__ import annotations

from harness.suite import (
    ALL_SLAVES,
    AwaitCount,
    AwaitDelivered,
    AwaitHealthy,
    ClusterNeeds,
    CutPower,
    Elapse,
    Gates,
    Kill,
    Partition,
    Prover,
    Registered,
    Same,
    SendDirect,
    Snapshot,
    StartLoad,
    StopLoad,
    SyncDisks,
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
    slave,
    then,
)

DISK_BYTES = 512 << 20
LOAD = produce(2, rate=1000, threads=4, timeout_ms=10_000)
ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the first fault, however slow the machine is."""
BEYOND_EXPIRY_S = 135
"""Longer than the two minutes after which a nameserver forgets a silent broker, plus a scan."""

LATE_WRITES, LATE_ANSWERS = 20, 15
"""A write without an answer shows nothing; there may be few of them."""


@guarantee("slave-is-readable")
def test_consumers_go_on_from_the_slave(scenario: Prover) -> None:
    """Master killed with a backlog: a consumer group is given all of it from the slave, with no manual step.

    Where a master acknowledges before its slave has the message, the load ends and the slave catches up before the
    kill: what dies with an asynchronous master is another row's business.
    """
    slaves = "+".join(slave(number) for number in range(max(1, scenario.topology.brokers[0].slaves)))
    broker = scenario.topology.brokers[0].name
    readers = StartLoad(load=(consume(2),))
    # A consumer asks a broker who else is in its group: where all are dead it has no queue of its own, ever.
    alone = StartLoad(load=(consume(2, wait_assignment=scenario.topology.masters > 1),))
    ahead = scenario.topology.replication != "sync" or (scenario.topology.stock and scenario.version.major >= 5)
    caught_up = plan(then(StopLoad(name="p"), name="no-more-sends"), then(AwaitHealthy(), name="in-step"))
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            caught_up if ahead else (),
            then(Kill(target=master(0))),
            then(readers),
            then(AwaitDelivered(of=master(0), timeout_s=60), name="from-slave"),
            heal("kill"),
        ),
        demand=[
            observed("from-slave.all").equals(1),
            metric("delivered", group="g", broker=broker) > 0,
            forbid("lost", replicas="master"),
            forbid("undelivered"),
            forbid("phantom"),
        ],
        gates=Gates(in_flight_at_fault=not ahead, min_acked_before_fault=0 if ahead else 200),
        consumes_from_slaves=True,
        control=scenario.control(
            "slave-dead-too",
            load=[LOAD],
            steps=plan(
                then(Kill(target=f"{master(0)}+{slaves}"), after_s=4),
                then(alone),
                then(AwaitDelivered(of=master(0), timeout_s=15), name="from-slave"),
                heal("kill"),
            ),
            demand=[observed("from-slave.all").equals(1)],
            gates=Gates(min_acked=2000),
            why="with the slave dead too the same backlog must not be delivered",
        ),
    )


@guarantee("slave-is-not-writable")
def test_a_slave_takes_no_write(scenario: Prover) -> None:
    """Sends straight to a slave, its master up and then dead, are refused, and nothing of them is stored.

    Every answer is the slave's refusal. A send without an answer shows nothing; there may be few of them.
    """
    code = 14 if scenario.version.major < 5 else 2
    sends, least = 50, 40
    times = ("master-up", "master-down")
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(SendDirect(target=slave(0), count=sends, among=(code,)), name="master-up"),
            then(Kill(target=master(0)), after_s=1),
            then(SendDirect(target=slave(0), count=sends, among=(code,)), name="master-down"),
            heal("kill"),
        ),
        demand=[
            *(observed(f"{when}.{what}").equals(0) for when in times for what in ("stored", "accepted", "codes.other")),
            forbid("stored-though-failed"),
            forbid("lost", replicas="master"),
        ],
        gates=Gates(also=tuple(observed(f"{when}.answered") >= least for when in times)),
        control=scenario.control(
            "to-the-master",
            load=[LOAD],
            steps=plan(then(SendDirect(target=master(0), count=sends), name="master-up", after_s=2)),
            demand=[observed("master-up.stored").equals(0)],
            why="the same sends to the master must be taken",
            gates=Gates(faults_bite=False, in_flight_at_fault=False, min_acked=500),
        ),
    )


@guarantee("no-automatic-promotion")
def test_no_slave_becomes_a_master(scenario: Prover) -> None:
    """Master dead for longer than any expiry: its slave keeps its role and takes no write meant for the broker name."""
    broker = scenario.topology.brokers[0].name
    # Where there is no other master nothing is acknowledged for minutes: what it may lose is sent before.
    alone = scenario.topology.masters == 1
    burst = produce(1, rate=1500, name="burst", threads=3, max_messages=6000)
    sent = then(AwaitCount(who="burst", what="ok", at_least=5000, from_start=True, timeout_s=120), name="sent")
    scenario(
        load=[
            produce(1, rate=200, threads=3),
            produce(1, rate=20, name="pinned", only_brokers=(0,), retries=0),
            *([burst] if alone else []),
        ],
        steps=plan(
            sent if alone else (),
            then(Kill(target=master(0)), after_s=5),
            then(Elapse(seconds=10), name="settle"),
            then(Snapshot(), name="early"),
            then(Elapse(seconds=BEYOND_EXPIRY_S), name="minutes"),
            then(Snapshot(), name="late"),
            then(Same(first="early", second="late"), name="unchanged"),
            # Both looks come after the kill: a slave that had become something else by then would be unchanged too.
            then(Registered(target=ALL_SLAVES), name="still-slaves"),
            then(SendDirect(target=slave(0), count=LATE_WRITES), name="late-writes"),
            heal("kill"),
        ),
        demand=[
            observed("unchanged").equals(1),
            observed("still-slaves.no").equals(0),
            *(observed(f"late-writes.{what}").equals(0) for what in ("stored", "accepted")),
            metric("ok_despite", window="kill", broker=broker).equals(0),
            metric("unacknowledged_begun_in", window="kill", process="pinned") > 0,
            forbid("lost", replicas="master"),
        ],
        gates=Gates(min_acked_before_fault=200, also=(observed("late-writes.answered") >= LATE_ANSWERS,)),
    )


@guarantee("replicas-agree")
def test_replicas_hold_the_same_after_every_outage(scenario: Prover) -> None:
    """Slave killed, link cut, master killed, each healed: every offset holds the same bytes on all, and none lacks."""
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("slave-dead", Kill(target=slave(0)), after_s=0, for_s=2),
            outage("link-cut", Partition(sources=master(0), sinks=slave(0)), after_s=3, for_s=3),
            outage("master-dead", Kill(target=master(0)), after_s=3, for_s=2),
            then(Elapse(seconds=2), name="afterwards"),
        ),
        demand=[forbid("diverged"), forbid("lost", replicas="master"), forbid("lacking")],
    )


@guarantee("power-cut-leaves-replicas-agreeing")
def test_replicas_agree_after_the_power_cut_of_a_master(scenario: Prover) -> None:
    """After a power cut of an ASYNC_FLUSH master its slave holds the same bytes at every offset, and lacks nothing."""
    others = [str(broker.name) for broker in scenario.topology.brokers[1:]]
    scenario(
        cluster=ClusterNeeds(disk_bytes=DISK_BYTES, power=True),
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            # 4.x writes its table of topics anew some 6 s after its start, unsynced: a cut just after that takes it.
            then(SyncDisks(), after_s=2, name="synced"),
            outage("cut", CutPower(target=master(0)), after_s=2, for_s=1),
            then(Elapse(seconds=3), name="afterwards"),
        ),
        demand=[
            forbid("diverged"),
            forbid("lost", replicas="slave"),
            # What is expected to be broken is the slave of the master that was cut, from the cut on, and no more.
            forbid("lost", replicas="slave", sent_before="synced"),
            *(forbid("lost", replicas="slave", broker=name) for name in others),
            *(forbid("lost", replicas="master", broker=name) for name in others),
        ],
    )
