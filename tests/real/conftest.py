"""Runs of pytest over the smoke suite as a user starts them, and what belongs to each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from harness.runtime.base import NAMESPACES
from harness.runtime.probe import probe_capabilities
from harness.waiting import wait_for

ROOT = Path(__file__).parents[2]
RUN_TIMEOUT_S = 300.0


def parents() -> dict[int, int]:
    """Process -> its parent, over the machine."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def born(pid: int) -> str | None:
    """When it was started, in the kernel's ticks: a pid alone may be given again. None if it is dead."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    return None


class PytestRun:
    """One run of pytest in a process of its own; its state and its reports are below `base`."""

    def __init__(
        self,
        base: Path,
        suite: str,
        *options: str,
        python: str = sys.executable,
        cwd: Path = ROOT,
        state: Path | None = None,
    ) -> None:
        self.base = base
        self.token = f"rmq.test.token={uuid4().hex}"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("RMQ_HARNESS_", "PYTEST_"))}
        self.environment["RMQ_HARNESS_STATE"] = str(state or base / "state")
        self.log = base / "output.txt"
        self.seen: dict[int, str] = {}
        words = [python, "-m", "pytest", suite, "-p", "no:cacheprovider", f"--reports={base / 'reports'}"]
        words += [f"--jvm-opt=-D{self.token}", *options]
        base.mkdir(parents=True)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                words, cwd=cwd, env=self.environment, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def run_dir(self) -> Path:
        return (self.base / "reports" / "latest").resolve()

    def descendants(self) -> list[int]:
        """Everything below pytest now; remembered, so that `survivors` can ask for it later."""
        table = parents()
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in table.items() if parent == pid]
        for pid in found[1:]:
            began = born(pid)
            if began is not None:
                self.seen[pid] = began
        return found[1:]

    def survivors(self) -> list[str]:
        """What was seen below pytest, or carries the run's token, and is alive."""
        left = [pid for pid, began in self.seen.items() if born(pid) == began]
        left += [pid for pid in parents() if self.token in command(pid) and pid not in left and born(pid)]
        return [f"{pid}: {command(pid)[:150]}" for pid in left if pid != self.process.pid]

    def find(self, *words: str) -> int:
        """Waits for a process of the run whose command line has all these words."""

        def look() -> int | None:
            if self.process.poll() is not None:
                raise AssertionError(f"pytest ended with {self.process.returncode}:\n{self.text}")
            return next((p for p in self.descendants() if all(w in command(p) for w in words)), None)

        return wait_for(look, what=f"a process with {words}", timeout_s=120, poll_s=0.05, last_seen=lambda: self.text)

    def wait_text(self, text: str) -> None:
        def look() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"pytest ended with {self.process.returncode}:\n{self.text}")
            self.descendants()
            return text in self.text

        wait_for(look, what=f"{text!r} in the output", timeout_s=180, poll_s=0.1, last_seen=lambda: self.text[-500:])

    def wait(self) -> int:
        return self.process.wait(RUN_TIMEOUT_S)

    def assert_nothing_runs(self, within_s: float = 5.0) -> None:
        wait_for(
            lambda: not self.survivors(),
            what="every process of the run to be gone",
            timeout_s=within_s,
            last_seen=lambda: "\n".join(self.survivors()),
        )

    def end(self) -> None:
        """SIGKILL to pytest alone, if it runs: what it started must notice."""
        if self.process.poll() is None:
            self.descendants()
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def clean(self) -> str:
        """`rmq-harness clean` for this run's state."""
        done = subprocess.run(
            [sys.executable, "-m", "harness", "clean"], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def assert_nothing_is_left(self) -> None:
        mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.base) in line]
        assert not mounts
        loops = []
        for file in Path("/sys/block").glob("loop*/loop/backing_file"):
            with suppress(OSError):
                loops += [file.read_text()] if str(self.base) in file.read_text() else []
        assert not loops
        work = self.base / "state" / "work"
        assert not work.exists() or not list(work.iterdir())


Start = Callable[..., PytestRun]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    missing = probe_capabilities().get(NAMESPACES)
    if missing is not None:
        pytest.skip(missing)
    runs: list[PytestRun] = []

    def go(*options: str, suite: str = "tests/real/suite_smoke.py", **more: object) -> PytestRun:
        runs.append(PytestRun(tmp_path / f"run-{len(runs)}", suite, *options, **more))  # type: ignore[arg-type]
        return runs[-1]

    yield go
    for run in runs:
        run.end()
        run.clean()
