"""Messages that are to come later: the delay levels, and what becomes of those that nobody can consume."""

from __future__ import annotations

from harness.suite import (
    ALL_MASTERS,
    AwaitCount,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Kill,
    Prover,
    ReadBack,
    StopLoad,
    consume,
    forbid,
    guarantee,
    master,
    metric,
    observed,
    outage,
    plan,
    produce,
    then,
)

LEVELS = {2: 5.0, 3: 10.0, 4: 30.0}
"""Delay level -> seconds, of the shipped messageDelayLevel."""
ROUNDED_S = 0.001
"""The broker counts in whole milliseconds from when it stored a message."""
LATE_S = 5.0
"""The broker looks every 100 ms and a consumer's pull waits for nothing; the rest is the machine."""
RESTART_S = 60.0
FEW = Gates(min_acked=600, min_acked_before_fault=50, in_flight_at_fault=False)


@guarantee("delay-is-never-early")
def test_no_delayed_message_is_early(scenario: Prover) -> None:
    """Messages of three delay levels come no sooner than their delay and all of them, also across a broker's death."""
    levels = [produce(1, name=f"level{level}", rate=40, delay_level=level) for level in LEVELS]
    scenario(
        load=[*levels, consume(2)],
        steps=plan(
            *(
                then(AwaitCount(who=f"level{n}", what="ok", at_least=250, from_start=True), name=f"sent-{n}")
                for n in LEVELS
            ),
            outage("kill", Kill(target=master(0)), after_s=0, for_s=2),
            *(then(AwaitCount(who=f"level{n}", what="ok", at_least=100), name=f"more-{n}") for n in LEVELS),
            *(then(StopLoad(name=f"level{n}"), name=f"no-more-{n}") for n in LEVELS),
        ),
        drain_s=150,
        demand=[*_in_time(), forbid("undelivered"), forbid("phantom"), forbid("stored-though-failed")],
        gates=FEW,
        control=scenario.control(
            "one-level-less",
            load=[produce(1, name=f"level{level}", rate=40, delay_level=level - 1) for level in LEVELS] + [consume(2)],
            steps=plan(
                *(
                    then(AwaitCount(who=f"level{n}", what="ok", at_least=200, from_start=True), name=f"sent-{n}")
                    for n in LEVELS
                ),
            ),
            drain_s=60,
            demand=_in_time(),
            gates=FEW.model_copy(update={"faults_bite": False, "faults_heal": False, "min_acked_before_fault": 0}),
            why="messages of the next shorter level must be seen to be early",
        ),
    )


@guarantee("retry-then-dead-letter")
def test_what_always_fails_comes_back_and_ends_as_a_dead_letter(scenario: Prover) -> None:
    """A message whose consumption fails comes again after 10 s and after 30 s, and then it is a dead letter."""
    attempts, sends = 2, 600
    refuses = consume(1, fail_every=1, max_reconsume=attempts)
    load = produce(1, rate=50, max_messages=sends)
    sent = then(AwaitCount(who="p", what="ok", at_least=sends, from_start=True), name="sent")
    dead = ReadBack(phase="dead", target=ALL_MASTERS, topics=("%DLQ%g",))
    buried: list[Expectation] = [observed("dead-letters.messages").equals(sends)]
    scenario(
        load=[load, refuses],
        steps=plan(
            sent,
            then(Elapse(seconds=10 + 30 + LATE_S + 5), name="attempts"),
            then(dead, name="dead-letters"),
        ),
        demand=[
            metric("attempts", group="g", which="least").equals(1 + attempts),
            metric("attempts", group="g", which="most").equals(1 + attempts),
            metric("retry_s", group="g", attempt=1, which="least") >= 10 - ROUNDED_S,
            metric("retry_s", group="g", attempt=1, which="most") < 10 + LATE_S,
            metric("retry_s", group="g", attempt=2, which="least") >= 30 - ROUNDED_S,
            metric("retry_s", group="g", attempt=2, which="most") < 30 + LATE_S,
            *buried,
            forbid("phantom"),
        ],
        gates=_unhurt(sends).model_copy(update={"preconditions": (observed("dead-letters.complete").equals(1),)}),
        control=scenario.control(
            "most-succeed",
            load=[load, consume(1, fail_every=10, max_reconsume=attempts)],
            steps=plan(sent, then(Elapse(seconds=10 + LATE_S), name="attempts"), then(dead, name="dead-letters")),
            demand=buried,
            gates=_unhurt(sends),
            why="messages that are consumed in the end must not be found among the dead letters",
        ),
    )


@guarantee("short-ladder-clamps")
def test_a_short_ladder_ends_in_its_last_step(scenario: Prover) -> None:
    """With four delay levels retries wait 10 s, then 30 s each time; a message of level 18 comes after 30 s."""
    attempts, sends = 3, 300
    load = produce(1, rate=50, max_messages=sends)
    late = produce(1, name="level18", rate=20, max_messages=100, delay_level=18)
    refuses = consume(1, fail_every=1, max_reconsume=attempts)
    sent = then(AwaitCount(who="p", what="ok", at_least=sends, from_start=True), name="sent")
    third: list[Expectation] = [
        metric("retry_s", group="g", attempt=3, which="least") >= 30 - ROUNDED_S,
        metric("retry_s", group="g", attempt=3, which="most") < 30 + LATE_S,
    ]
    dead = ReadBack(phase="dead", target=ALL_MASTERS, topics=("%DLQ%g",))
    scenario(
        cluster=ClusterNeeds(broker_conf={"messageDelayLevel": "1s 5s 10s 30s"}),
        load=[load, late, refuses],
        steps=plan(
            sent,
            then(AwaitCount(who="level18", what="ok", at_least=100, from_start=True), name="sent-late"),
            then(Elapse(seconds=30 + 10 + 30 + 30 + LATE_S + 5), name="attempts"),
            then(dead, name="dead-letters"),
        ),
        demand=[
            metric("attempts", group="g", which="least").equals(1 + attempts),
            metric("attempts", group="g", which="most").equals(1 + attempts),
            metric("retry_s", group="g", attempt=1, which="least") >= 10 - ROUNDED_S,
            metric("retry_s", group="g", attempt=1, which="most") < 10 + LATE_S,
            metric("retry_s", group="g", attempt=2, which="least") >= 30 - ROUNDED_S,
            metric("retry_s", group="g", attempt=2, which="most") < 30 + LATE_S,
            *third,
            metric("delay_s", which="least", process="level18") >= 30 - ROUNDED_S,
            metric("delay_s", which="most", process="level18") < 30 + LATE_S,
            observed("dead-letters.messages").equals(sends + 100),
            forbid("phantom"),
        ],
        gates=_unhurt(sends).model_copy(update={"preconditions": (observed("dead-letters.complete").equals(1),)}),
        control=scenario.control(
            "as-shipped",
            load=[load, refuses],
            steps=plan(sent, then(Elapse(seconds=10 + 30 + 60 + LATE_S + 5), name="attempts")),
            demand=third,
            gates=_unhurt(sends),
            why="with the shipped eighteen levels the third retry must wait a minute",
        ),
    )


def _in_time() -> list[Expectation]:
    return [
        demand
        for level, delay_s in LEVELS.items()
        for demand in (
            metric("delay_s", which="least", process=f"level{level}") >= delay_s - ROUNDED_S,
            metric("delay_s", which="most", process=f"level{level}") < delay_s + LATE_S + RESTART_S,
        )
    ]


def _unhurt(acked: int) -> Gates:
    return Gates(
        min_acked=acked, min_acked_before_fault=0, in_flight_at_fault=False, faults_bite=False, faults_heal=False
    )
