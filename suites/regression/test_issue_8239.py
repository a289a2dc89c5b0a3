"""apache/rocketmq issue 8239: under SYNC_FLUSH a consumer is given what is not on the disk yet."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Gates,
    Prover,
    SlowDisk,
    Step,
    consume,
    forbid,
    guarantee,
    master,
    metric,
    outage,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
DELAY_S = 3.0
"""How much longer a sync takes: far from what a busy machine needs, and from the five seconds of syncFlushTimeout."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120)
CONSUMING = AwaitCount(who="c", what="delivered", at_least=500, from_start=True, timeout_s=60)
LOAD = (produce(1, rate=200, threads=16, retries=0, timeout_ms=15_000), consume(1))


@guarantee("issue-8239-read-before-flush")
def test_nothing_is_read_before_it_is_on_the_disk(scenario: Prover) -> None:
    """While every sync takes three seconds longer, no message is given to a consumer a second before its SEND_OK."""
    disks = ClusterNeeds(disk_bytes=DISK_BYTES, flush="sync")
    late = metric("ahead_of_answer_s", window="slow", group="g") < DELAY_S / 3
    # Its consumer is at work before, and is given something meanwhile.
    given = metric("time_to_first_delivery_s", window="slow", group="g") < 3 * DELAY_S
    answered = metric("ok_in", window="slow", since="inject") >= 16
    gates = Gates(min_acked=1000, in_flight_at_fault=False, also=(answered, given))

    def steps() -> tuple[Step, ...]:
        return plan(
            then(ENOUGH, name="loaded"),
            then(CONSUMING, name="consuming"),
            outage("slow", SlowDisk(target=master(0), delay_s=DELAY_S), after_s=1, for_s=5 * DELAY_S),
            then(Elapse(seconds=2), name="afterwards"),
        )

    scenario(
        cluster=disks,
        load=LOAD,
        steps=steps(),
        demand=[late, forbid("lost", replicas="master"), forbid("undelivered"), forbid("phantom")],
        gates=gates,
        control=scenario.control(
            "read-uncommitted",
            cluster=disks.model_copy(update={"broker_conf": {"readUnCommitted": "true"}}),
            load=LOAD,
            steps=steps(),
            demand=[late],
            gates=gates,
            why="a broker that is told to serve what is not flushed must be seen to serve it early",
        ),
    )
