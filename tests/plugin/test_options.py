"""Options, their environment twins, and what is said of values that are wrong: before anything is started."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import UsageError
from harness.options import FLAGS, HELP, add_options, cache_dir, state_dir
from harness.plugin.selection import check_asked_for, offered
from harness.request import settings_from
from harness.settings import Settings, environment_name
from harness.topology import known_topologies
from harness.topology.load import topology_directory
from tests.plugin.conftest import SUITE, Inner, Stub

pytest_plugins = ["pytester"]

WRONG = [
    ("--topology=nope", "--topology 'nope'", "1m"),
    ("--topology=2m-2s-synk", "--topology '2m-2s-synk'", "did you mean 2m-2s-sync"),
    ("--topology=/no/such.yaml", "--topology '/no/such.yaml'", "does not exist"),
    ("--topology=1m,2m-noslave", "--topology '1m,2m-noslave'", "--topology=1m --topology=2m-noslave"),
    ("--topology=README.md", "--topology 'README.md'", "write ./README.md"),
    ("--rocketmq=9.9.9", "--rocketmq '9.9.9'", "5.3.3"),
    ("--rocketmq=latest", "--rocketmq 'latest'", "path:DIR"),
    ("--rocketmq=image:x:5.3.3", "--rocketmq 'image:x:5.3.3'", "--runtime docker"),
    ("--runtime=kubernetes", "--runtime 'kubernetes'", "local"),
    ("--java=8", "--java '8'", "25, 21, 17, 11"),
    ("--client=go", "--client 'go'", "java, remoting, cpp, grpc, all"),
    ("--client=java,cpp", "--client 'java,cpp'", "--client=java --client=cpp"),
    ("--client=all,java", "--client 'all,java'", "--client=all --client=java"),
    ("--client=,", "--client ','", "write one of them"),
    ("--client=all:1", "--client 'all:1'", "all"),
    ("--client=java:1.0.0", "--client 'java:1.0.0'", "4.9.7"),
    ("--client=remoting:4.9.7", "--client 'remoting:4.9.7'", "remoting"),
    ("--client=cpp:2.0.0", "--client 'cpp:2.0.0'", "choose remoting, cpp, grpc, java"),
    ("--timers=slow", "--timers 'slow'", "fast, documented"),
    ("--seed=x", "--seed 'x'", "whole number"),
    ("--jvm-opt=Xmx1g", "--jvm-opt 'Xmx1g'", "broker:OPT"),
    ("--jvm-opt=broker:Xmx1g", "--jvm-opt 'broker:Xmx1g'", "broker:OPT"),
    ("--broker-conf=flushDiskType", "--broker-conf 'flushDiskType'", "K=V"),
    ("--broker-conf=flushDiskType=SYNC_FLUSH", "--broker-conf 'flushDiskType=SYNC_FLUSH'", "use --flush sync"),
    ("--broker-conf=brokerRole=ASYNC_MASTER", "--broker-conf 'brokerRole=ASYNC_MASTER'", "a topology of your own"),
    ("--broker-conf= listenPort =99", "--broker-conf ' listenPort =99'", "the harness gives it"),
    ("--namesrv-conf=listenPort=99", "--namesrv-conf 'listenPort=99'", "the harness gives it"),
    ("--broker-conf==x", "--broker-conf '=x'", "K=V"),
    ("--namesrv-conf=x", "--namesrv-conf 'x'", "K=V"),
    ("--nameservers=0", "--nameservers '0'", "1 to 9"),
    ("--nameservers=many", "--nameservers 'many'", "1 to 9"),
    ("--nameservers=10", "--nameservers '10'", "1 to 9"),
    ("--flush=never", "--flush 'never'", "async, sync"),
    ("--client=go:1", "--client 'go:1'", "java, remoting"),
    ("--client=java:", "--client 'java:'", "4.9.7"),
    ("--timers=fast:x", "--timers 'fast:x'", "fast, documented"),
    ("--runtime=local:docker", "--runtime 'local:docker'", "local"),
    ("--flush=sync:now", "--flush 'sync:now'", "async, sync"),
    ("--allow-missing=power-cut:please", "--allow-missing 'power-cut:please'", "power-cut"),
    ("--allow-missing=flux", "--allow-missing 'flux'", "power-cut"),
    ("--upgrade-to=5.3.3", "--upgrade-to '5.3.3'", "--upgrade-from too"),
    ("--upgrade-from=4.9.7", "--upgrade-from '4.9.7'", "--upgrade-to too"),
]


UPGRADES = [
    (("--upgrade-from=4.9.7", "--upgrade-to=4.9.7"), "are both '4.9.7'"),
    (("--upgrade-from=4.9.7", "--upgrade-to=5.9.9"), "--upgrade-to '5.9.9'"),
    (("--upgrade-from=9.9.9", "--upgrade-to=5.3.3"), "--upgrade-from '9.9.9'"),
    (("--upgrade-from=4.9.7", "--upgrade-to=image:x:5.3.3"), "--upgrade-to 'image:x:5.3.3' needs --runtime docker"),
    (("--rocketmq=5.5.0", "--upgrade-from=4.9.7", "--upgrade-to=5.3.3"), "leave --rocketmq out"),
    (("--topology=controller-1m-2s", "--upgrade-from=4.9.7", "--upgrade-to=5.3.3"), "controller-1m-2s"),
    (("--topology=controller-1m-2s", "--upgrade-from=5.3.3", "--upgrade-to=4.9.7"), "controller-1m-2s"),
    (("--upgrade-from=5.3.3", "--upgrade-to=4.9.7"), "--upgrade-to '4.9.7' is older than --upgrade-from '5.3.3'"),
]


def read(*options: str) -> list[Settings]:
    """What the options come to, given as on a command line."""
    parser = argparse.ArgumentParser()
    add_options(Group(parser))
    values = parser.parse_args(list(options) if has_topology(options) else ["--topology=1m", *options])
    return settings_from(lambda name: getattr(values, name, None))


class Group:
    """As much of a pytest option group as `add_options` uses."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.addoption = parser.add_argument


