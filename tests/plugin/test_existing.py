"""The options of a run on a cluster that is there, and what is refused beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import harness.equip
from harness import options, request
from harness.core.errors import UsageError
from harness.core.version import Version
from harness.plugin.beginning import _without_paths
from harness.provenance import options_json
from harness.runtime.base import NODE_KILL, POWER_CUT
from harness.runtime.existing import missing_here
from harness.settings import Settings
from harness.topology import load_topology
from harness.topology.found import Found
from tests.plugin.conftest import Inner, Stub
from tests.plugin.test_options import read as read_options

pytest_plugins = ["pytester"]
FOUND = Found(load_topology("1m").model_copy(update={"name": "existing"}), Version.parse("4.9.8"), {})
HOOKS = ("--hook", "kill=ssh s3cret", "--hook=start=b")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What nameservers discovery was asked of; it finds FOUND."""
    calls: list[list[str]] = []

    def discover(namesrv: list[str]) -> Found:
        calls.append(namesrv)
        return FOUND

    monkeypatch.setattr(request, "discover", discover)
    return calls


def read(*words: str) -> Settings:
    import argparse

    from tests.plugin.test_options import Group

    parser = argparse.ArgumentParser()
    options.add_options(Group(parser))
    values = parser.parse_args(["--runtime=existing", *words])
    (settings,) = request.settings_from(lambda name: getattr(values, name, None))
    return settings


def test_everything_follows_from_the_cluster(asked: list[list[str]]) -> None:
    settings = read("--namesrv=a:9876,10.0.0.5:9877", "--namesrv", "c:1;d:2", *HOOKS, "--timers=documented")
    assert asked == [["a:9876", "10.0.0.5:9877", "c:1", "d:2"]]
    assert (settings.topology.name, settings.rocketmq, settings.java) == ("existing", "4.9.8", "unknown")
    assert settings.timers == "documented"
    assert settings.hooks == {"kill": "ssh s3cret", "start": "b"}
    assert {POWER_CUT, NODE_KILL} <= settings.allow_missing


