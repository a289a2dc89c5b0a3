"""Proxies: what a client that knows several of them is owed when one dies, is stopped or comes back."""

from __future__ import annotations

from harness.suite import (
    ALL_PROXIES,
    AwaitCount,
    AwaitKnown,
    ClusterNeeds,
    Elapse,
    Gates,
    Kill,
    Load,
    Prover,
    Require,
    Step,
    Stop,
    consume,
    forbid,
    guarantee,
    metric,
    observed,
    outage,
    plan,
    produce,
    proxy,
    then,
)

PRODUCERS, THREADS = 2, 4
LOAD = produce(PRODUCERS, rate=200, threads=THREADS, client="grpc")
UNDER_WAY = PRODUCERS * THREADS
"""Most sends that a fault can meet half-way."""
ENOUGH = AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120)
BACK = AwaitCount(who="p", what="ok", at_least=400, timeout_s=60)
GATES = Gates(min_acked=1500, min_acked_before_fault=100)
LOOKS_AFTER_S = 300
"""How often the client sends its settings again, and so notices that the stream to a proxy is gone."""
ASKS_ON = {"transactionTimeOut": "3000", "transactionCheckInterval": "3000", "transactionCheckMax": "1000"}
"""With 15 times, the product's default, a broker that asks every 3 s gives up after 45 s."""
OUTAGE_S = 6
RTO_S = 5
"""A request that its proxy took with it may wait 3 s for its answer."""


def _in_turn(scenario: Prover, *groups: str) -> tuple[Step, ...]:
    """Every proxy dies once, the others being there: the one that a client uses is among them, whichever it is.

    Not before all of them know the members of these groups: a proxy that has just started hears of them by and by.
    """
    return plan(
        then(ENOUGH, name="loaded"),
        *(
            plan(
                *(then(AwaitKnown(group=group), name=f"{group}-known-{n}") for group in groups),
                outage(f"kill-{n}", Kill(target=proxy(n)), after_s=0, for_s=OUTAGE_S),
                then(BACK, name=f"back-{n}"),
            )
            for n in range(scenario.topology.proxies)
        ),
    )


def _known(scenario: Prover, *groups: str) -> tuple[Require, ...]:
    """Of each look of `_in_turn` that every proxy knew the group."""
    looks = (f"{group}-known-{n}.known" for group in groups for n in range(scenario.topology.proxies))
    return tuple(observed(look).equals(1) for look in looks)


@guarantee("proxy-outage-leaves-sends-working")
def test_sends_go_on_when_a_proxy_dies(scenario: Prover) -> None:
    """With several proxies, killing one fails no send that is begun after it.

    What was under way when it died may end without an answer, once per sending thread.
    """
    kills = [f"kill-{n}" for n in range(scenario.topology.proxies)]
    scenario(
        load=[LOAD],
        steps=_in_turn(scenario),
        demand=[
            *(metric("unacknowledged_begun_in", window=name).equals(0) for name in kills),
            *(metric("unacknowledged_in", window=name) <= UNDER_WAY for name in kills),
            *(metric("rto_max_s", window=name) < RTO_S for name in kills),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=GATES,
        control=scenario.control(
            "every-proxy",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                outage("kill", Kill(target=ALL_PROXIES), after_s=0, for_s=OUTAGE_S),
                then(BACK, name="back"),
            ),
            demand=[metric("unacknowledged_begun_in", window="kill").equals(0)],
            gates=Gates(min_acked=1000, min_acked_before_fault=100),
            why="without any proxy the same sends must fail",
        ),
    )


@guarantee("proxy-restart-costs-nothing")
def test_a_proxy_is_stopped_and_started_again(scenario: Prover) -> None:
    """Every proxy is stopped gracefully and started again, one after the other: no send fails, and nothing is lost."""
    stops = [f"stop-{n}" for n in range(scenario.topology.proxies)]
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            *(
                plan(outage(name, Stop(target=proxy(n)), after_s=0, for_s=2), then(BACK, name=f"back-{n}"))
                for n, name in enumerate(stops)
            ),
        ),
        demand=[
            *(metric("unacknowledged_in", window=name, until="recovered").equals(0) for name in stops),
            forbid("lost", replicas="master"),
            forbid("phantom"),
        ],
        gates=GATES,
        control=scenario.control(
            "all-at-once",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                outage("stop", Stop(target=ALL_PROXIES), after_s=0, for_s=OUTAGE_S),
                then(BACK, name="back"),
            ),
            demand=[metric("unacknowledged_in", window="stop", until="recovered").equals(0)],
            gates=Gates(min_acked=1000, min_acked_before_fault=100),
            why="with every proxy stopped at once the same sends must fail",
        ),
    )


