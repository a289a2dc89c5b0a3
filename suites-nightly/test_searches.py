"""Finding one message among all, as a console does, also after the broker that has it died."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    CutPower,
    Expectation,
    Gates,
    Kill,
    Prover,
    Require,
    Search,
    Step,
    StopLoad,
    SyncDisks,
    forbid,
    guarantee,
    master,
    observed,
    outage,
    plan,
    produce,
    then,
)

DISK_BYTES = 512 << 20
LOAD = produce(2, rate=800, threads=4)
ENOUGH = AwaitCount(who="p", what="ok", at_least=4000, from_start=True, timeout_s=120)
BACK = AwaitCount(who="p", what="ok", at_least=1000, timeout_s=60)
LOOK = Search(target=master(0))
STARTED_S = 8.0
"""4.x writes its table of topics anew some 6 s after its start, unsynced: a cut just after that takes every topic."""
LEAST = 100
"""So many must have been looked up for anything to be shown."""
WAYS = ("key", "id", "time")
UNINDEXED = {"messageIndexEnable": "false"}
UNHURT = Gates(min_acked=1000, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)


def _finds(name: str, ways: tuple[str, ...] = WAYS) -> list[Expectation]:
    return [*(observed(f"{name}.missed.{way}").equals(0) for way in ways), observed(f"{name}.strangers").equals(0)]


def _enough(*names: str) -> tuple[Require, ...]:
    return tuple(observed(f"{name}.asked") >= LEAST for name in names)


def _quiet(name: str) -> tuple[Step, ...]:
    """Nothing is sent any more: what is in a queue is indexed a moment later."""
    return plan(then(StopLoad(name="p"), name="no-more"), then(LOOK, after_s=2, name=name))


@guarantee("history-is-searchable")
def test_messages_are_found_by_key_id_and_time(scenario: Prover) -> None:
    """Of messages from all over the queues each is found by its key, its id and its time, and no key finds another."""
    scenario(
        load=[LOAD],
        steps=plan(then(ENOUGH, name="loaded"), _quiet("found")),
        demand=[*_finds("found"), forbid("lost", replicas="master"), forbid("phantom")],
        gates=UNHURT.model_copy(update={"also": _enough("found")}),
        control=scenario.control(
            "without-an-index",
            cluster=ClusterNeeds(broker_conf=UNINDEXED),
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), _quiet("found")),
            demand=_finds("found", ways=("key",)),
            gates=UNHURT,
            why="with messageIndexEnable=false nothing must be found by key",
        ),
    )


@guarantee("index-survives-crash")
def test_messages_are_found_by_key_after_a_crash(scenario: Prover) -> None:
    """After kill -9, and after a power cut, each message that the master still has is found by its key again."""
    needs = ClusterNeeds(disk_bytes=DISK_BYTES, power=True)
    looks = ("after-kill", "after-cut")
    scenario(
        cluster=needs,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            outage("kill", Kill(target=master(0)), after_s=0, for_s=1),
            then(BACK, name="back-from-kill"),
            then(LOOK, after_s=2, name="after-kill"),
            then(SyncDisks(), after_s=STARTED_S, name="synced"),
            outage("cut", CutPower(target=master(0)), after_s=2, for_s=1),
            then(BACK, name="back-from-cut"),
            _quiet("after-cut"),
        ),
        demand=[*(demand for name in looks for demand in _finds(name, ways=("key",))), forbid("phantom")],
        gates=Gates(also=_enough(*looks)),
        control=scenario.control(
            "without-an-index",
            cluster=needs.model_copy(update={"broker_conf": UNINDEXED}),
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), _quiet("after-kill")),
            demand=_finds("after-kill", ways=("key",)),
            gates=UNHURT,
            why="with messageIndexEnable=false nothing must be found by key",
        ),
    )