def has_topology(options: tuple[str, ...]) -> bool:
    return any(option.startswith("--topology") for option in options) or "RMQ_HARNESS_TOPOLOGY" in os.environ


@pytest.mark.parametrize(("option", "named", "remedy"), WRONG, ids=[option for option, _, _ in WRONG])
def test_a_wrong_value_is_named_with_its_option_and_the_remedy(option: str, named: str, remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(option)
    said = str(refused.value)
    assert named in said
    assert said.count(named.split()[-1]) == 1, "the value is told once"
    assert remedy in said
    assert "\n" not in said


def test_with_docker_a_version_stands_for_its_official_image() -> None:
    (settings,) = read("--runtime=docker", "--rocketmq=5.3.2")
    assert (settings.rocketmq, settings.java) == ("image:apache/rocketmq:5.3.2", "image")
    (settings,) = read("--runtime=docker", "--rocketmq=image:mine:5.3.3-rc1")
    assert settings.release_name == "image:mine:5.3.3-rc1"
    (settings,) = read("--runtime=docker")
    assert settings.rocketmq == "image:apache/rocketmq:5.3.3"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--java=21",), "--java '21': with --runtime docker nodes run the Java of their image; leave it out"),
        (("--rocketmq=path:/x",), "--rocketmq 'path:/x' is no image"),
        (("--rocketmq=image:x",), "as tag"),
        (("--namesrv=1.2.3.4:9876",), "--runtime existing"),
        (("--upgrade-from=5.3.3", "--upgrade-to=5.3.3"), "are both '5.3.3'"),
        (("--upgrade-from=5.3.3", "--upgrade-to=path:/x"), "--upgrade-to 'path:/x' is no image"),
    ],
)
def test_what_containers_cannot_be_is_refused(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read("--runtime=docker", *options)


WITH_VALUES = [name for name in HELP if name not in FLAGS]


@pytest.mark.parametrize("name", WITH_VALUES)
def test_an_empty_value_is_not_the_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for empty in ("", " "):
        with pytest.raises(UsageError, match=f"^--{name} is empty: give it a value, or leave it out$"):
            read(f"--{name}={empty}")
    for empty in ("", " , "):
        monkeypatch.setenv(environment_name(name), empty)
        with pytest.raises(UsageError, match=f"^{environment_name(name)} is set but empty: give .* or unset it$"):
            read()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--topology=2m-2s-sync-proxy", "--runtime=docker"], "has proxies, which --runtime docker does not start"),
        (
            ["--topology=2m-2s-sync-proxy", "--upgrade-from=5.2.0", "--upgrade-to=5.3.3"],
            "has proxies, which no suite moves to another release: leave --upgrade-from",
        ),
        (["--client=grpc", "--topology=2m-2s-sync"], "2m-2s-sync has none: take --topology 2m-2s-sync-proxy"),
        (
            ["--topology=2m-2s-sync-proxy", "--rocketmq=4.9.7"],
            "has proxies, which RocketMQ has since 5.1.0, and not 4.9",
        ),
        (
            ["--topology=2m-2s-sync-proxy", "--rocketmq=5.1.4"],
            "5.1.4 is not in the package registry: choose one of 5.2",
        ),
    ],
)
def test_proxies_that_cannot_be_had_are_refused(options: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(*options)
    assert read("--client=grpc", "--topology=2m-2s-sync-proxy")[0].topology.proxies == 2


def test_a_release_that_cannot_elect_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^controller-1m-2s needs RocketMQ 5\.0\.0 or later, .* 4\.9\.7 has none"):
        read("--topology=controller-1m-2s", "--rocketmq=4.9.7")
    assert read("--topology=controller-1m-2s", "--rocketmq=5.3.3")
    with pytest.raises(UsageError, match=r"^dledger-3 needs RocketMQ 4\.8\.0 or later, .* 4\.4\.0 has none"):
        read("--topology=dledger-3", "--rocketmq=4.4.0")
    assert read("--topology=dledger-3", "--rocketmq=4.8.0")


def test_an_empty_place_is_not_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for twin, place in (("RMQ_HARNESS_CACHE", cache_dir), ("RMQ_HARNESS_STATE", state_dir)):
        monkeypatch.setenv(twin, "")
        with pytest.raises(UsageError, match=f"{twin} is set but empty"):
            place()


def test_a_misspelled_guarantee_of_a_suite_is_refused_and_not_left_out(inner: Inner, stub: Stub) -> None:
    ended = inner(suite=SUITE + SUITE.replace("test_kill", "test_more").replace("loses-nothing", "looses-nothing"))
    assert ended.code == 4
    assert "test_more[1m]: @guarantee: " in ended
    assert "did you mean process-kill-loses-nothing" in ended
    assert stub.ran == []
    assert not stub.equipped, "nothing is downloaded for what is refused"
    assert not (ended.directory / "reports").exists()


def test_an_empty_topology_in_the_environment_ends_with_4_and_one_line(
    inner: Inner, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQ_HARNESS_TOPOLOGY", "")
    ended = inner(topology=None)
    assert ended.code == 4
    assert "RMQ_HARNESS_TOPOLOGY is set but empty" in ended
    assert "Traceback" not in ended


@pytest.mark.parametrize("topology", ["1m", None])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RMQ_HARNESS_ROCKETMQ_VERSION", "did you mean RMQ_HARNESS_ROCKETMQ"),
        ("RMQ_HARNESS_BROKERCONF", "did you mean RMQ_HARNESS_BROKER_CONF"),
        ("RMQ_HARNESS_TOPOLGY", "did you mean RMQ_HARNESS_TOPOLOGY"),
        ("RMQ_HARNESS_ZZ", "known: RMQ_HARNESS_TOPOLOGY, "),
    ],
)
def test_a_variable_that_stands_for_no_option_is_refused(
    inner: Inner, stub: Stub, monkeypatch: pytest.MonkeyPatch, topology: str | None, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "4.9.7")
    ended = inner(topology=topology)
    assert ended.code == 4
    assert f"{name} stands for no option; {hint}" in ended
    assert not stub.equipped


