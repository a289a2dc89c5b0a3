"""What is typed after `make`: a misspelled variable must not sign off another cluster."""

from __future__ import annotations

import os
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
