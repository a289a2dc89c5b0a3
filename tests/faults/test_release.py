"""A node that is moved to another release keeps its store, and what changed in its file is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.core.errors import FaultError
from harness.core.version import Version
from harness.distribution.release import Release
from harness.faults import ChangeRelease, Injector, master
from harness.faults.restart import RestartFailed
from harness.planning import deviations_of
from harness.runtime.base import DiskUsage, ProcessState
from tests.cluster.conftest import MakeCluster

JARS = (Path("/jars/c.jar"),)
NEXT = Release("5.3.3", Version.parse("5.3.3"), JARS)


def says(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, answer: str | None = None) -> None:
    """Every broker says which version it is: the one that it was given last, or whatever the answer is."""

    def info(_looks: object, node: str) -> dict[str, str]:
        told = "V" + str(cluster.outfit(node).version).replace(".", "_")
        return {"brokerVersionDesc": told if answer is None else answer, "x": "y"}

    monkeypatch.setattr("harness.cluster.looks.Looks.runtime_info", info)


def test_there_and_back(make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="4.9.7", upgrade=NEXT)
    cluster.start()
    says(monkeypatch, cluster)
    runtime.files["broker-a-1", "store/commitlog/0"] = b"what was stored"
    seen: list[tuple[str, str, dict[str, object]]] = []
    injector = Injector(cluster, lambda name, action, **more: seen.append((name, action, more.get("detail") or {})))
    change = ChangeRelease(target="slave/0", await_health=False)
    injector.inject("up", change)
    assert runtime.state("broker-a-1") == ProcessState("exited", 143), "stopped as mqshutdown does"
    injector.heal("up")
    assert cluster.outfit("broker-a-1").release == NEXT
    assert cluster.outfit("broker-a-0").version == Version.parse("4.9.7"), "nobody else is touched"
    assert runtime.state("broker-a-1").kind == "running"
    assert runtime.files["broker-a-1", "store/commitlog/0"] == b"what was stored"
    assert b"inSyncReplicas=2" in runtime.files["broker-a-1", "conf/broker.conf"]
    healed = next(detail for name, action, detail in seen if (name, action) == ("up", "recovered"))
    assert healed["to"] == {"broker-a-1": "5.3.3"}
    assert healed["says"] == {"broker-a-1": "V5_3_3"}
    assert healed["conf"]["broker-a-1"]["inSyncReplicas"] == ["", "2"]
    back = ChangeRelease(target="slave/0", to="first", await_health=False)
    injector.inject("back", back)
    injector.heal("back")
    assert cluster.outfit("broker-a-1").version == Version.parse("4.9.7")
    conf = runtime.files["broker-a-1", "conf/broker.conf"]
    assert b"inSyncReplicas" not in conf
    assert b"haMasterAddress" not in conf, "it attaches as the product has it, not as a bring-up wants it"


def test_one_that_has_the_release_already_is_no_change(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m", version="4.9.7", upgrade=NEXT)
    cluster.start()
    with pytest.raises(FaultError, match=r"broker-a-0 runs 4\.9\.7 already"):
        ChangeRelease(target=master(0), to="first").inject(cluster)
    assert runtime.state("broker-a-0").kind == "running", "it was not even stopped"


def test_without_a_second_release_nothing_is_stopped(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m", version="4.9.7")
    cluster.start()
    with pytest.raises(FaultError, match="--upgrade-from and --upgrade-to"):
        ChangeRelease(target=master(0)).inject(cluster)
    assert runtime.state("broker-a-0").kind == "running"


def test_one_that_dies_under_the_other_release_is_told(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m", version="4.9.7", upgrade=NEXT)
    cluster.start()
    change = ChangeRelease(target=master(0))
    change.inject(cluster)
    runtime.dies["broker-a-0"] = "Unsupported store format"
    runtime.disk_usage = lambda _node: DiskUsage(1 << 30, 9 << 30)
    with pytest.raises(RestartFailed, match="Unsupported store format"):
        change.heal(cluster)


@pytest.mark.parametrize("answer", ["V4_9_7", ""])
def test_a_broker_that_says_it_is_another_was_not_changed(
    make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    cluster, _runtime = make_cluster(topology="1m", version="4.9.7", upgrade=NEXT)
    cluster.start()
    change = ChangeRelease(target=master(0), await_health=False)
    change.inject(cluster)
    change.heal(cluster)
    says(monkeypatch, cluster, answer)
    with pytest.raises(FaultError, match=r"was given 5\.3\.3 and says that it is (V4_9_7|nothing)"):
        change.await_recovery(cluster)


def test_what_a_candidate_says_is_recorded(make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what it should say: a build need not have a version of its own."""
    candidate = Release("path:build", Version.parse("5.4.0"), JARS, home=Path("/build"))
    cluster, _runtime = make_cluster(topology="1m", version="4.9.7", upgrade=candidate)
    cluster.start()
    change = ChangeRelease(target=master(0), await_health=False)
    change.inject(cluster)
    change.heal(cluster)
    says(monkeypatch, cluster, "V5_3_3")
    assert change.await_recovery(cluster)["says"] == {"broker-a-0": "V5_3_3"}


def test_the_settings_of_both_releases_are_told(make_cluster: MakeCluster) -> None:
    cluster, _runtime = make_cluster(topology="1m-1s-sync", version="4.9.7", upgrade=NEXT)
    cluster.start()
    for to in ("upgrade", "first"):
        change = ChangeRelease(target="slave/0", to=to, await_health=False)  # type: ignore[arg-type]
        change.inject(cluster)
        change.heal(cluster)
    assert "inSyncReplicas" in {key for key, *_ in deviations_of(cluster)}, "although it runs the first one again"