@guarantee("proxy-outage-loses-nothing")
def test_what_a_dead_proxy_passed_on_is_delivered(scenario: Prover) -> None:
    """Whatever was acknowledged is on every replica, though each proxy died once, and two groups are given it.

    One group is pushed to, the other asks and acknowledges.
    """
    replicas = ("master", "slave") if scenario.topology.slaves else ("master",)
    simple = consume(1, name="s", group="simple", listener="simple", client="grpc")
    works = [
        then(AwaitCount(who=who, what="delivered", at_least=50, from_start=True), name=f"{who}-works")
        for who in ("c-1", "s-1")
    ]
    scenario(
        load=[LOAD, consume(2, client="grpc"), simple],
        steps=plan(*works, _in_turn(scenario, "g", "simple"), then(Elapse(seconds=2), name="afterwards")),
        drain_s=150,
        demand=[
            *(forbid("lost", replicas=role) for role in replicas),
            forbid("undelivered"),
            forbid("phantom"),
        ],
        gates=Gates(
            min_acked=1500,
            min_acked_before_fault=100,
            preconditions=(
                *(observed(f"{who}-works.reached").equals(1) for who in ("c-1", "s-1")),
                *_known(scenario, "g", "simple"),
            ),
        ),
    )


@guarantee("proxied-order-holds")
def test_a_message_group_is_given_in_order(scenario: Prover) -> None:
    """Messages of a message group are given in the order of their sends, though each proxy died once."""
    ordered = produce(PRODUCERS, rate=100, threads=2, mode="orderly", client="grpc")
    disorder = forbid("reordered-key", group="g")
    scenario(
        load=[ordered, consume(2, listener="orderly", client="grpc")],
        steps=plan(
            then(AwaitCount(who="c-1", what="delivered", at_least=50, from_start=True), name="consumer-works"),
            _in_turn(scenario, "g"),
        ),
        drain_s=150,
        demand=[disorder, forbid("lost", replicas="master"), forbid("undelivered"), forbid("phantom")],
        gates=GATES.model_copy(
            update={"preconditions": (observed("consumer-works.reached").equals(1), *_known(scenario, "g"))}
        ),
        control=scenario.control(
            "concurrent-group",
            load=[ordered, consume(2, client="grpc")],
            steps=plan(then(ENOUGH, name="loaded")),
            demand=[disorder],
            gates=Gates(
                min_acked=1000, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0
            ),
            why="a group that is not made for order must be seen to be given messages of a key out of it",
        ),
    )


@guarantee("proxied-transactions-end-as-decided")
def test_transactions_end_as_decided_though_their_proxy_died(scenario: Prover) -> None:
    """Every half message ends as its transaction was decided, though each proxy died once and took its notes along.

    The decision is recorded before the broker is told, if it is told at all: half of them it must ask for. A client
    whose proxy died looks after the way by which it is asked every five minutes alone: until then the broker must not
    have given up asking. Of those whose end a proxy confirmed nobody need be asked: they are demanded apart.
    """
    halves = produce(PRODUCERS, rate=60, threads=2, mode="transaction", client="grpc")
    scenario(
        cluster=ClusterNeeds(broker_conf=ASKS_ON),
        load=[halves, consume(1, client="grpc")],
        steps=plan(
            then(AwaitCount(who="c-1", what="delivered", at_least=20, from_start=True), name="consumer-works"),
            _in_turn(scenario, "g"),
        ),
        drain_s=LOOKS_AFTER_S + 60,
        demand=[
            forbid("lost", replicas="master"),
            forbid("undelivered", group="g"),
            forbid("lost", replicas="master", told=True),
            forbid("undelivered", group="g", told=True),
            forbid("stored-though-failed"),
            forbid("phantom"),
        ],
        gates=Gates(
            min_acked=800,
            min_acked_before_fault=30,
            preconditions=(observed("consumer-works.reached").equals(1), *_known(scenario, "g")),
        ),
    )


@guarantee("proxied-delay-is-never-early")
def test_a_delayed_message_waits_though_its_proxy_died(scenario: Prover) -> None:
    """A message that is to come 10 s later comes no sooner, and comes, though each proxy died meanwhile."""
    delay_s = 10

    def load(level: int) -> list[Load]:
        return [produce(PRODUCERS, rate=60, threads=2, delay_level=level, client="grpc"), consume(1, client="grpc")]

    in_time = metric("delay_s", which="least", group="g") >= delay_s
    scenario(
        load=load(3),
        steps=_in_turn(scenario, "g"),
        drain_s=150,
        demand=[in_time, forbid("lost", replicas="master"), forbid("undelivered"), forbid("phantom")],
        gates=Gates(min_acked=1500, min_acked_before_fault=30, preconditions=_known(scenario, "g")),
        control=scenario.control(
            "five-seconds",
            load=load(2),
            steps=plan(then(ENOUGH, name="loaded")),
            drain_s=60,
            demand=[in_time],
            gates=Gates(
                min_acked=1000, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0
            ),
            why="messages that are to come after 5 s must be seen to come before 10 s",
        ),
    )
