"""Scenarios on a cluster of others, with real workers: what is made there, and that it is gone again."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import adopted, notes
from harness.cluster.discovery import discover
from harness.cluster.notes import Note, clean_notes
from harness.core.errors import WaitTimeout
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.foreign import targets_of
from harness.lodging import Equipment
from harness.runner import run_scenario
from harness.runtime.existing import ExistingRuntime, missing_here
from harness.runtime.owner import ProcessMark, boot_id
from harness.scenario import Scenario
from harness.settings import Settings
from harness.suite import AwaitCount, Gates, SendDirect, forbid, master, plan, produce, rules, slave, then
from harness.topology import Role, load_topology
from harness.topology.found import Found
from harness.workloads.crew import ClientKit
from tests.existing.conftest import TheirCluster, Theirs

ENOUGH = AwaitCount(who="p", what="ok", at_least=300, from_start=True, timeout_s=30)
UNHURT = Gates(min_acked=200, in_flight_at_fault=False, faults_bite=False, faults_heal=False, min_acked_before_fault=0)


def calm(*more: Any) -> Scenario:
    return Scenario(
        name="calm",
        load=(produce(1, rate=300),),
        steps=plan(then(ENOUGH, name="loaded"), *more),
        rules=rules(forbid("lost", replicas="master"), forbid("phantom"), gates=UNHURT),
    )


class Site:
    """A run on such a cluster."""

    def __init__(self, cluster: TheirCluster, base: Path, hooks: dict[str, str] | None = None) -> None:
        found = discover(cluster.namesrv)
        jre = Jre("unknown", 0, "unknown", "", Path(), Path(), Path())
        self.cluster, self.base, self.said = cluster, base, []  # type: ignore[var-annotated]
        self.settings = Settings(
            found.topology, str(found.version), "unknown", runtime="existing", found=found, timers="documented",
            reports=base / "reports", state=base / "state",
        )  # fmt: skip
        self.equipment = Equipment(
            release=Release(str(found.version), found.version),
            jre=jre,
            kit=ClientKit("remoting", "4.9.7", (), jre),
            capabilities=missing_here(hooks or {}),
            open_runtime=partial(ExistingRuntime.open, targets_of(found), hooks or {}),
        )

    def run(self, scenario: Scenario, name: str = "calm") -> Any:
        return run_scenario(scenario, self.settings, self.equipment, self.base / name, self.said.append)

    @property
    def notes(self) -> list[Note]:
        return list(notes.notes(self.base / "state" / "foreign"))


def test_a_scenario_holds_and_leaves_nothing(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs("broker-a", "broker-b", slaves=1, nameservers=2)
    cluster.brokers["broker-a-0"].create_topic("theirs", 2)
    cluster.brokers["broker-a-0"].known_groups.add("their-group")
    before = cluster.names()
    site = Site(cluster, tmp_path)
    seen: list[set[str]] = []
    look = adopted.Adopted.close
    adopted_names = lambda self: (seen.append(cluster.names()), look(self))  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adopted.Adopted, "close", adopted_names)
        result = site.run(calm(then(SendDirect(target=slave(0), count=3), name="sent")))
    assert result.judgement.verdict is Verdict.HELD, (result.trouble, result.judgement.reason)
    made = seen[0] - before
    token = site.equipment.token
    assert made == {f"rmqh-{token}-1-topic-0", f"rmqh-{token}-1-rmq-harness-probe"}
    assert cluster.names() == before
    assert [broker.changes for broker in cluster.brokers.values()] == [0] * 4, "nothing of theirs was configured"
    assert site.notes == []
    assert list((tmp_path / "state" / "work").iterdir()) == []
    assert result.deviations == ()


def test_slaves_that_refuse_reads_are_left_alone_and_told(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs(slaves=1, version="5.3.3")
    cluster.brokers["broker-a-1"].config["slaveReadEnable"] = "false"
    site = Site(cluster, tmp_path)
    result = site.run(calm())
    assert result.judgement.verdict is Verdict.HELD, (result.trouble, result.judgement.reason)
    assert cluster.brokers["broker-a-1"].config["slaveReadEnable"] == "false"
    assert cluster.brokers["broker-a-1"].changes == 0
    text = "".join(path.read_text() for path in (tmp_path / "calm/history").glob("*.jsonl"))
    assert "refuses reads, and its owner alone may change that" in text


def test_what_went_wrong_names_nodes_and_no_host(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = theirs()
    broker = cluster.brokers["broker-a-0"]
    site = Site(cluster, tmp_path)

    def gone(*_: object, **__: object) -> None:
        raise WaitTimeout(f"waited for broker-a-0 to listen on {broker.address}; no connection to {broker.address}.")

    monkeypatch.setattr("harness.workloads.probes.sends.SendDirect.run", gone)
    result = site.run(calm(then(SendDirect(target=master(0), count=1), name="sent")))
    assert "127.0.0.1" not in result.judgement.reason + (tmp_path / "calm/result.json").read_text()
    assert result.trouble == "waited for broker-a-0 to listen on broker-a-0; no connection to broker-a-0."


def test_of_hosts_whose_names_begin_alike_each_is_its_own() -> None:
    places = {"namesrv-1": "10.0.0.5:9876", "a-0": "10.0.0.5:10911", "a-1": "10.0.0.55:10911", "b-0": "mq:109"}
    found = Found(load_topology("1m"), Version.parse("4.9.7"), places)
    told = "10.0.0.5:10911, 10.0.0.55:10911 and 10.0.0.5:10912; not 210.0.0.5 nor mq.example, but mq:109"
    assert found.nameless(told) == "a-0, a-1 and (host):10912; not 210.0.0.5 nor mq.example, but b-0"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_breaks_off_a_run_leaves_nothing_either(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    cluster = theirs()
    site = Site(cluster, tmp_path)

    def interrupted(*_: object, **__: object) -> None:
        assert cluster.names(), "it was under way"
        raise error

    monkeypatch.setattr("harness.workloads.probes.sends.SendDirect.run", interrupted)
    with pytest.raises(error):
        site.run(calm(then(SendDirect(target=master(0), count=1), name="sent")))
    assert cluster.names() == set()
    assert site.notes == []
    assert list((tmp_path / "state" / "work").iterdir()) == []


def test_what_cannot_be_removed_is_told_and_noted_until_it_can(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = theirs("broker-a", nameservers=2)
    site = Site(cluster, tmp_path)
    broker = cluster.brokers["broker-a-0"]
    monkeypatch.setattr(adopted, "remove", lambda admin, note: notes.remove(admin, note, timeout_s=0.1))
    delete = broker._delete_topic
    monkeypatch.setattr("tests.fakes.broker._HANDLERS", {**_handlers(), 215: lambda self, c, f: c.reply(f, 16)})
    site.run(calm())
    assert any("left on the cluster" in text and "rmq-harness clean" in text for text in site.said)
    (note,) = site.notes
    assert note.prefix.startswith("rmqh-")
    said: list[str] = []
    directory = tmp_path / "state" / "foreign"
    assert clean_notes(directory, said.append, timeout_s=0.1), "this process lives: it is not to be touched"
    assert said == []
    notes.write(directory, _of_the_dead(note))
    assert not clean_notes(directory, said.append, timeout_s=0.1)
    assert "NOT removed" in said[0]
    monkeypatch.undo()
    assert delete is not None
    assert clean_notes(directory, said.append, timeout_s=5)
    assert cluster.names() == set()
    assert site.notes == []


def test_groups_and_what_the_product_makes_of_them_go_too(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs(slaves=1)
    master_ = cluster.brokers["broker-a-0"]
    word = "rmqh-0a1b2c-1-"
    for topic in (f"{word}topic-0", f"%RETRY%{word}g", f"%DLQ%{word}g", "rmqh-0a1b2c-10-topic-0", "%RETRY%g"):
        master_.create_topic(topic, 1)
    master_.known_groups |= {f"{word}g", "g"}
    slave_ = cluster.brokers["broker-a-1"]
    slave_.topics, slave_.known_groups = dict(master_.topics), set(master_.known_groups)
    found = discover(cluster.namesrv)
    of = {role: [found.places[n.name] for n in found.topology.of_role(role)] for role in Role}
    note = notes.noted("r", word, of[Role.NAMESERVER], of[Role.MASTER], of[Role.SLAVE])
    notes.write(tmp_path, _of_the_dead(note))
    assert clean_notes(tmp_path, lambda _: None, timeout_s=10)
    assert cluster.names() == {"rmqh-0a1b2c-10-topic-0", "%RETRY%g", "g"}


def test_a_cluster_that_is_gone_keeps_its_note(theirs: Theirs, tmp_path: Path) -> None:
    cluster = theirs()
    note = notes.noted("r", "rmqh-0a1b2c-1-", cluster.namesrv, [cluster.brokers["broker-a-0"].address], [])
    notes.write(tmp_path, _of_the_dead(note))
    cluster.stop()
    said: list[str] = []
    assert not clean_notes(tmp_path, said.append, timeout_s=0.1)
    assert "does not tell what it has" in said[0]
    assert len(list(notes.notes(tmp_path))) == 1


def test_a_plan_without_a_prefix_is_refused(theirs: Theirs, tmp_path: Path) -> None:
    assert Version.parse("4.9.7")
    with pytest.raises(Exception, match="prefix"):
        adopted.Adopted(_plan_without_prefix(), None, "r")  # type: ignore[arg-type]


def _plan_without_prefix() -> Any:
    from harness.cluster import ClusterPlan

    release = Release("4.9.7", Version.parse("4.9.7"))
    return ClusterPlan(load_topology("1m"), release, Jre("u", 0, "u", "", Path(), Path(), Path()))


def _of_the_dead(note: Note) -> Note:
    from dataclasses import replace

    return replace(note, harness=ProcessMark(os.getpid(), 1), boot=boot_id())


def _handlers() -> dict[Any, Any]:
    from tests.fakes.broker import _HANDLERS

    return dict(_HANDLERS)
