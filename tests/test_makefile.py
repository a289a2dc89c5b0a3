"""What is typed after `make`: a misspelled variable must not sign off another cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("make")
    assert tool is not None
    # What the make that runs these tests was told is not for this one.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run([tool, "-n", *words], cwd=ROOT, env=own, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("word", ["topology=1m", "TOPOLGY=1m", "ROCKET_MQ=4.9.7", "ARG=-n 2"])
def test_a_variable_that_is_not_known_is_refused_by_name(word):
    done = make("signoff", word)
    assert done.returncode == 2
    assert f"make knows no variable {word.partition('=')[0]}: write one of TOPOLOGY ROCKETMQ ARGS" in done.stderr
    assert "pytest" not in done.stdout


def test_those_that_are_known_reach_the_command():
    done = make("signoff", "TOPOLOGY=1m", "ROCKETMQ=4.9.7", "ARGS=-n 2 --strict")
    assert "pytest suites/ -n auto --topology=1m --rocketmq=4.9.7 -n 2 --strict" in done.stdout


def test_no_topology_at_all_is_refused():
    done = make("signoff", "TOPOLOGY=")
    assert done.returncode == 2
    assert "TOPOLOGY is empty: name one" in done.stderr
    assert "pytest" not in done.stdout


def test_a_night_is_that_of_today_unless_it_is_named():
    (today,) = set(re.findall(r"reports/nightly/([^/ ;]+)", make("nightly").stdout))
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", today)
    done = make("nightly", "NIGHT=2026-12-01", "MATRIX_TOPOLOGIES=1m", "TOPOLOGY=1m 2m-noslave", "ARGS=--status")
    assert set(re.findall(r"reports/nightly/([^/ ;]+)", done.stdout)) == {"2026-12-01"}
    places = "--results reports/nightly/2026-12-01 --reports reports/nightly/2026-12-01/runs"
    assert f"matrix --plan nightly.yaml {places} --topology=1m  --status" in done.stdout
    assert "matrix --long --topology=1m --topology=2m-noslave --rocketmq=5.3.3" in done.stdout
    assert "--fresh" not in done.stdout


@pytest.mark.parametrize("night", ["", "a b", "a/b", "..", "runs"])
def test_what_names_no_night_is_refused(night):
    done = make("nightly", f"NIGHT={night}")
    assert done.returncode == 2
    assert f'NIGHT is "{night}": name one night, such as NIGHT=2026-12-01, or leave it out' in done.stderr
    assert "rmq-harness" not in done.stdout


@pytest.fixture
def night(tmp_path):
    """Runs `make nightly` with tools that only say what they were told, and end as they are told to."""
    for name in ("requirements.lock", "pyproject.toml", "hatch_build.py", "conftest.py"):
        (tmp_path / name).touch()
    for name in ("harness", "suites", "suites-nightly", "tests", "topologies", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for tool in ("rmq-harness", "pytest"):
        path = tmp_path / ".venv/bin" / tool
        path.write_text(
            f'#!/bin/sh\necho "{tool} $*" >> told\ncase "{tool} $*" in\n'
            "*--plan*) exit ${PLAN:-0};; *--long*) exit ${LONG:-0};;\n"
            "pytest*) exit ${TESTS:-0};; *) exit ${INDEX:-0};;\nesac\n"
        )
        path.chmod(0o755)
    (tmp_path / ".venv/.installed").touch()

    def run(**codes):
        tool = shutil.which("make")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "NIGHT"))}
        (tmp_path / "told").write_text("")
        done = subprocess.run(
            [tool, "nightly", "NIGHT=n"],
            cwd=tmp_path,
            env=own | {name: str(code) for name, code in codes.items()},
            capture_output=True,
            text=True,
            check=False,
        )
        ended = re.search(r"Error (\d+)", done.stderr)
        told = [" ".join(line.split()[:3]) for line in (tmp_path / "told").read_text().splitlines()]
        return int(ended.group(1)) if ended else done.returncode, told

    run.root = tmp_path
    return run


ALL = ["rmq-harness matrix --plan", "rmq-harness matrix --long", "pytest tests -m", "rmq-harness index reports/nightly"]


@pytest.mark.parametrize(
    ("codes", "gravest"),
    [
        ({}, 0),
        ({"PLAN": 6}, 6),
        ({"PLAN": 1, "LONG": 6}, 1),
        ({"PLAN": 6, "LONG": 1}, 1),
        ({"PLAN": 4, "LONG": 6}, 6),
        ({"PLAN": 6, "TESTS": 1}, 1),
        ({"INDEX": 4}, 4),
        ({"PLAN": 1, "INDEX": 6}, 1),
    ],
)
def test_every_part_of_a_night_is_run_and_the_gravest_code_is_its_own(night, codes, gravest):
    assert night(**codes) == (gravest, ALL)


def test_a_night_that_is_interrupted_still_leaves_its_index(night):
    assert night(PLAN=130) == (130, [ALL[0], ALL[3]])
    assert night(LONG=130, PLAN=1) == (1, [ALL[0], ALL[1], ALL[3]])


def test_long_tests_that_passed_are_left_alone_until_something_changes(night):
    assert night(TESTS=1)[1] == ALL
    assert night() == (0, ALL), "they had failed"
    assert night() == (0, [ALL[0], ALL[1], ALL[3]])
    later = (night.root / "reports/nightly/n/tests.passed").stat().st_mtime + 1
    (night.root / "harness/new.py").touch()
    os.utime(night.root / "harness/new.py", (later, later))
    assert night() == (0, ALL)