@pytest.mark.parametrize("option", ["--rocketmq=9.9.9", "--guarantee=nope", "--jvm-opt=Xmx1g"])
def test_a_wrong_value_ends_with_4_and_one_line(inner: Inner, stub: Stub, option: str) -> None:
    ended = inner(option)
    assert ended.code == 4
    said = [line for line in ended.text.splitlines() if line.strip()]
    assert len(said) == 1, ended.text
    assert "Traceback" not in ended
    assert not stub.equipped
    assert not (ended.directory / "reports").exists(), "nothing was begun"


def test_a_guarantee_that_the_topology_does_not_promise(inner: Inner, stub: Stub) -> None:
    ended = inner("--guarantee=master-outage-leaves-sends-working")
    assert ended.code == 4
    assert "1m promises none of master-outage-leaves-sends-working" in ended
    assert "explain" in ended
    assert not stub.equipped


def test_every_guarantee_that_no_topology_promises_is_named(inner: Inner, stub: Stub) -> None:
    unpromised = ("master-outage-leaves-sends-working", "sync-master-ack-means-two-copies")
    asked = [f"--guarantee={name}" for name in ("process-kill-loses-nothing", *unpromised)]
    ended = inner(*asked)
    assert ended.code == 4
    assert f"1m promises none of {', '.join(unpromised)}; see" in ended
    ended = inner(*asked, "--topology=2m-noslave")
    assert ended.code == 4
    assert f"1m, 2m-noslave promise none of {unpromised[1]}; see" in ended
    assert not stub.equipped


