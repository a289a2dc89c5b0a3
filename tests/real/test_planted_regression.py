"""A release in which a defect was planted is worse than the one that it was made from, and `compare` says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main
from tests.planted.defects import plant
from tests.real.conftest import ROOT

pytestmark = pytest.mark.real

ROW = "sync-master-survives-disk-loss"


def run(base: Path, name: str, release: str) -> tuple[Path, int]:
    words = [sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider", f"--reports={base / name}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RMQ_HARNESS_", "PYTEST_"))}
    done = subprocess.run(
        [*words, "--topology=1m-1s-sync", f"--rocketmq={release}", f"--guarantee={ROW}"],
        cwd=ROOT,
        env=environment | {"RMQ_HARNESS_STATE": str(base / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    sys.stdout.write(done.stdout[-3000:] + done.stderr[-1000:])
    return (base / name / "latest").resolve(), done.returncode


def test_a_planted_regression_is_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a SYNC_MASTER waits for in vain it acknowledges all the same; the release itself does not."""
    base, code = run(tmp_path, "base", "5.3.3")
    assert code == 0
    candidate, code = run(tmp_path, "candidate", f"path:{plant('timeout-is-ok', '5.3.3', tmp_path / 'planted')}")
    assert code == 1
    assert main(["compare", str(base), str(candidate), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "1 worse" in said
    assert "ok_despite" in said
