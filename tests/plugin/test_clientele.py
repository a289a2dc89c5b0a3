"""Several clients in one run: each is put to every suite function, and those that cannot be had are named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import clientele
from harness.core.errors import SetupError, UsageError
from harness.stored import load_session
from harness.topology import load_topology
from tests.plugin.conftest import SUITE, Inner, Stub
from tests.plugin.test_options import read

pytest_plugins = ["pytester"]

TRANSACTIONS = SUITE.replace("produce()", 'produce(mode="transaction")')


def test_one_client_is_filed_as_ever() -> None:
    (only,) = read("--topology=1m", "--client=remoting")
    assert (only.place, only.client, only.one_of_several, dict(only.absent)) == ("1m", "remoting", False, {})


def test_several_are_filed_apart() -> None:
    found = read(
        "--topology=1m", "--topology=2m-noslave", "--client=java:4.9.7", "--client=remoting", "--client=remoting"
    )
    assert [each.place for each in found] == [
        "1m@java-4.9.7",
        "1m@remoting",
        "2m-noslave@java-4.9.7",
        "2m-noslave@remoting",
    ]


def test_all_are_those_that_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clientele, "whose_library", lambda: "bundled")
    found = read("--topology=1m", "--client=all")
    assert [each.client for each in found] == ["java", "remoting", "cpp"]
    assert dict(found[0].absent) == {"grpc": "it talks to proxies, and 1m has none"}
    both = read("--topology=1m", "--topology=2m-2s-sync-proxy", "--client=all")
    assert [each.place for each in both if each.client == "grpc"] == ["2m-2s-sync-proxy@grpc"]
    assert dict(both[0].absent) == {"grpc on 1m": "it talks to proxies, and 1m has none"}
    monkeypatch.setattr(clientele, "whose_library", lambda: None)
    elsewhere = read("--topology=2m-2s-sync-proxy", "--client=all")
    assert [each.client for each in elsewhere] == ["java", "remoting", "grpc"]
    assert "carries its library for" in elsewhere[0].absent["cpp"]


def test_one_that_is_named_must_be_had() -> None:
    with pytest.raises(UsageError, match="--client grpc: it talks to proxies, and 1m has none: take"):
        read("--topology=1m", "--client=all", "--client=grpc")


def test_every_suite_function_is_run_once_per_client_and_each_has_its_row(inner: Inner, stub: Stub) -> None:
    ended = inner("--client=java", "--client=remoting")
    held = [row for row in ended.verdicts()["guarantees"] if row["verdict"] == "held"]
    assert [(row["topology"], row["client"]) for row in held] == [("1m", "java"), ("1m", "remoting")]
    assert [row["scenarios"][0]["name"] for row in held] == ["1m@java/kill", "1m@remoting/kill"]
    assert [each.client for each in stub.settings] == ["java", "remoting"]
    assert stub.clients == ("java", "remoting")
    assert ended.verdicts()["run"]["options"]["client"] == "java, remoting"
    assert "by client" in ended
    assert stub.equipped == 1


def test_such_a_run_is_judged_again_as_it_was(inner: Inner) -> None:
    ended = inner("--client=java", "--client=remoting")
    session, _, _ = load_session(ended.run)
    assert [(each.place, each.client) for each in session.settings.values()] == [
        ("1m@java", "java"),
        ("1m@remoting", "remoting"),
    ]


def test_what_a_client_cannot_be_told_is_not_tested_with_it_alone(inner: Inner) -> None:
    ended = inner("--client=java", "--client=remoting", suite=TRANSACTIONS)
    rows = [row for row in ended.verdicts()["guarantees"] if row["id"] == "process-kill-loses-nothing"]
    assert [(row["client"], row["verdict"]) for row in rows] == [("java", "held"), ("remoting", "not-tested")]
    assert "the remoting client has no transactions" in rows[1]["reason"]


def test_those_that_cannot_be_had_are_named_before_anything_else(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clientele, "whose_library", lambda: None)
    ended = inner("--client=all")
    assert "rmq-harness: no client grpc: it talks to proxies, and 1m has none" in ended
    assert "rmq-harness: no client cpp: its wheel carries its library for" in ended
    assert set(ended.verdicts()["run"]["options"]["absent_clients"]) == {"cpp", "grpc"}


def test_of_a_cluster_of_others_no_topology_is_to_be_taken() -> None:
    with pytest.raises(UsageError, match="none that --runtime existing would know of: take another client"):
        clientele.with_clients(["grpc"], [load_topology("1m")], ours=False)


def test_what_is_deselected_names_the_topology_and_not_where_it_is_filed(inner: Inner) -> None:
    other = SUITE.replace("process-kill-loses-nothing", "sync-master-ack-means-two-copies")
    ended = inner("--client=java", "--client=remoting", suite=SUITE + other.replace("test_kill", "test_other"))
    assert "1m@remoting: 1 suite function deselected (1: 1m does not promise what they judge)" in ended


def test_no_client_stands_for_another(stub: Stub) -> None:
    equipment = stub.equip(read("--topology=1m")[0], lambda _: None, ())
    several = replace(equipment, kits={"java": equipment.kit, "java:5.3.3": equipment.kit})
    assert several.kit_of("java:5.3.3") is equipment.kit
    with pytest.raises(SetupError, match=r"no client grpc was obtained for this run, only java, java:5\.3\.3"):
        several.kit_of("grpc")