def test_suites_without_a_topology_say_what_they_need(inner: Inner, stub: Stub) -> None:
    ended = inner(topology=None)
    assert ended.code == 2 or ended.code == 4
    assert "--topology NAME" in ended
    assert not stub.ran


def test_a_pytest_without_topology_is_left_alone(inner: Inner, stub: Stub) -> None:
    ended = inner(topology=None, suite="def test_other():\n    assert True")
    assert ended.code == 0
    assert "guarantees" not in ended
    assert not (ended.directory / "reports").exists()


TWINS = [
    ("ROCKETMQ", "4.9.7", "--rocketmq=5.1.4", "rocketmq", "4.9.7", "5.1.4"),
    ("JAVA", "17", "--java=21", "java", "17", "21"),
    ("CLIENT", "remoting", "--client=java:4.9.7", "client", "remoting", "java:4.9.7"),
    ("TIMERS", "documented", "--timers=fast", "timers", "documented", "fast"),
    ("SEED", "7", "--seed=8", "seed", 7, 8),
    ("BROKER_CONF", "a=1,b=2", "--broker-conf=a=3", "broker_conf", {"a": "1", "b": "2"}, {"a": "3"}),
    ("NAMESRV_CONF", "a=1", "--namesrv-conf=b=2", "namesrv_conf", {"a": "1"}, {"b": "2"}),
    ("JVM_OPT", "broker:-Xa", "--jvm-opt=-Xb", "jvm_opts", {"broker": ("-Xa",), "namesrv": ()},
     {"broker": ("-Xb",), "namesrv": ("-Xb",)}),
    ("ALLOW_MISSING", "power-cut", "--allow-missing=network-cut", "allow_missing",
     frozenset({"power-cut"}), frozenset({"network-cut"})),
    ("KEEP", "1", "--keep", "keep", True, True),
    ("GUARANTEE", "process-kill-loses-nothing", "--guarantee=process-kill-loses-nothing", "guarantees",
     ("process-kill-loses-nothing",), ("process-kill-loses-nothing",)),
]  # fmt: skip


@pytest.mark.parametrize(("twin", "text", "option", "field", "by_twin", "by_option"), TWINS, ids=[t[0] for t in TWINS])
def test_an_option_beats_its_environment_twin(
    monkeypatch: pytest.MonkeyPatch, twin, text, option, field, by_twin, by_option
) -> None:
    assert getattr(read("--seed=1")[0], field) != by_twin
    monkeypatch.setenv(f"RMQ_HARNESS_{twin}", text)
    assert getattr(read()[0], field) == by_twin
    assert getattr(read(option)[0], field) == by_option


def test_the_topology_and_the_reports_have_twins_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQ_HARNESS_TOPOLOGY", "1m, 2m-noslave,1m")
    monkeypatch.setenv("RMQ_HARNESS_REPORTS", "elsewhere")
    assert [s.topology.name for s in read()] == ["1m", "2m-noslave"]
    assert read()[0].reports == Path("elsewhere").resolve()
    assert [s.topology.name for s in read("--topology=3m-noslave")] == ["3m-noslave"]


def test_a_wrong_value_in_the_environment_is_refused_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQ_HARNESS_TIMERS", "slow")
    with pytest.raises(UsageError, match="'slow'"):
        read()


