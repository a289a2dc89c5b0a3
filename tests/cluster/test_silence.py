"""Nameservers and brokers that answer nothing, over real sockets: silence is never absence, sameness or a wipe."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.faults import Kill, WipeWritePermission
from harness.wire.codes import RequestCode
from harness.workloads.probes import AwaitRoute, Probe, Registered, Same, Snapshot, Writable
from tests.cluster.conftest import MakeCluster, MemoryRuntime

WIPE = WipeWritePermission(target="master/0")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cluster.looks.LOOK_TIMEOUT_S", 0.2)


@pytest.fixture
def pair(make_cluster: MakeCluster) -> tuple[Cluster, MemoryRuntime]:
    cluster, runtime = make_cluster()
    cluster.start()
    return cluster, runtime


def silence(runtime: MemoryRuntime, *nodes: str) -> None:
    for node in nodes:
        runtime._hang(runtime.server(node), hang=True)


def run(probe: Probe, cluster: Cluster, seen: dict[str, Any] | None = None) -> Any:
    stage = SimpleNamespace(
        cluster=cluster,
        now_ns=time.monotonic_ns,
        instant=lambda fault, heal: time.monotonic_ns(),
        say=lambda text: None,
        recall=(seen or {}).get,
    )
    return probe.run(stage)  # type: ignore[arg-type]


def test_three_answers_are_told_apart(pair: tuple[Cluster, MemoryRuntime]) -> None:
    cluster, runtime = pair
    silence(runtime, "namesrv-2")
    runtime.server("namesrv-1").unregister("broker-a", 1)
    seen = [cluster.is_registered(ns, n) for ns in cluster.nameservers() for n in ("broker-a-0", "broker-a-1")]
    assert seen == [True, False, None, None]
    assert cluster.roles("namesrv-2") is None
    assert cluster.permissions("namesrv-2", "broker-a") is None
    assert set(cluster.permissions("namesrv-1", "broker-a") or ()) >= {"t"}
    assert cluster.permissions("namesrv-1", "broker-z") == {}


def test_a_nameserver_that_refuses_to_tell_a_route_has_not_denied_it(pair: tuple[Cluster, MemoryRuntime]) -> None:
    cluster, runtime = pair
    runtime.server("namesrv-1").refuses.add(RequestCode.GET_ROUTEINFO_BY_TOPIC)
    assert cluster.permissions("namesrv-1", "broker-a") is None
    assert "namesrv-1 does not answer for the routes of broker-a" in cluster.health().problems


def test_nothing_is_concluded_from_silence(pair: tuple[Cluster, MemoryRuntime]) -> None:
    cluster, runtime = pair
    silence(runtime, *cluster.nameservers())
    assert run(AwaitRoute(target="master/0", present=False, since="x", timeout_s=0.3), cluster)["all"] is None
    assert run(Registered(target="master/0"), cluster)["no"] is None
    seen = {name: run(Snapshot(), cluster) for name in ("first", "second")}
    assert seen["first"]["silent"] == list(cluster.nameservers())
    assert run(Same(first="first", second="second"), cluster, seen) is None
    assert not WIPE.bites(cluster)


class TestWipe:
    def test_it_bites_on_all_and_is_undone_on_all(self, pair: tuple[Cluster, MemoryRuntime]) -> None:
        cluster, _ = pair
        assert not WIPE.bites(cluster)
        WIPE.inject(cluster)
        assert WIPE.bites(cluster)
        WIPE.heal(cluster)
        assert not WIPE.bites(cluster)
        WIPE.await_recovery(cluster)

    @pytest.mark.parametrize("wiped", ["namesrv-1", "namesrv-2"])
    def test_on_one_nameserver_alone_it_does_not_bite(self, pair: tuple[Cluster, MemoryRuntime], wiped: str) -> None:
        cluster, _ = pair
        cluster.admin.wipe_write_perm(cluster.address(wiped), "broker-a")
        assert not WIPE.bites(cluster)

    def test_it_may_be_meant_for_one_nameserver_alone(self, pair: tuple[Cluster, MemoryRuntime]) -> None:
        cluster, _ = pair
        here = WipeWritePermission(target="master/0", on="nameserver/1")
        here.inject(cluster)
        assert here.bites(cluster)
        assert not WIPE.bites(cluster)
        assert run(Writable(target="master/0", on="nameserver/0"), cluster)["yes"] == 1
        assert run(Writable(target="master/0", on="nameserver/1"), cluster)["no"] == 1
        assert run(Writable(target="master/*"), cluster) == {"yes": 3, "no": 1, "unknown": 0, "silent": []}
        here.heal(cluster)
        here.await_recovery(cluster)
        assert not here.bites(cluster)

    def test_what_is_partly_writable_or_untold_is_neither(self, pair: tuple[Cluster, MemoryRuntime]) -> None:
        cluster, runtime = pair
        del runtime.server("namesrv-2").topics["t"]["broker-a"]
        nobody = {"yes": None, "no": None, "unknown": 1, "silent": []}
        assert run(Writable(target="master/0"), cluster) == nobody
        silence(runtime, "namesrv-2")
        assert run(Writable(target="master/0"), cluster) == nobody | {"silent": ["namesrv-2"]}

    def test_one_that_does_not_answer_does_not_confirm_it(self, pair: tuple[Cluster, MemoryRuntime]) -> None:
        cluster, runtime = pair
        WIPE.inject(cluster)
        silence(runtime, "namesrv-2")
        assert not WIPE.bites(cluster)

    def test_a_topic_that_is_not_routed_at_all_is_not_wiped(self, pair: tuple[Cluster, MemoryRuntime]) -> None:
        cluster, runtime = pair
        WIPE.inject(cluster)
        del runtime.server("namesrv-2").topics["t"]["broker-a"]
        assert not WIPE.bites(cluster)


def test_a_silent_broker_is_not_a_killed_one(pair: tuple[Cluster, MemoryRuntime]) -> None:
    cluster, runtime = pair
    kill = Kill(target="master/0")
    silence(runtime, "broker-a-0")
    assert not kill.bites(cluster)
    kill.inject(cluster)
    assert kill.bites(cluster)


@pytest.mark.parametrize(
    ("version", "dear"),
    [("5.3.3", 0), ("4.9.7", 2)],
)
def test_where_a_log_ends_is_asked_at_the_least_cost(make_cluster: MakeCluster, version: str, dear: int) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version=version)
    cluster.start()
    asked: list[int] = []
    for node in cluster.brokers():
        broker = runtime.server(node)
        handle = broker.handle
        if version.startswith("4"):
            broker.misbehaviour.answers[RequestCode.GET_BROKER_HA_STATUS] = (3, "request type 907 not supported")
        broker.handle = lambda c, frame, handle=handle: (asked.append(frame.code), handle(c, frame))
    assert cluster.lag_bytes("broker-a") == {"broker-a-1": 0}
    assert asked.count(RequestCode.GET_BROKER_RUNTIME_INFO) == dear
    silence(runtime, "broker-a-1")
    assert cluster.lag_bytes("broker-a") == {"broker-a-1": None}


def test_a_figure_that_is_not_told_is_not_zero(pair: tuple[Cluster, MemoryRuntime]) -> None:
    cluster, runtime = pair
    wrong = runtime.server("broker-a-0").misbehaviour
    assert cluster.looks.dispatch_behind("broker-a-0") == 0
    wrong.dispatch_behind = None
    assert cluster.looks.dispatch_behind("broker-a-0") is None
    wrong.hang = True
    assert cluster.looks.dispatch_behind("broker-a-0") is None
    assert cluster.looks.log_end("broker-a-0") is None
