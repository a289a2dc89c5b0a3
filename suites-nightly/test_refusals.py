"""What a broker must not take: messages for topics that are not there, and messages that are too large."""

from __future__ import annotations

from harness.suite import (
    AwaitCount,
    ClusterNeeds,
    Expectation,
    Gates,
    Prover,
    PullDirect,
    ReadBack,
    Routed,
    SendDirect,
    Step,
    forbid,
    guarantee,
    master,
    observed,
    plan,
    produce,
    then,
)

LOAD = produce(1, rate=200)
ENOUGH = AwaitCount(who="p", what="ok", at_least=500, from_start=True, timeout_s=120)
TRIES = 20
TOPIC_NOT_EXIST, MESSAGE_ILLEGAL, GROUP_NOT_EXIST = 17, 13, 26
MISSING = "nobody-made-it"
UNHURT = Gates(min_acked=500, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)


@guarantee("missing-topic-is-refused")
def test_a_topic_that_nobody_made_is_refused(scenario: Prover) -> None:
    """With autoCreateTopicEnable=false sends to an unknown topic are refused with 17, and no route appears."""
    scenario(
        cluster=ClusterNeeds(broker_conf={"autoCreateTopicEnable": "false"}, insists=True),
        load=[LOAD],
        steps=_tries(SendDirect(target=master(0), count=TRIES, topic_name=MISSING, among=(TOPIC_NOT_EXIST,))),
        demand=[*_refused(), observed("after.yes").equals(0), *_nothing_stored()],
        gates=UNHURT.model_copy(update={"also": (observed("before.yes").equals(0), observed("tries.answered") > 0)}),
        control=scenario.control(
            "created-by-itself",
            cluster=ClusterNeeds(broker_conf={"autoCreateTopicEnable": "true"}, insists=True),
            load=[LOAD],
            steps=_tries(SendDirect(target=master(0), count=TRIES, topic_name=MISSING, among=(TOPIC_NOT_EXIST,))),
            demand=_refused(),
            # What was acknowledged to that topic is read as a phase of its own.
            gates=UNHURT.model_copy(update={"drained": False}),
            why="with autoCreateTopicEnable=true the same sends must be acknowledged",
        ),
    )


@guarantee("missing-group-is-refused")
def test_a_group_that_nobody_made_is_refused(scenario: Prover) -> None:
    """With autoCreateSubscriptionGroup=false every pull of an unknown group is refused with 26."""
    pulls = PullDirect(target=master(0), group=MISSING, among=(GROUP_NOT_EXIST,))
    refused = [observed("pulls.messages").equals(0), observed("pulls.codes.other").equals(0)]
    scenario(
        cluster=ClusterNeeds(broker_conf={"autoCreateSubscriptionGroup": "false"}, insists=True),
        load=[LOAD],
        steps=plan(then(ENOUGH, name="loaded"), then(pulls, name="pulls")),
        demand=[*refused, forbid("lost", replicas="master"), forbid("phantom")],
        gates=UNHURT.model_copy(update={"also": (observed("pulls.answered") > 0,)}),
        control=scenario.control(
            "created-by-itself",
            cluster=ClusterNeeds(broker_conf={"autoCreateSubscriptionGroup": "true"}, insists=True),
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), then(pulls, name="pulls")),
            demand=refused,
            gates=UNHURT,
            why="with autoCreateSubscriptionGroup=true the same group must be made and given messages",
        ),
    )


@guarantee("oversized-message-is-refused")
def test_a_message_above_the_limit_is_refused_and_not_stored(scenario: Prover) -> None:
    """A byte more than maxMessageSize is refused with 13 and not stored; a message well below the limit is taken."""
    limit = 64 << 10
    cluster = ClusterNeeds(broker_conf={"maxMessageSize": str(limit)}, insists=True)
    above = SendDirect(target=master(0), count=TRIES, body_bytes=limit + 1, among=(MESSAGE_ILLEGAL,))
    scenario(
        cluster=cluster,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(SendDirect(target=master(0), count=TRIES, body_bytes=limit - 4096, among=(0,)), name="below"),
            then(above, name="tries"),
        ),
        demand=[*_refused(), observed("below.accepted").equals(TRIES), *_nothing_stored()],
        gates=UNHURT.model_copy(update={"also": (observed("tries.answered") > 0,)}),
        control=scenario.control(
            "higher-limit",
            cluster=ClusterNeeds(broker_conf={"maxMessageSize": str(2 * limit)}, insists=True),
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), then(above, name="tries")),
            demand=_refused(),
            gates=UNHURT,
            why="the same message must be taken where the limit is twice as high",
        ),
    )


def _tries(sends: SendDirect) -> tuple[Step, ...]:
    return plan(
        then(ENOUGH, name="loaded"),
        then(Routed(topic=MISSING), name="before"),
        then(sends, name="tries"),
        then(Routed(topic=MISSING), name="after"),
        then(ReadBack(phase="missing", target="master/0", topics=(MISSING,)), name="read"),
    )


def _refused() -> list[Expectation]:
    return [
        observed("tries.accepted").equals(0),
        observed("tries.stored").equals(0),
        observed("tries.codes.other").equals(0),
    ]


def _nothing_stored() -> list[Expectation]:
    return [forbid("stored-though-failed"), forbid("lost", replicas="master"), forbid("phantom")]