def test_the_last_word_on_a_key_wins() -> None:
    (settings,) = read(
        "--broker-conf=a=1", "--broker-conf=a=2=3", "--jvm-opt=broker:-Xa", "--jvm-opt=-Xb", "--jvm-opt=namesrv:-Xc"
    )
    assert settings.broker_conf == {"a": "2=3"}
    assert settings.jvm_opts == {"broker": ("-Xa", "-Xb"), "namesrv": ("-Xb", "-Xc")}


def test_a_topology_file_with_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((topology_directory() / "1m.yaml").read_text().replace("name: 1m", "name: mine"))
    assert read(f"--topology={path}")[0].topology.name == "mine"
    path.write_text(path.read_text() + "replicaton: sync\n")
    with pytest.raises(UsageError, match=r"mine\.yaml.*replicaton"):
        read(f"--topology={path}")


def test_two_topologies_of_one_name_are_refused(tmp_path: Path) -> None:
    text = (topology_directory() / "1m.yaml").read_text()
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    for path in (one, other):
        path.write_text(text.replace("name: 1m", "name: mine"))
    assert [s.topology.name for s in read(f"--topology={one}", "--topology=1m", f"--topology={one}")] == ["mine", "1m"]
    with pytest.raises(UsageError) as refused:
        read(f"--topology={one}", f"--topology={other}")
    for part in ("'mine'", str(one), str(other), "change the name"):
        assert part in str(refused.value)
    one.write_text(text)
    with pytest.raises(UsageError, match=r"one\.yaml.*'1m'.*another"):
        read(f"--topology={one}", "--topology=1m")


def test_all_topologies() -> None:
    assert len({s.topology.name for s in read("--topology=all")}) == len(known_topologies()) >= 10


