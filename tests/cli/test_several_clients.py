"""A stored run with several clients, one of which found a guarantee broken: whoever reads it is told so."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bundle import bundle, recheck_bundle
from harness.catalogue import load_catalogue
from harness.cli import main
from harness.compare.sides import side
from harness.core.errors import UsageError
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.judging import ControlResult
from harness.outcome import Outcome
from harness.publish import publish
from harness.recheck import recheck
from harness.report.rows import exit_code
from harness.scenario import Control
from harness.session import Session, Subject
from harness.settings import Settings
from harness.topology import load_topology
from tests.cli.conftest import GUARANTEE, scenario_from

HELD, BROKEN = "master-killed-nothing-lost", "one-acknowledged-message-lost"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """`cpp` found it broken, `java` did not, and to `remoting` it could not be put."""
    directory = tmp_path / "run-of-three"
    plain = Settings(topology=load_topology("1m"), seed=7, one_of_several=True)
    each = [replace(plain, client=client) for client in ("java", "cpp", "remoting")]
    session = Session(
        run_id=directory.name,
        directory=directory,
        seed=7,
        command="pytest suites --topology=1m --client=all",
        settings={s.place: s for s in each},
        promised={s.place: (load_catalogue().get(GUARANTEE),) for s in each},
        subject=Subject(Version(5, 3, 3), 25),
    )
    held = scenario_from(HELD, directory / "scenarios/1m@java/kill")
    seen = scenario_from(BROKEN, directory / "scenarios/1m@java/kill--control")
    came_out = (ControlResult(Control(scenario=seen.scenario, expect=Verdict.BROKEN), seen),)
    session.add("1m@java", Outcome((GUARANTEE,), held, came_out, function="kill"))
    lost = scenario_from(BROKEN, directory / "scenarios/1m@cpp/kill", rules_of=HELD)
    session.add("1m@cpp", Outcome((GUARANTEE,), lost, function="kill"))
    session.add("1m@remoting", Outcome((GUARANTEE,), not_tested="it has no such thing", function="kill"))
    session.exit_code = exit_code(session.rows())[0]
    publish(session, session.rows())
    return directory


def test_it_is_judged_again_as_it_was_client_by_client(run: Path) -> None:
    text, code = recheck(run)
    assert "3 of 3 rows came out as stored" in text
    assert code == 1, "one client's broken row is the run's"
    assert "(1m, cpp): broken" in text


def test_so_it_is_out_of_a_bundle(run: Path, tmp_path: Path) -> None:
    bundle(run, tmp_path / "it.tar.gz")
    text, code = recheck_bundle(tmp_path / "it.tar.gz", tmp_path / "state")
    assert (code, "3 of 3 rows came out as stored" in text) == (1, True)


@pytest.mark.parametrize(("client", "other"), [("java", "cpp"), ("cpp", "java")])
def test_evidence_that_was_changed_voids_the_row_of_its_own_client_alone(run: Path, client: str, other: str) -> None:
    (line,) = [p for p in (run / f"scenarios/1m@{client}/kill/history").glob("*.jsonl") if p.stem == "oracle"]
    line.write_text(line.read_text() + "\n")
    text, code = recheck(run)
    assert code == 6
    assert f"scenarios/1m@{client}/kill: history/oracle.jsonl was changed" in text
    assert f"scenarios/1m@{other}/kill:" not in text


def test_a_build_server_has_a_name_for_each_clients_row(run: Path) -> None:
    root = ET.parse(run / "junit.xml").getroot()
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names) == 3
    assert {classname for classname, _ in names} == {"1m.java", "1m.cpp", "1m.remoting"}


def test_the_index_has_each_of_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(run.parent)]) == 0
    assert "1 run, 3 rows" in capsys.readouterr().out
    cases = ET.parse(run.parent / "junit.xml").getroot().iter("testsuite")
    assert {(suite.get("failures"), suite.get("skipped")) for suite in cases} == {("0", "0"), ("1", "0"), ("0", "1")}


def test_to_compare_it_would_hide_a_client_behind_another(run: Path, tmp_path: Path) -> None:
    told = r"has several clients \(java, cpp, remoting\): .* run both releases with one --client"
    with pytest.raises(UsageError, match=told), side("base", run, tmp_path / "state"):
        pass


def test_its_page_is_rendered_again_with_a_column_for_each(run: Path) -> None:
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert page == before
    assert all(f"client {client}" in page for client in ("java", "cpp", "remoting"))