def test_environment_twins(asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQ_HARNESS_NAMESRV", "a:1,b:2")
    monkeypatch.setenv("RMQ_HARNESS_HOOK", "kill=a, b\nstart=c")
    assert read().hooks == {"kill": "a, b", "start": "c"}
    assert asked == [["a:1", "b:2"]]


def test_commands_are_neither_stored_nor_shown(asked: list[list[str]]) -> None:
    settings = read("--namesrv=a:1", *HOOKS)
    assert "s3cret" not in repr(settings)
    assert options_json(settings)["hooks"] == ["kill", "start"]
    assert settings.hooks["kill"] == "ssh s3cret", "it is there to be run"
    words = ["pytest", "suites", "--namesrv", "10.0.0.5:1", "--namesrv=10.0.0.6:1", *HOOKS, "--hook", "stop=ssh s3cret"]
    shown = " ".join(_without_paths(words))
    assert "s3cret" not in shown
    assert "10.0" not in shown
    assert shown == "pytest suites --namesrv ... --namesrv=... --hook kill=... --hook=start=... --hook stop=..."
    assert "hooks" not in options_json(read_options()[0])


@pytest.mark.parametrize(
    "word",
    [
        "--topology=1m",
        "--rocketmq=5.3.3",
        "--java=21",
        "--flush=sync",
        "--nameservers=2",
        "--broker-conf=a=b",
        "--namesrv-conf=a=b",
        "--jvm-opt=-Da=b",
        "--timers=fast",
        "--upgrade-from=4.9.7",
        "--upgrade-to=5.3.3",
        "--keep",
    ],
)
def test_what_a_cluster_is_to_be_cannot_be_asked_of_one_that_is(asked: list[list[str]], word: str) -> None:
    with pytest.raises(UsageError, match=f"^{word.partition('=')[0]} says what a cluster is to be"):
        read("--namesrv=a:1", word)
    assert asked == [], "nobody was asked anything yet"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs --namesrv HOST:PORT"),
        (["--namesrv=a"], "--namesrv 'a' is not HOST:PORT"),
        (["--namesrv=a:b"], "--namesrv 'a:b' is not HOST:PORT"),
        (["--namesrv=a:70000"], "is not HOST:PORT"),
        (["--namesrv=http://a:1"], "is not HOST:PORT"),
        (["--namesrv=a:1,a:1"], "given twice"),
        (["--namesrv=" + ",".join(f"a:{n}" for n in range(1, 11))], "9 at most"),
        (["--namesrv=a:1", "--hook=burn=x"], "--hook 'burn'"),
        (["--namesrv=a:1", "--allow-missing=flux"], "--allow-missing 'flux'"),
    ],
)
def test_a_wrong_value(asked: list[list[str]], words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        read(*words)
    assert said in str(error.value)
    assert asked == []


@pytest.mark.parametrize("word", ["--namesrv=a:1", "--hook=kill=x"])
def test_beside_nodes_of_our_own_they_mean_nothing(word: str) -> None:
    with pytest.raises(UsageError, match="add --runtime existing, or leave it out"):
        read_options(word)


def test_the_other_way_round_without_a_topology(inner: Inner, stub: Stub) -> None:
    ended = inner("--namesrv=a:1", topology=None)
    assert ended.code == 4
    assert "add --runtime existing" in ended
    assert stub.equipped == 0


def test_one_cluster_is_used_by_one_scenario_at_a_time(inner: Inner, stub: Stub, asked: list[list[str]]) -> None:
    ended = inner("--runtime=existing", "--namesrv=a:1", "-n", "2", topology=None)
    assert ended.code == 4
    assert "no -n" in ended


def test_a_run_is_of_what_was_found(inner: Inner, stub: Stub, asked: list[list[str]]) -> None:
    ended = inner("--runtime=existing", "--namesrv=10.0.0.5:1", "--hook=kill=s3cret", "--hook=start=x", topology=None)
    assert stub.equipped == 1
    assert ended.row()["runtime"] == "existing"
    assert (ended.row()["topology"], ended.row()["rocketmq"], ended.row()["timers"]) == (
        "existing", "4.9.8", "documented"
    )  # fmt: skip
    for file in ("run.json", "verdicts.json", "report.html", "junit.xml"):
        text = (ended.run / file).read_text()
        assert "s3cret" not in text, file
        assert "10.0.0.5" not in text, file


LACKING = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_kill(scenario):
    """A killed process loses nothing."""
    scenario(
        load=[produce()],
        demand=[forbid("lost")],
        control=scenario.control(
            "worse", load=[produce()], demand=[forbid("lost")], cluster=ClusterNeeds(replication="async"), why="so"
        ),
    )
'''
CALM = '''
from harness.suite import *

@guarantee("process-kill-loses-nothing")
def test_calm(scenario):
    """Without a fault."""
    scenario(load=[produce()], demand=[forbid("lost")])
'''


@pytest.fixture
def unable(stub: Stub, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that may do nothing to nodes."""
    equip = stub.equip
    monkeypatch.setattr(harness.equip, "equip", lambda *a, **k: replace(equip(*a, **k), capabilities=missing_here({})))


@pytest.mark.usefixtures("unable")
def test_a_control_that_cannot_be_run_keeps_its_scenario_from_being_run(inner: Inner, stub: Stub) -> None:
    ended = inner("--runtime=existing", "--namesrv=a:1", topology=None, suite=LACKING)
    assert stub.ran == []
    assert (ended.row()["verdict"], ended.row()["missing"]) == ("not-tested", "node-config")
    assert ended.code == 6, "no scenario was executed"


@pytest.mark.usefixtures("unable")
def test_a_row_that_was_shown_in_part_says_so_and_ends_well(inner: Inner, stub: Stub) -> None:
    words = ("--runtime=existing", "--namesrv=a:1", "--guarantee=process-kill-loses-nothing")
    ended = inner(*words, topology=None, suite=LACKING + CALM)
    assert stub.ran == ["calm"]
    assert ended.row()["verdict"] == "held"
    assert "; in part only, for kill was not run: capability 'node-config' is missing" in ended.row()["reason"]
    assert ended.code == 0
    assert inner(*words, "--strict", topology=None, suite=LACKING + CALM).code == 0