def test_strict_is_pytests_own_option_and_has_a_twin(inner: Inner, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    inner()
    inner("--strict")
    monkeypatch.setenv("RMQ_HARNESS_STRICT", "1")
    inner()
    assert [s.strict for s in stub.settings] == [False, True, True]


@pytest.mark.parametrize(("twin", "strict"), [("on", True), ("TRUE", True), ("0", False), ("off", False), ("", False)])
def test_a_flags_twin_says_yes_or_no(monkeypatch: pytest.MonkeyPatch, twin: str, strict: bool) -> None:
    monkeypatch.setenv("RMQ_HARNESS_STRICT", twin)
    assert read()[0].strict is strict


def test_a_flags_twin_that_says_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQ_HARNESS_KEEP", "maybe")
    with pytest.raises(UsageError, match=r"RMQ_HARNESS_KEEP = 'maybe' is neither yes nor no: write 1 or 0"):
        read()


def test_the_seed_is_said_first_kept_and_drawn_anew(inner: Inner, stub: Stub) -> None:
    first = inner("--seed=4711")
    assert "rmq-harness: seed 4711" in first
    assert first.verdicts()["run"]["seed"] == 4711
    assert "--seed 4711" in first.verdicts()["run"]["replay"]
    inner()
    inner()
    assert stub.settings[-1].seed != stub.settings[-2].seed


def test_what_the_environment_asked_for_is_in_the_line_that_replays_it(
    inner: Inner, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQ_HARNESS_ROCKETMQ", "4.9.7")
    monkeypatch.setenv("RMQ_HARNESS_BROKER_CONF", "a=1,b=2")
    monkeypatch.setenv("RMQ_HARNESS_TIMERS", "documented")
    replay = inner("--timers=fast").verdicts()["run"]["replay"]
    assert "--rocketmq=4.9.7" in replay
    assert "--broker-conf=a=1 --broker-conf=b=2" in replay
    assert "--timers=documented" not in replay, "the option won"


def test_no_path_of_the_machine_is_told_but_to_the_terminal(
    inner: Inner, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQ_HARNESS_REPORTS", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("RMQ_HARNESS_JAVA", f"path:{tmp_path / 'jdk'}")
    ended = inner("--seed=7")
    (run,) = (tmp_path / "elsewhere").glob("2*")
    assert f"evidence: {run}/report.html" in ended
    told = (run / "verdicts.json").read_text() + (run / "run.json").read_text()
    assert "--java=path:jdk --reports=elsewhere" in told
    assert '"java": "path:jdk"' in told
    assert str(tmp_path) not in told


class TestVaried:
    """--nameservers and --flush change a topology, and its name says so."""

    @pytest.mark.parametrize(
        ("options", "name", "nameservers", "flush"),
        [
            (("--topology=1m", "--nameservers=3"), "1m-3ns", 3, "async"),
            (("--topology=1m", "--flush=sync"), "1m-syncflush", 1, "sync"),
            (("--topology=2m-2s-sync-syncflush", "--flush=async"), "2m-2s-sync-syncflush-asyncflush", 2, "async"),
            (("--topology=2m-2s-async", "--flush=sync", "--nameservers=4"), "2m-2s-async-syncflush-4ns", 4, "sync"),
            (("--topology=2m-2s-sync", "--flush=async", "--nameservers=2"), "2m-2s-sync", 2, "async"),
        ],
    )
    def test_the_name_says_what_was_changed(self, options: tuple[str, ...], name: str, nameservers: int, flush: str):
        (settings,) = read(*options)
        topology = settings.topology
        assert (topology.name, topology.nameservers, topology.flush) == (name, nameservers, flush)

    def test_what_it_promises_follows(self):
        (plain,), (flushed,) = read("--topology=1m"), read("--topology=1m", "--flush=sync")
        promises = [{g.id for g in load_catalogue().promised(s.topology)} for s in (plain, flushed)]
        assert "sync-flush-survives-power-loss" in promises[1] - promises[0]
        assert "async-flush-loses-only-a-tail" in promises[0] - promises[1]

    def test_a_stock_cluster_is_as_shipped(self):
        with pytest.raises(UsageError, match="--flush 'sync': 2m-2s-sync-stock: stock is true but flush is sync"):
            read("--topology=2m-2s-sync-stock", "--flush=sync")

    def test_two_that_become_one_are_refused(self):
        with pytest.raises(UsageError, match="two topologies are both 2m-2s-sync-syncflush"):
            read("--topology=2m-2s-sync", "--topology=2m-2s-sync-syncflush", "--flush=sync")


class TestUpgrades:
    def test_two_releases(self) -> None:
        first, *_ = read("--topology=1m", "--upgrade-from=4.9.7", "--upgrade-to=5.3.3")
        assert (first.rocketmq, first.upgrade_to) == ("4.9.7", "5.3.3")
        assert read("--topology=1m")[0].upgrade_to is None

    def test_the_release_under_test_may_be_said_twice(self) -> None:
        first, *_ = read("--topology=1m", "--rocketmq=4.9.7", "--upgrade-from=4.9.7", "--upgrade-to=5.3.3")
        assert first.rocketmq == "4.9.7"

    def test_a_candidate_is_named_without_its_place(self) -> None:
        first, *_ = read("--topology=1m", "--upgrade-from=4.9.7", "--upgrade-to=path:/home/me/rocketmq-all")
        assert first.upgrade_name == "path:rocketmq-all"

    @pytest.mark.parametrize(("options", "said"), UPGRADES)
    def test_what_is_no_upgrade_is_refused(self, options: tuple[str, ...], said: str) -> None:
        topology = () if any("--topology" in option for option in options) else ("--topology=1m",)
        with pytest.raises(UsageError) as refused:
            read(*topology, *options)
        assert said in str(refused.value)

    def test_only_with_two_releases_an_upgrade_is_promised(self) -> None:
        catalogue = load_catalogue()
        with_two, *_ = read("--topology=2m-2s-sync", "--upgrade-from=4.9.7", "--upgrade-to=5.3.3")
        with_one, *_ = read("--topology=2m-2s-sync", "--rocketmq=4.9.7")
        assert "rolling-upgrade-loses-nothing" in {row.id for row in offered(catalogue, with_two)}
        assert "rolling-upgrade-loses-nothing" not in {row.id for row in offered(catalogue, with_one)}

    def test_what_an_upgrade_row_lacks_is_said(self) -> None:
        """Not that the topology does not promise it: two releases are what is missing."""
        options = ("--topology=2m-2s-sync", "--rocketmq=4.9.7", "--guarantee=rolling-upgrade-loses-nothing")
        with pytest.raises(UsageError, match="name them with --upgrade-from and --upgrade-to"):
            check_asked_for(load_catalogue(), read(*options))
        with pytest.raises(UsageError, match="1m promises none of"):
            check_asked_for(load_catalogue(), read("--topology=1m", *options[1:]))
