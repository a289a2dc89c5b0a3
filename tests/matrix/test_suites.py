"""The process of one cell: its command line, its verdicts, and that it ends when we do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.cli import main
from harness.core.errors import EvidenceError, SetupError, UsageError
from harness.matrix import TOPOLOGIES, VERSIONS, crossed, narrowed, read_plan
from harness.matrix.cells import CellSpec
from harness.matrix.plan import PLAIN
from harness.matrix.suites import SuiteRun, environment, options
from harness.report.rows import Run, verdicts_json
from harness.waiting import wait_for
from tests.matrix.fakes import row

ROOT = Path(__file__).parents[2]
SPEC = CellSpec(topology="1m", rocketmq="4.9.7")


def suites(tmp_path, code=0, runs=1, seen=None, options=None):
    """Stands for pytest: leaves so many runs and ends with that code."""
    run = Run(id="r", seed=1, started_utc="now", options=options or {})
    (tmp_path / "verdicts.json").write_text(verdicts_json(run, [seen or row("a-b")]))
    script = f"""
        import pathlib, shutil, sys
        words = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if "=" in word)
        reports = pathlib.Path(words["reports"])
        for n in range({runs}):
            run = reports / f"run-{{len(list(reports.glob('run-*')))}}"
            run.mkdir(parents=True)
            shutil.copy({str(tmp_path / "verdicts.json")!r}, run)
            latest = reports / "latest"
            latest.unlink(missing_ok=True)
            latest.symlink_to(run.name)
        sys.exit({code})
    """
    path = tmp_path / "fake.py"
    path.write_text(textwrap.dedent(script))
    return SuiteRun(tmp_path, tmp_path / "reports", (sys.executable, str(path)))


@pytest.mark.parametrize("code", [0, 1, 6])
def test_a_run_that_ended_is_read(tmp_path, code):
    run = suites(tmp_path, code)
    for _ in range(2):
        ran = run(SPEC, ())
        assert ran.exit_code == code
        assert [r.id for r in ran.rows] == ["a-b"]


@pytest.mark.parametrize("code", [2, 3, 4, 5, 130])
def test_a_run_that_was_cut_short_is_not_read_although_it_left_verdicts(tmp_path, code):
    with pytest.raises(SetupError, match=f"exit code {code}"):
        suites(tmp_path, code)(SPEC, ())


def test_a_run_without_verdicts_is_no_result(tmp_path):
    with pytest.raises(EvidenceError, match="left 0 runs"):
        suites(tmp_path, 0, runs=0)(SPEC, ())


@pytest.mark.parametrize(
    "other", [{"topology": "1m-syncflush"}, {"rocketmq": "5.3.3"}, {"java": "17"}, {"client": "remoting"}]
)
def test_rows_of_another_cluster_are_refused(tmp_path, other):
    with pytest.raises(EvidenceError, match=r"judged a-b on .*not what was asked for"):
        suites(tmp_path, seen=row("a-b").model_copy(update=other))(SPEC, ())


def test_a_row_whose_promise_is_a_timer_is_no_other_cell(tmp_path):
    timer = row("a-b").model_copy(update={"timers": "documented"})
    assert suites(tmp_path, seen=timer, options={"timers": "fast"})(SPEC, ()).rows
    with pytest.raises(EvidenceError, match="ran with documented timers"):
        suites(tmp_path, seen=timer, options={"timers": "documented"})(SPEC, ())
    with pytest.raises(EvidenceError, match="judged a-b on"):
        suites(tmp_path)(SPEC.model_copy(update={"timers": "documented"}), ())


def test_rows_with_other_settings_are_refused(tmp_path):
    none = {"broker_conf": {}, "namesrv_conf": {}, "jvm_opts": {"broker": [], "namesrv": []}}
    assert suites(tmp_path, options=none)(SPEC, ()).rows
    for given in (
        {"broker_conf": {"flushDiskType": ""}},
        {"namesrv_conf": {"a": "b"}},
        {"jvm_opts": {"broker": ["-Xmx1g"]}},
    ):
        with pytest.raises(EvidenceError, match=f"ran with {next(iter(given))}"):
            suites(tmp_path, options=none | given)(SPEC, ())


def test_the_environment_adds_nothing_to_a_cell(tmp_path, monkeypatch):
    kept = {"PATH": "/bin", "RMQ_HARNESS_CACHE": "/c", "RMQ_HARNESS_STATE": "/s"}
    assert environment(kept | {"RMQ_HARNESS_GUARANTEE": "a-b", "RMQ_HARNESS_X": "", "PYTEST_ADDOPTS": "-x"}) == kept
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    monkeypatch.setenv("RMQ_HARNESS_FLUSH", "sync")
    run = suites(tmp_path)
    script = Path(run.command[1])
    refuse = "import os\nassert not {'PYTEST_ADDOPTS', 'RMQ_HARNESS_FLUSH'} & set(os.environ)\n"
    script.write_text(refuse + script.read_text())
    assert run(SPEC, ()).exit_code == 0


def test_the_command_line_says_everything():
    spec = CellSpec(topology="1m", rocketmq="4.9.7", java="17", client="remoting", timers="documented")
    assert options(spec, ["a-b"], Path("/r")) == [
        "--topology=1m",
        "--rocketmq=4.9.7",
        "--java=17",
        "--client=remoting",
        "--timers=documented",
        "--reports=/r",
        "--guarantee=a-b",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_the_suites_are_interrupted_once_when_we_are(tmp_path, number):
    child = tmp_path / "child.py"
    child.write_text(
        textwrap.dedent(f"""
        import pathlib, signal, sys, time
        here = pathlib.Path({str(tmp_path)!r})
        def stop(*_):
            with (here / "stopped").open("a") as file:
                file.write("once ")
            sys.exit(2)
        signal.signal(signal.SIGTERM, stop)
        (here / "up").touch()
        time.sleep(60)
        """)
    )
    code = (
        "import signal, sys, pathlib; from harness.matrix.suites import SuiteRun; from tests.matrix.fakes import row;"
        "from harness.matrix.cells import CellSpec; signal.signal(signal.SIGTERM, signal.default_int_handler);"
        f"here = pathlib.Path({str(tmp_path)!r});"
        f"SuiteRun(here, here / 'reports', (sys.executable, {str(child)!r}))"
        "(CellSpec(topology='1m', rocketmq='4.9.7'), ())"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "up").exists, what="the child", timeout_s=30)
    os.kill(parent.pid, number)
    parent.wait(30)
    stopped = tmp_path / "stopped"
    told = wait_for(lambda: stopped.exists() and stopped.read_text(), what="the child to stop", timeout_s=30)
    assert told == "once "


def test_the_default_is_every_topology_on_two_releases_and_the_plain_ones_on_all_others():
    from harness.distribution import supported_releases
    from harness.topology import known_topologies

    assert set(TOPOLOGIES) == set(known_topologies()), "a topology that the matrix does not have"
    specs = crossed()
    names = {spec.name for spec in specs}
    assert len(names) == len(specs)
    both = {f"{topology}-{version}" for topology in TOPOLOGIES for version in VERSIONS}
    assert both - names == {"controller-1m-2s-4.9.7", *(f"2m-2s-sync-proxy-{version}" for version in VERSIONS)}
    assert "2m-2s-sync-proxy-5.3.3-grpc" in names, "where there are proxies their client is used; 4.x has none"
    others = [str(version) for version in supported_releases() if str(version) not in VERSIONS]
    assert names - both == {f"{topology}-{version}" for topology in PLAIN for version in others} | {
        "2m-2s-sync-proxy-5.3.3-grpc"
    }


def test_releases_alone_are_run_on_what_they_can_have():
    names = [spec.topology for spec in crossed(None, ["4.4.0"])]
    assert {"dledger-3", "controller-1m-2s", "2m-2s-sync-proxy"} & set(names) == set()
    assert len(names) == len(TOPOLOGIES) - 3


def test_so_is_a_client_on_what_has_something_for_it_and_a_release_whose_proxy_can_be_had():
    assert [spec.name for spec in crossed(client="grpc")] == ["2m-2s-sync-proxy-5.3.3-grpc"]
    assert "2m-2s-sync-proxy" not in {spec.topology for spec in crossed(None, ["5.1.4"])}
    with pytest.raises(UsageError, match=r"no topology can be had with grpc on these releases"):
        crossed(None, ["4.9.7"], client="grpc")
    with pytest.raises(UsageError, match="--client 'foo'"):
        crossed(client="foo")


def test_the_command_takes_the_client_that_uses_proxies_unless_it_is_told_another(tmp_path, capsys):
    where = [f"--results={tmp_path / 'results'}", f"--reports={tmp_path / 'reports'}", "--status"]
    for asked, name in (([], "2m-2s-sync-proxy-5.3.3-grpc"), (["--client=java"], "2m-2s-sync-proxy-5.3.3")):
        main(["matrix", "--topology=2m-2s-sync-proxy", "--rocketmq=5.3.3", *where, *asked])
        assert f"{name}:" in capsys.readouterr().out


def test_topologies_alone_are_run_on_two_releases():
    assert [spec.name for spec in crossed(["1m"])] == ["1m-4.9.7", "1m-5.3.3"]


def test_what_cannot_be_and_was_asked_for_is_refused():
    with pytest.raises(UsageError, match=r"controller-1m-2s needs RocketMQ 5\.0\.0"):
        crossed(["controller-1m-2s"], ["4.9.7"])


def test_the_nightly_plan_is_readable_and_its_cells_exist():
    from harness.core.version import Version
    from harness.distribution import supported_releases
    from harness.topology import known_topologies

    for spec in read_plan(ROOT / "nightly.yaml"):
        assert spec.topology in known_topologies()
        assert Version.parse(spec.rocketmq) in supported_releases()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cells: []", "write `cells:`"),
        ("cell: 1", "write `cells:`"),
        ("cells: [{topology: 1m, rocketmq: 5.3}]", "quoted text"),
        ("cells: [{topology: 1m, rocketmq: '5.3.3', timer: fast}]", "timer"),
        ("cells: [{topology: 1m, rocketmq: '5.3.3'}, {topology: 1m, rocketmq: '5.3.3'}]", "listed twice"),
        ("cells: [", "cannot be read as YAML"),
    ],
)
def test_a_plan_with_a_mistake_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        read_plan(path)
    assert "\n" not in str(refused.value)


def test_a_plan_that_is_no_text_is_refused_in_one_line(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"plan\.yaml cannot be read as YAML"):
        read_plan(path)


def test_a_plan_is_narrowed_to_topologies_and_put_on_another_release():
    plan = crossed(["1m", "2m-noslave"], ["4.9.7", "5.3.3"])
    assert [s.name for s in narrowed(plan, ["1m"], None)] == ["1m-4.9.7", "1m-5.3.3"]
    assert [s.name for s in narrowed(plan, None, ["5.5.0"])] == ["1m-5.5.0", "2m-noslave-5.5.0"]
    with pytest.raises(UsageError, match="no cell of 3m-noslave"):
        narrowed(plan, ["3m-noslave"], None)
