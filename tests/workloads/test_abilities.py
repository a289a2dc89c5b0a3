"""What a client cannot be told is said before a cluster is started, and nothing of it is judged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness import askable
from harness.core.errors import ClientLacks
from harness.faults import Kill, master
from harness.prover import NotTested, Prover, SuiteFunction
from harness.scenario import ClusterNeeds, Scenario, at, forbid, metric, plan, rules, then
from harness.settings import Settings
from harness.topology import load_topology
from harness.workloads.abilities import lacks
from harness.workloads.load import Load, consume, produce
from harness.workloads.probes import StartLoad


@pytest.mark.parametrize(
    "load",
    [
        produce(),
        produce(mode="orderly", threads=2),
        produce(mode="oneway"),
        produce(mode="transaction"),
        produce(delay_level=3),
        produce(wait_store=False, wait_route=False, body_bytes=100_000),
        consume(3),
        consume(listener="orderly", fail_every=3, fail_attempts=2),
        consume(2, model="broadcasting"),
        consume(wait_assignment=False),
    ],
    ids=str,
)
def test_what_every_client_but_the_reader_can_do(load: Load) -> None:
    assert [lacks(client, load, 1) for client in ("java", "cpp")] == [None, None]


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (produce(mode="async"), "no asynchronous send"),
        (produce(mode="transaction", threads=2), "one local transaction at a time"),
        (produce(retries=0), "how often to try a send again (0 is asked for)"),
        (produce(only_brokers=(0,)), "a queue of one's choice"),
        (produce(poll_nameserver_ms=1000), "every 30 s"),
        (consume(poll_nameserver_ms=1000), "every 30 s"),
        (consume(retry_level=3), "after which delay"),
        (consume(max_reconsume=2), "how often a refused message"),
    ],
    ids=str,
)
def test_what_the_cpp_client_cannot_be_told(load: Load, words: str) -> None:
    assert words in str(lacks("cpp", load, 1))
    assert lacks("java", load, 1) is None


def test_the_cpp_client_needs_one_broker_name() -> None:
    assert "needs one broker name" in str(lacks("cpp", produce(), 2))
    assert lacks("java", produce(), 2) is None


def test_a_cpp_client_that_broadcasts_must_be_there_before_the_first_message() -> None:
    everything = consume(2, model="broadcasting")
    assert "begins at the last message" in str(lacks("cpp", everything, 1, later=True))
    assert lacks("java", everything, 1, later=True) is None
    assert lacks("cpp", consume(2), 1, later=True) is None


def test_the_remoting_client_has_no_transactions() -> None:
    assert lacks("remoting", produce(mode="transaction"), 1) == "the remoting client has no transactions"


def test_a_load_that_names_a_client_is_for_that_one_alone() -> None:
    assert lacks("java", produce(client="java"), 1) is None
    assert lacks("cpp", produce(client="java"), 1) == "it is for the java client, and this run has the cpp client"


def scenario(**more: Any) -> Scenario:
    steps = plan(at(1, Kill(target=master(0)), until=2))
    return Scenario(**{"name": "s", "load": (produce(2),), "steps": steps, "rules": rules(forbid("lost")), **more})


def test_what_a_step_starts_is_looked_at_too_and_as_what_comes_later() -> None:
    late = plan(then(StartLoad(load=(consume(name="late", model="broadcasting"),)), name="late"))
    with pytest.raises(ClientLacks, match="scenario s, load 'late': a cpp client that broadcasts begins at the last"):
        askable.check_client(scenario(steps=late), load_topology("1m"), "cpp")


def test_it_is_the_topology_of_the_scenario_that_counts_and_the_name_of_the_client_alone() -> None:
    elsewhere = scenario(cluster=ClusterNeeds(topology="2m-noslave"))
    with pytest.raises(ClientLacks, match="needs one broker name"):
        askable.check_client(elsewhere, load_topology("1m"), "cpp")
    askable.check_client(elsewhere, load_topology("1m"), "java:4.9.7")


@pytest.mark.parametrize(
    "demand",
    [
        forbid("lost-inside"),
        forbid("reordered-store"),
        metric("found", anomaly="reordered").equals(0),
        metric("queue_share_deviation") < 0.1,
        metric("rerouted_s", window="kill") < 3,
    ],
    ids=str,
)
def test_what_the_client_does_not_tell_is_not_demanded_of_it(demand: Any) -> None:
    asked = scenario(rules=rules(forbid("lost"), demand))
    with pytest.raises(
        ClientLacks, match=r"cannot be judged: the cpp client does not tell (queue and offset|its route)"
    ):
        askable.check_client(asked, load_topology("1m"), "cpp")
    askable.check_client(asked, load_topology("1m"), "java:5.3.3")


@pytest.mark.parametrize("name", ["unacknowledged", "unacknowledged_in", "unacknowledged_begun_in", "unknown"])
def test_that_every_send_is_acknowledged_is_not_demanded_of_a_client_that_gives_up_some(name: str) -> None:
    asked = scenario(rules=rules(forbid("lost"), metric(name).equals(0)))
    with pytest.raises(ClientLacks, match=f"{name} cannot be judged: the cpp client gives up a few sends of thousands"):
        askable.check_client(asked, load_topology("1m"), "cpp")
    askable.check_client(asked, load_topology("1m"), "java:5.3.3")


@pytest.mark.parametrize("of_the_control", [False, True])
def test_such_a_row_is_not_tested_with_the_reason_and_lacks_no_capability(
    monkeypatch: pytest.MonkeyPatch, of_the_control: bool
) -> None:
    monkeypatch.setattr("harness.prover.run_scenario", lambda *_: pytest.fail("a cluster was started"))
    session = SimpleNamespace(equipment=SimpleNamespace(release=SimpleNamespace(version=None)), seed=1)
    settings = Settings(load_topology("1m"), client="cpp")
    suite = SuiteFunction("s", "claim", ("process-kill-loses-nothing",))
    prover = Prover(suite, session, settings, lambda _text: None)  # type: ignore[arg-type]
    once, again = scenario(load=(produce(2, retries=0),)), scenario()
    control = prover.control("c", demand=[forbid("lost")], load=(produce(2, retries=0),), steps=once.steps)
    with pytest.raises(NotTested, match="how often to try a send again"):
        prover.prove(again if of_the_control else once, control if of_the_control else None)
    assert (prover.outcome.missing, prover.outcome.broke_off) == (None, "")
    verdict, reason = prover.outcome.verdict()
    assert verdict.value == "not-tested"
    assert "the cpp client cannot be told how often" in reason


@pytest.mark.parametrize(
    ("client", "waits_by"), [("java:4.9.7", "fast"), ("cpp", "documented"), ("grpc", "documented")]
)
def test_suites_wait_for_a_client_by_its_own_timers(client: str, waits_by: str) -> None:
    session = SimpleNamespace(equipment=SimpleNamespace(release=SimpleNamespace(version=None)), seed=1)
    settings = Settings(load_topology("1m"), client=client)
    prover = Prover(SuiteFunction("s", "", ()), session, settings, lambda _text: None)  # type: ignore[arg-type]
    assert (prover.timers, prover.client_timers) == ("fast", waits_by)
