"""Mistakes in configuration files that an operator would want to be told of."""

from __future__ import annotations

from collections.abc import Sequence

from harness.suite import (
    AwaitCount,
    AwaitRoute,
    ClusterNeeds,
    Elapse,
    Expectation,
    Gates,
    Misconfigure,
    Partition,
    Prover,
    ReadBack,
    Registered,
    Running,
    SendDirect,
    Step,
    Stop,
    Verdict,
    Warned,
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

LOAD = produce(2, rate=400, threads=3)
ENOUGH = AwaitCount(who="p", what="ok", at_least=1000, from_start=True, timeout_s=120)
AGAIN = AwaitCount(who="p", what="ok", at_least=300, timeout_s=120)
"""Sends get through again, or still: clients come back to a broker in their own time, by proxies after a minute."""
QUIET = Gates(min_acked=1000, in_flight_at_fault=False)
KEPT: list[Expectation] = [forbid("lost", replicas="master"), forbid("phantom")]
SLAVE_OF_ID_0 = {"brokerRole": "SLAVE", "brokerId": "0"}
SOUND = {"enablePropertyFilter": "false"}
"""No mistake: a key that every release knows, with its own default."""
SOUND_STARTS = "with a sound file the same node must start, and that must be seen to be no refusal"
EXPIRY_S = 130.0
"""The longest that a nameserver takes to notice anything: two minutes of silence, and a look every ten seconds."""
AS_DEPLOYED = ClusterNeeds(broker_conf={"haMasterAddress": ""}, insists=True)
"""Slaves learn from the nameservers where their master is; for a quick start they are told by the harness otherwise."""
NOWHERE = "192.0.2.1"
"""An address of nobody, set apart for documentation."""
SENDS = 20


def _mistaken(target: str, conf: dict[str, str], name: str) -> tuple[Step, ...]:
    """The target is started with these keys; whether it runs is looked at, and the file put right."""
    return plan(
        then(AGAIN, name=f"before-{name}"),
        then(Misconfigure(target=target, conf=conf), name=name),
        then(Running(target=target), name=f"{name}-seen"),
        heal(name),
    )


@guarantee("role-and-id-mismatch-is-refused")
def test_a_role_that_does_not_fit_the_id(scenario: Prover) -> None:
    """A slave with id 0 and a master with id 5 are refused at their start."""
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            _mistaken(master(0), SLAVE_OF_ID_0, "slave-0"),
            _mistaken(master(0), {"brokerId": "5"}, "master-5"),
        ),
        demand=[observed("slave-0-seen.ended").equals(1), observed("master-5-seen.ended").equals(1), *KEPT],
        gates=QUIET,
        control=scenario.control(
            "sound",
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), _mistaken(master(0), SOUND, "master-5")),
            demand=[observed("master-5-seen.ended").equals(1)],
            gates=QUIET,
            why=SOUND_STARTS,
        ),
    )


@guarantee("unknown-keys-are-reported")
def test_what_a_release_does_not_know_it_says(scenario: Prover) -> None:
    """Keys of the documents that the release has no setter for, a number and a role that are none: it says so."""
    keys = ["storePathConsumeQueue", "storeCheckpoint", "abortFile"]
    if (scenario.version.major, scenario.version.minor) >= (4, 8):
        keys.append("mapedFileSizeCommitLog")
    scenario(
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            _said("keys", dict.fromkeys(keys, "1073741824"), keys),
            _said("number", {"fileReservedTime": "three-days"}, ["three-days"]),
            _said("role", {"brokerRole": "SYNC_MASTR"}, ["SYNC_MASTR"]),
        ),
        demand=[
            observed("keys-seen.warned").equals(len(keys)),
            observed("number-seen.warned").equals(1),
            observed("role-seen.warned").equals(1),
            *KEPT,
        ],
        gates=QUIET,
        control=scenario.control(
            "looked-at",
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"), _said("address", {"namesrvAddr": "no-port-in-it"}, ["no-port-in-it"])
            ),
            demand=[observed("address-seen.warned").equals(1)],
            gates=QUIET,
            expect=Verdict.HELD,
            why="a value that a release does look at, it refuses by its text",
        ),
    )


def _said(name: str, conf: dict[str, str], words: Sequence[str]) -> tuple[Step, ...]:
    """The first master is started with these keys; which words it warns of is looked up, and the file put right."""
    return plan(
        then(AGAIN, name=f"before-{name}"),
        then(Misconfigure(target=master(0), conf=conf), name=name),
        then(Warned(target=master(0), words=tuple(words)), name=f"{name}-seen"),
        heal(name),
    )


@guarantee("duplicate-broker-id-is-noticed")
def test_two_masters_of_one_name(scenario: Prover) -> None:
    """A second broker that calls itself master of a name that has one is refused at its start."""
    names = scenario.topology.brokers
    if len(names) > 1:
        twin, conf = master(1), {"brokerName": names[0].name}
    elif names[0].slaves:
        twin, conf = slave(0), {"brokerRole": "ASYNC_MASTER", "brokerId": "0"}
    else:
        scenario.skipped("it takes two brokers for two of one name and id")
        return
    scenario(
        load=[LOAD],
        steps=plan(then(ENOUGH, name="loaded"), _mistaken(twin, conf, "twin")),
        demand=[observed("twin-seen.ended").equals(1), forbid("lost"), forbid("phantom")],
        gates=QUIET,
        control=scenario.control(
            "sound",
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), _mistaken(twin, SOUND, "twin")),
            demand=[observed("twin-seen.ended").equals(1)],
            gates=QUIET,
            why=SOUND_STARTS,
        ),
    )


