"""What somebody else does to the cluster meanwhile, or a hook beside what it is for: no verdict comes of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.adopted import Adopted
from harness.core.errors import FaultError, UsageError
from harness.core.verdict import Verdict
from harness.faults import Injector, Kill, Pause, Stop
from harness.foreign import targets_of
from harness.planning import cluster_plan
from harness.runtime.base import ProcessState
from harness.runtime.existing import ExistingRuntime
from harness.runtime.hooks import Hooks, Target
from harness.sharing import under
from harness.suite import SendDirect, master, then
from harness.wire.codes import RequestCode
from tests.existing.conftest import TheirBroker, Theirs
from tests.existing.test_run import Site, calm
from tests.existing.test_runtime import opened
from tests.fakes.nameserver import FakeNameServer

ALL = dict.fromkeys(("kill", "start", "stop", "pause", "resume"), "true")
Acts = dict[str, Callable[[str], object]]


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    """Hook -> what it does to the node of that name, instead of a command."""
    does: Acts = {}
    monkeypatch.setattr(Hooks, "run", lambda _self, name, target: does.get(name, lambda _node: None)(target.node))
    return does


def during(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Any:
    """A scenario in the midst of which something happens."""
    look = SendDirect.run
    monkeypatch.setattr(SendDirect, "run", lambda self, stage: (act(), look(self, stage))[1])
    return calm(then(SendDirect(target=master(0), count=1), name="sent"))


def test_a_broker_that_somebody_else_restarts_makes_it_inconclusive(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = theirs()
    broker = cluster.brokers["broker-a-0"]
    site = Site(cluster, tmp_path)
    result = site.run(during(monkeypatch, lambda: setattr(broker, "born", broker.born + 1)))
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert "broker-a-0 was started anew meanwhile, and not by this run" in result.trouble
    assert cluster.names() == set()


def test_a_broker_that_somebody_else_configures_makes_it_inconclusive_and_no_value_is_told(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = theirs()
    site = Site(cluster, tmp_path)
    config = cluster.brokers["broker-a-0"].config
    result = site.run(during(monkeypatch, lambda: config.update(transientStorePoolEnable="s3cret")))
    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert "configured otherwise than before (transientStorePoolEnable)" in result.trouble
    assert "s3cret" not in result.trouble


def injector(site: Site, tmp_path: Path) -> Injector:
    """Of a cluster that is taken, with hooks."""
    found = site.settings.found
    assert found is not None
    runtime = ExistingRuntime.open(
        targets_of(found), ALL, run_id="r", evidence=tmp_path / "e", work_dir=tmp_path / "w", state_dir=tmp_path / "s"
    )
    plan = cluster_plan(under(calm(), "rmqh-0a1b2c-1-"), site.settings, site.equipment.release, site.equipment.jre)
    cluster = Adopted(plan, runtime, "r")
    cluster.start()
    return Injector(cluster, lambda *_a, **_k: None)


@pytest.fixture
def made(theirs: Theirs, tmp_path: Path) -> Any:
    cluster = theirs("broker-a", "broker-b")
    injecting = injector(Site(cluster, tmp_path), tmp_path)
    yield injecting, cluster.brokers
    for broker in cluster.brokers.values():
        if broker._thread is None or not broker._thread.is_alive():
            broker.again()
    injecting._cluster.close()


def test_a_node_that_its_supervisor_starts_again_is_no_outage(made: Any, acts: Acts) -> None:
    injecting, brokers = made
    acts["kill"] = lambda node: brokers[node].stop()
    injecting.inject("k", Kill(target=master(0)))
    brokers["broker-a-0"].again()
    with pytest.raises(FaultError, match=r"broker-a-0 came back before it was healed.*starting it again"):
        injecting.heal("k")
    assert injecting.heal_all() == ()


def test_a_lasting_one_too(made: Any, acts: Acts) -> None:
    injecting, brokers = made
    acts["kill"] = lambda node: brokers[node].stop()
    injecting.inject("k", Kill(target=master(0), lasting=True))
    injecting.refuse_undone()
    brokers["broker-a-0"].again()
    with pytest.raises(FaultError, match="came back before it was healed"):
        injecting.refuse_undone()


def test_a_hook_that_ends_another_node_as_well_is_told_of(made: Any, acts: Acts) -> None:
    injecting, brokers = made
    acts["kill"] = lambda _node: [broker.stop() for broker in brokers.values()]
    with pytest.raises(FaultError, match=r"hook kill for broker-a-0 hurt broker-b-0 as well.*see that it runs again"):
        injecting.inject("k", Kill(target=master(0)))
    acts["start"] = lambda node: brokers[node].again()
    assert injecting.heal_all() == ()


def test_a_kill_of_which_nobody_knows_when_it_came_is_refused_and_a_stop_may_take_its_time(
    made: Any, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    injecting, brokers = made
    monkeypatch.setattr("harness.runtime.existing.PROMPT_S", 0.05)
    acts["start"] = lambda node: brokers[node].again()
    acts["kill"] = acts["stop"] = lambda node: (threading.Event().wait(0.1), brokers[node].stop())
    with pytest.raises(FaultError, match=r"hook kill for broker-a-0 took 0.\d s, so that nobody knows when"):
        injecting.inject("k", Kill(target=master(0)))
    assert injecting.heal_all() == ()
    injecting.inject("s", Stop(target=master(0)))
    injecting.heal("s")


def test_nor_is_a_pause_of_more_than_one_node_an_outage_of_one(made: Any, acts: Acts) -> None:
    injecting, brokers = made

    def hang(on: bool) -> None:
        for broker in brokers.values():
            broker.misbehaviour.hang = on

    acts["pause"] = lambda _node: hang(True)
    acts["resume"] = lambda _node: hang(False)
    with pytest.raises(FaultError, match=r"hook pause for broker-a-0 hurt broker-b-0 as well"):
        injecting.inject("p", Pause(target=master(0)))
    assert injecting.heal_all() == ()
    assert injecting._cluster.runtime.hurt() == {}


def test_a_port_that_refuses_and_comes_back_with_the_same_process_was_no_kill(made: Any, acts: Acts) -> None:
    injecting, brokers = made
    acts["kill"] = lambda node: brokers[node].stop()
    acts["start"] = lambda node: brokers[node].again()
    injecting.inject("k", Kill(target=master(0)))
    injecting.heal("k")
    injecting._cluster.refuse_disturbed()
    brokers["broker-a-0"].born -= 1000
    with pytest.raises(FaultError, match="broker-a-0 is the very process that a hook was to end"):
        injecting._cluster.refuse_disturbed()


def test_what_could_not_be_mended_is_told_when_the_cluster_is_left(made: Any, acts: Acts) -> None:
    injecting, brokers = made
    said: list[str] = []
    injecting._cluster._journal.progress = said.append
    acts["kill"] = lambda node: brokers[node].stop()

    def interrupted(_node: str) -> None:
        raise KeyboardInterrupt

    acts["start"] = interrupted
    injecting.inject("k", Kill(target=master(0)))
    with pytest.raises(KeyboardInterrupt):
        injecting.heal_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.cluster.adopted.remove", lambda *_: [])
        injecting._cluster.close()
    assert any("LEFT HURT: broker-a-0, by hook kill; start it by hand" in text for text in said), said


def test_a_nameserver_that_a_hook_did_not_pause_runs_also_where_it_leaves_unknown_requests_unanswered(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nameservers of 4.x do (`DefaultRequestProcessor`, which returns null)."""
    nameserver = theirs().nameservers[0]
    known = (RequestCode.GET_BROKER_CLUSTER_INFO, RequestCode.GET_ROUTEINFO_BY_TOPIC)
    answer = FakeNameServer.handle
    monkeypatch.setattr(
        FakeNameServer, "handle", lambda self, c, frame: answer(self, c, frame) if frame.code in known else None
    )
    target = Target("namesrv-1", nameserver.address, "", "")
    runtime = opened(tmp_path, {"namesrv-1": target}, {"pause": "true", "resume": "true"})
    runtime.add_node("namesrv-1")
    runtime.signal("namesrv-1", signal.SIGSTOP)
    assert runtime.state("namesrv-1").kind == "running", "the hook did nothing"
    assert runtime.hurt() == {}
    nameserver.hang = True
    assert runtime.state("namesrv-1").kind == "stopped"
    runtime.close()


