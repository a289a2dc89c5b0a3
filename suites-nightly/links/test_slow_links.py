"""Links that take their time: what a send then takes, what it does not lose, and what it does not wait for."""

from __future__ import annotations

from harness.suite import (
    ALL_MASTERS,
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Gates,
    Latency,
    Prover,
    SlowLink,
    Step,
    forbid,
    guarantee,
    heal,
    metric,
    outage,
    plan,
    produce,
    then,
)

ENOUGH = AwaitCount(who="p", what="ok", at_least=5000, from_start=True, timeout_s=120)
"""The load before the fault, however slow the machine is."""
ANSWERED = 100
"""Sends that were acknowledged over the slow link."""
FOR_S = 10.0


@guarantee("sends-survive-a-slow-link")
def test_sends_go_on_over_a_slow_link(scenario: Prover) -> None:
    """While clients reach their masters late, unevenly and by a narrow way, no send fails and none is lost.

    Each takes at least the way there and back, far less than the three seconds that it may take.
    """
    late_ms, jitter_ms, narrow_kb_per_s, timeout_ms = 150, 50, 200, 3000
    load = produce(2, rate=300, threads=24, timeout_ms=timeout_ms)
    clients = ClusterNeeds(links=("clients",))

    def slow(latency: int, jitter: int) -> tuple[Step, ...]:
        late = Latency(link="clients", target=ALL_MASTERS, latency_ms=latency, jitter_ms=jitter)
        return plan(
            then(ENOUGH, name="loaded"),
            then(SlowLink(link="clients", target=ALL_MASTERS, kb_per_s=narrow_kb_per_s), name="narrow", after_s=1),
            outage("late", late, after_s=0, for_s=FOR_S),
            heal("narrow"),
            then(Elapse(seconds=2), name="afterwards"),
        )

    survive = metric("unacknowledged", process="p-").equals(0)
    scenario(
        cluster=clients,
        load=[load],
        steps=slow(late_ms, jitter_ms),
        demand=[survive, forbid("lost", replicas="master"), forbid("phantom")],
        gates=Gates(
            also=(
                metric("ok_in", window="late") >= ANSWERED,
                metric("latency_min_ms", window="late") >= 2 * (late_ms - jitter_ms),
            )
        ),
        control=scenario.control(
            "later-than-the-time-out",
            cluster=clients,
            load=[load],
            steps=slow(timeout_ms * 6 // 10, 0),
            demand=[survive],
            why="where the way there and back is longer than a send may take, sends must fail",
        ),
    )


@guarantee("dual-write-waits-for-the-ha-link")
def test_dual_write_takes_the_way_to_the_slave_and_back(scenario: Prover) -> None:
    """While the HA link is late, no SEND_OK of a SYNC_MASTER comes in less than its round trip, and none is lost."""
    late_ms = 200
    load = produce(2, rate=1000, threads=24, timeout_ms=10_000)
    steps = plan(
        then(ENOUGH, name="loaded"),
        outage("late", Latency(link="ha", target=ALL_MASTERS, latency_ms=late_ms), after_s=1, for_s=FOR_S),
        then(Elapse(seconds=2), name="afterwards"),
    )
    waits = metric("latency_min_ms", window="late") >= 2 * late_ms
    gates = Gates(also=(metric("ok_in", window="late") >= ANSWERED,))
    scenario(
        cluster=ClusterNeeds(links=("ha",)),
        load=[load],
        steps=steps,
        demand=[waits, forbid("lost", replicas="master"), forbid("phantom")],
        gates=gates,
        control=scenario.control(
            "async-master",
            cluster=ClusterNeeds(links=("ha",), replication="async"),
            load=[load],
            steps=steps,
            demand=[waits],
            gates=gates,
            why="a master that does not wait for its slave must answer sooner than over that link it could be told",
        ),
    )
