"""The layers of pyproject.toml hold, and the rules that no linter knows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_imports_point_one_way():
    done = subprocess.run([LINT_IMPORTS, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_can_fail(tmp_path):
    package = tmp_path / "harness"
    for module in ("core", "waiting", "wire"):
        (package / module).mkdir(parents=True)
        (package / module / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "core" / "__init__.py").write_text("import harness.wire\n")
    text = (ROOT / "pyproject.toml").read_text()
    layers = re.search(r"\[tool\.importlinter\]\n.*?(?=\n\[\[[^\n]*\]\]\nname = \"What)", text, re.DOTALL)
    assert layers is not None
    (tmp_path / "pyproject.toml").write_text(layers.group(0))
    command = [LINT_IMPORTS, "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "harness.core -> harness.wire" in done.stdout


def test_the_lock_file_pins_by_hash_and_names_no_place():
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