@guarantee("misnamed-slave-is-noticed")
def test_a_slave_of_a_name_that_no_master_has(scenario: Prover) -> None:
    """A slave whose brokerName no master has is refused at its start."""
    conf = {"brokerName": f"{scenario.topology.brokers[0].name}-misspelled"}
    scenario(
        cluster=AS_DEPLOYED,
        load=[LOAD],
        steps=plan(then(ENOUGH, name="loaded"), _mistaken(slave(0), conf, "misnamed")),
        demand=[observed("misnamed-seen.ended").equals(1), *KEPT],
        gates=QUIET,
        control=scenario.control(
            "sound",
            cluster=AS_DEPLOYED,
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), _mistaken(slave(0), SOUND, "misnamed")),
            demand=[observed("misnamed-seen.ended").equals(1)],
            gates=QUIET,
            why=SOUND_STARTS,
        ),
    )


def _copied() -> tuple[Step, ...]:
    """Twenty messages straight to the master, and what its slave holds before and after them."""
    return plan(
        then(ReadBack(phase="before", target=slave(0)), name="before"),
        then(SendDirect(target=master(0), count=SENDS), name="sends"),
        then(Elapse(seconds=3), name="time-to-copy"),
        then(ReadBack(phase="after", target=slave(0)), name="after"),
    )


COPIED = metric("observed_difference", first="after.messages", second="before.messages")
READ = (observed("before.complete").equals(1), observed("after.complete").equals(1))


@guarantee("wrong-ha-address-is-visible")
def test_replication_goes_by_the_second_address(scenario: Prover) -> None:
    """With brokerIP2 an address of nobody the master registers and takes sends, and nothing is replicated.

    With SYNC_MASTER no send to it is then answered SEND_OK: that is where it is visible.
    """
    waits = scenario.topology.replication == "sync" and not (
        scenario.topology.stock and scenario.version.major >= 5  # it waits for nobody as shipped
    )
    back = AwaitRoute(target=slave(0), present=True, since="slave-down", since_heal=True, timeout_s=90)
    scenario(
        cluster=AS_DEPLOYED,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(Stop(target=slave(0), await_health=False), name="slave-down"),
            then(Misconfigure(target=master(0), conf={"brokerIP2": NOWHERE}), name="nowhere"),
            heal("slave-down"),
            then(back, name="back"),
            then(Elapse(seconds=10), name="time-to-connect"),
            _copied(),
            then(Registered(target=f"{master(0)}+{slave(0)}"), name="listed"),
            heal("nowhere"),
        ),
        demand=[
            COPIED.equals(0),
            observed("listed.no").equals(0),
            *([observed("sends.accepted").equals(0)] if waits else []),
            *KEPT,
        ],
        gates=QUIET.model_copy(
            update={
                "preconditions": (*READ, observed("back.all").equals(1)),
                "also": (observed("sends.stored") >= SENDS,),
            }
        ),
        control=scenario.control(
            "right-address",
            cluster=AS_DEPLOYED,
            load=[LOAD],
            steps=plan(
                then(ENOUGH, name="loaded"),
                then(Stop(target=slave(0), await_health=False), name="slave-down"),
                outage("restarted", Stop(target=master(0), await_health=False), after_s=0, for_s=0),
                heal("slave-down"),
                then(back, name="back"),
                then(Elapse(seconds=10), name="time-to-connect"),
                _copied(),
            ),
            demand=[COPIED.equals(0)],
            gates=QUIET.model_copy(update={"preconditions": READ}),
            why="with its right address the same master must be replicated",
        ),
    )


@guarantee("green-console-proves-replication")
def test_a_list_of_brokers_shows_that_nothing_is_replicated(scenario: Prover) -> None:
    """A slave that has been cut off from its master for more than two minutes has left the list of brokers."""
    cut = Partition(sources=master(0), sinks=slave(0))
    scenario(
        cluster=AS_DEPLOYED,
        load=[LOAD],
        steps=plan(
            then(ENOUGH, name="loaded"),
            then(cut, name="broken"),
            then(Elapse(seconds=EXPIRY_S), name="time-to-notice"),
            _copied(),
            then(Registered(target=slave(0)), name="listed"),
            heal("broken"),
        ),
        demand=[observed("listed.yes").equals(0), *KEPT],
        gates=QUIET.model_copy(update={"preconditions": (*READ, COPIED.equals(0))}),
        control=scenario.control(
            "replicated",
            cluster=AS_DEPLOYED,
            load=[LOAD],
            steps=plan(then(ENOUGH, name="loaded"), then(Registered(target=slave(0)), name="listed")),
            demand=[observed("listed.yes").equals(0)],
            gates=QUIET.model_copy(update={"faults_bite": False, "faults_heal": False}),
            why="a slave that is replicated is listed",
        ),
    )
