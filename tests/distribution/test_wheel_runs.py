"""The wheel, installed in a fresh environment and used outside the repository, is the whole product."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.conftest import PytestRun, Start, start  # noqa: F401 - a fixture

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


def run(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which borrows the dependencies of this one but not the repository."""
    base = tmp_path_factory.mktemp("outside")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(base), str(ROOT), cwd=base)
    (wheel,) = base.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(base / "venv"), cwd=base)
    (site,) = (base / "venv" / "lib").glob("python3*/site-packages")
    (borrowed,) = (Path(sys.prefix) / "lib").glob("python3*/site-packages")
    for entry in borrowed.iterdir():
        if "rmq_harness" not in entry.name:
            (site / entry.name).symlink_to(entry)
    python = str(base / "venv" / "bin" / "python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index",
        "--disable-pip-version-check", str(wheel), cwd=base)  # fmt: skip
    suites = base / "mine"
    suites.mkdir()
    shutil.copy(ROOT / "tests" / "real" / "suite_smoke.py", suites / "test_smoke.py")
    return base


def test_it_is_not_the_repository_that_is_used(outside: Path) -> None:
    python = str(outside / "venv" / "bin" / "python")
    place = run(python, "-c", "import harness; print(harness.__file__)", cwd=outside / "mine").strip()
    assert place.startswith(str(outside))
    assert "2m-2s-sync" in run(str(outside / "venv" / "bin" / "rmq-harness"), "topologies", cwd=outside / "mine")


def test_a_suite_elsewhere_runs_against_a_real_cluster(outside: Path, start: Start) -> None:  # noqa: F811
    made: PytestRun = start(
        "--topology=1m", "--client=remoting", suite="test_smoke.py",
        python=str(outside / "venv" / "bin" / "python"), cwd=outside / "mine",
    )  # fmt: skip
    assert made.wait() == 0, made.text
    assert "1 held" in made.text
    assert (made.run_dir / "report.html").exists()
