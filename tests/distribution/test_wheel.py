"""The wheel carries what the code reads at run time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_every_data_file(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    topologies = {f"harness/topology/data/{file.name}" for file in (ROOT / "topologies").glob("*.yaml")}
    kinds = (".lock", ".yaml", ".j2", ".css", ".js", ".py")
    sources = [f for f in (ROOT / "harness").rglob("*") if f.suffix in kinds and "__pycache__" not in f.parts]
    wanted = topologies | {file.relative_to(ROOT).as_posix() for file in sources} | {"harness/py.typed"}
    assert topologies
    assert not wanted - packed