def test_a_hook_that_resumes_nothing_leaves_its_node_hurt(theirs: Theirs, tmp_path: Path) -> None:
    broker = theirs().brokers["broker-a-0"]
    runtime = opened(tmp_path, {"b": Target("b", broker.address, "broker-a", "0")}, {"pause": "true", "resume": "true"})
    runtime.add_node("b")
    runtime.signal("b", signal.SIGSTOP)
    assert runtime.hurt() == {}, "it was not hurt"
    broker.misbehaviour.hang = True
    runtime.signal("b", signal.SIGCONT)
    assert runtime.hurt() == {"b": "pause"}
    broker.misbehaviour.hang = False
    assert runtime.hurt() == {}
    runtime.close()


def test_what_has_the_prefix_already_is_somebody_elses_and_stays(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = theirs()
    monkeypatch.setattr("harness.lodging.prefix_of_run", lambda *_: "rmqh-0a1b2c-1-")
    cluster.brokers["broker-a-0"].create_topic("rmqh-0a1b2c-1-topic-0", 1)
    site = Site(cluster, tmp_path)
    with pytest.raises(UsageError, match="rmqh-0a1b2c-1-topic-0 is there already"):
        site.run(calm())
    assert cluster.names() == {"rmqh-0a1b2c-1-topic-0"}
    assert site.notes == []


def test_a_machine_that_stands_still_is_continued_though_it_was_never_seen_to_answer_nothing(
    made: Any, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    injecting, _brokers = made
    silent = [False]
    state = ExistingRuntime.state
    monkeypatch.setattr("harness.faults.base.BITE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(
        ExistingRuntime,
        "state",
        lambda self, node: ProcessState("absent") if silent[0] and node == "broker-a-0" else state(self, node),
    )
    resumed: list[str] = []
    acts["pause"] = lambda _node: silent.__setitem__(0, True)
    acts["resume"] = resumed.append
    with pytest.raises(FaultError, match="did not bite"):
        injecting.inject("p", Pause(target=master(0)))
    assert injecting.heal_all() == ()
    assert resumed == ["broker-a-0"]


def test_a_node_that_is_silent_was_not_never_started(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    injecting, _brokers = made
    monkeypatch.setattr(ExistingRuntime, "state", lambda *_: ProcessState("absent"))
    assert "broker-a-0 takes no connection" in injecting._cluster.health().problems


def test_one_that_stands_still_and_whose_connections_queue_is_full_is_still_stopped(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker: TheirBroker = theirs().brokers["broker-a-0"]
    runtime = opened(tmp_path, {"b": Target("b", broker.address, "broker-a", "0")}, {"pause": "true", "resume": "true"})
    runtime.add_node("b")
    runtime.signal("b", signal.SIGSTOP)
    broker.misbehaviour.hang = True
    assert runtime.state("b").kind == "stopped"

    def full(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("harness.runtime.existing.socket.create_connection", full)
    assert runtime.state("b").alive, "else nobody would continue it"
    runtime.signal("b", signal.SIGCONT)
    assert runtime.state("b").kind == "absent"
    monkeypatch.undo()
    runtime.close()
