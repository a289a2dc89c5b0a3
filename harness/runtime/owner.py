"""Who owns what a run makes: one record per run, written before anything else and removed last."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process that cannot be mistaken for a later one with the same pid: start time is in clock ticks since boot."""

    pid: int
    start_ticks: int

    @staticmethod
    def of(pid: int) -> ProcessMark | None:
        """The mark of a living process, or None. A zombie is not living."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else ProcessMark(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        """This very process exists."""
        return ProcessMark.of(self.pid) == self


@dataclass(frozen=True, slots=True)
class Owner:
    """What one run has on this machine. `holder` is the cluster's PID 1 as seen from the host."""

    run_id: str
    boot_id: str
    work_dir: str
    harness: ProcessMark
    holder: ProcessMark | None = None
    lingering: bool = False
    engine: str = ""
    """The address of the Docker daemon that has containers of the run; empty without any."""

    @property
    def live(self) -> bool:
        """In use: its harness lives, or it was left up on purpose and its holder lives."""
        if self.boot_id != boot_id():
            return False
        holder_alive = self.holder is not None and self.holder.alive
        return holder_alive if self.lingering else self.harness.alive


def loop_mark(work_dir: str) -> str:
    """What stands in the name field of every loop device of a run, which holds 63 bytes."""
    return "rmq-harness:" + hashlib.sha256(work_dir.encode()).hexdigest()[:32]


def boot_id() -> str:
    """Different after every boot: pids and start times of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def default_state_dir() -> Path:
    """Where runs of this user are recorded: `$XDG_STATE_HOME/rmq-harness`, else `~/.local/state/rmq-harness`.

    Not in the runtime directory: that is emptied at logout and boot, and what a run left on disk is not.
    """
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local/state") / "rmq-harness"


def record_path(state_dir: Path, run_id: str) -> Path:
    """The record of a run."""
    return state_dir / "runs" / f"{run_id}.json"


def socket_path(state_dir: Path, run_id: str) -> Path:
    """Where the holder of a run that was left up listens."""
    return state_dir / "runs" / f"{run_id}.sock"


def write(state_dir: Path, owner: Owner) -> None:
    """Stores a record; a reader sees the old or the new one, never half of it."""
    path = record_path(state_dir, owner.run_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_text(json.dumps(asdict(owner)))
    fresh.replace(path)


def read(path: Path) -> Owner | None:
    """The record in a file, or None if it is none (any more)."""
    try:
        raw = json.loads(path.read_text())
        marks = {key: ProcessMark(**raw[key]) if raw[key] else None for key in ("harness", "holder")}
        return Owner(**{**raw, **marks})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove(state_dir: Path, run_id: str) -> None:
    """Forgets a run. Idempotent."""
    for path in (socket_path(state_dir, run_id), record_path(state_dir, run_id)):
        with suppress(FileNotFoundError):
            path.unlink()


def mark_lingering(state_dir: Path, owner: Owner) -> Owner:
    """The run is to outlive its harness."""
    lingering = replace(owner, lingering=True)
    write(state_dir, lingering)
    return lingering


def records(state_dir: Path) -> Iterator[tuple[Path, Owner | None]]:
    """Every record of a state directory; None for an unreadable one."""
    folder = state_dir / "runs"
    if folder.is_dir():
        for path in sorted(folder.glob("*.json")):
            yield path, read(path)
