"""Upgrade cells: which there are, what they have rows of, what they run, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.core.errors import EvidenceError, UsageError
from harness.matrix.cells import CellSpec
from harness.matrix.digest import Digests
from harness.matrix.drive import Matrix
from harness.matrix.plan import upgrades
from harness.matrix.suites import Ran, _check, options
from harness.matrix.upgrades import Links
from harness.report.rows import Run
from tests.matrix.fakes import row

ROOT = Path(__file__).resolve().parents[2]
MOVE = CellSpec(topology="2m-2s-sync", rocketmq="4.9.7", upgrade_to="5.3.3")
ROWS = {
    "rolling-upgrade-loses-nothing",
    "rollback-half-way-loses-nothing",
    "rollback-loses-nothing",
    "upgrade-out-of-order-loses-nothing",
    "upgrade-keeps-what-is-in-flight",
}


def test_every_way_to_a_newer_release_with_every_client() -> None:
    cells = upgrades(["2m-2s-sync"], ["4.4.0", "5.3.3"], ["5.3.3", "5.5.0"], ["java", "java:4.4.0"])
    assert [cell.name for cell in cells] == [
        "2m-2s-sync-4.4.0-to-5.3.3",
        "2m-2s-sync-4.4.0-to-5.3.3-java-4.4.0",
        "2m-2s-sync-4.4.0-to-5.5.0",
        "2m-2s-sync-4.4.0-to-5.5.0-java-4.4.0",
        "2m-2s-sync-5.3.3-to-5.5.0",
        "2m-2s-sync-5.3.3-to-5.5.0-java-4.4.0",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((["2m-2s-sync"], ["5.5.0"], ["5.3.3"], ["java"]), "no upgrade leads from 5.5.0 to 5.3.3"),
        ((["2m-2s-sync"], ["4.9.7"], ["9.9.9"], ["java"]), "9.9.9"),
        ((["2m-2s-sync"], ["4.9.7"], ["5.3.3"], ["foo"]), "--client 'foo'"),
        ((["1n"], ["4.9.7"], ["5.3.3"], ["java"]), "known are"),
        ((["1m"], ["4.9.7"], ["5.3.3"], ["java"]), "1m promises nothing of an upgrade"),
        ((["2m-2s-sync"], ["9.9.9"], ["5.3.3"], ["java"]), "9.9.9"),
    ],
)
def test_what_there_is_not_is_refused(words: tuple[list[str], ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        upgrades(*words)


def test_its_rows_are_those_that_need_two_releases() -> None:
    now = Digests(ROOT).of_cell(MOVE)
    assert set(now) == ROWS
    other = Digests(ROOT).of_cell(MOVE.model_copy(update={"upgrade_to": "5.5.0"}))
    assert {name: inputs.topology for name, inputs in now.items()} != {n: i.topology for n, i in other.items()}


def test_the_command_line_names_both_releases() -> None:
    words = options(MOVE, [], Path("/r"))
    assert "--upgrade-from=4.9.7" in words
    assert "--upgrade-to=5.3.3" in words
    assert not any(word.startswith("--rocketmq") for word in words)


def ran(upgrade_to: str | None, *names: str) -> Ran:
    run = Run(id="a-run", seed=1, started_utc="now", versions={}, options={"upgrade_to": upgrade_to})
    return Ran(0, run, tuple(row(name, topology="2m-2s-sync", rocketmq="4.9.7 to 5.3.3") for name in names))


@pytest.mark.parametrize("to", [None, "5.5.0"])
def test_a_run_that_moved_nodes_elsewhere_is_refused(to: str | None) -> None:
    with pytest.raises(EvidenceError, match="not asked for"):
        _check(MOVE, ran(to))
    _check(MOVE, ran("5.3.3", *sorted(ROWS)))


@pytest.mark.parametrize("release", ["4.9.7", "5.3.3", "4.9.7 to 5.5.0"])
def test_a_row_of_another_move_or_of_one_release_is_refused(release: str) -> None:
    told = ran("5.3.3", "rolling-upgrade-loses-nothing")
    other = told.rows[0].model_copy(update={"rocketmq": release})
    with pytest.raises(EvidenceError, match="not what was asked for"):
        _check(MOVE, Ran(told.exit_code, told.run, (other,)))


def test_the_page_leads_to_the_runs_that_are_still_there(tmp_path: Path) -> None:
    asked: list[Any] = []

    def run_suites(spec: CellSpec, guarantees: Any) -> Ran:
        asked.append((spec.name, tuple(guarantees)))
        return ran("5.3.3", *(guarantees or sorted(ROWS)))

    links = Links(tmp_path, tmp_path / "runs")
    matrix = Matrix(ROOT, tmp_path, run_suites, lambda _text: None, render=links.upgrades, page="upgrades.md")
    assert matrix.run([MOVE]) == 0
    page = (tmp_path / "upgrades.md").read_text()
    assert "| 2m-2s-sync | 4.9.7 | 5.3.3 | java | held | held | held | held | held |" in page
    (tmp_path / "runs" / MOVE.name / "a-run").mkdir(parents=True)
    (tmp_path / "runs" / MOVE.name / "a-run" / "report.html").touch()
    matrix.write_table([MOVE])
    assert f"[held](runs/{MOVE.name}/a-run/report.html)" in (tmp_path / "upgrades.md").read_text()
    before = len(asked)
    assert matrix.run([MOVE]) == 0
    assert len(asked) == before, "what stands is not run again"


def test_the_command_says_what_it_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["upgrade-matrix", "--from", "4.9.7,5.2.0", "--to=5.3.3", "--status", f"--results={tmp_path}"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "2m-2s-sync-4.9.7-to-5.3.3: 5 of 5 rows to run (5 never run)" in out
    assert "2m-2s-sync-5.2.0-to-5.3.3: 5 of 5 rows to run" in out
    assert str(tmp_path / "upgrades.md") in out


@pytest.mark.parametrize("words", [["--from", "4.9.7,", "--to", "5.3.3"], ["--from", "4.9.7", "--to", ""]])
def test_an_empty_word_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade-matrix", *words]) == 4
    assert "nothing stands" in capsys.readouterr().err


def test_results_that_are_a_file_are_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a-file").touch()
    words = ["upgrade-matrix", "--from=4.9.7", "--to=5.3.3", "--status", f"--results={tmp_path / 'a-file'}"]
    assert main(words) == 4
    assert "is not a directory" in capsys.readouterr().err
