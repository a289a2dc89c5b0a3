"""Removes what dead runs left, and nothing else: ownership is by record, pid and start time, never by name."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.core.errors import HarnessError, SetupError
from harness.runtime import owner as owners
from harness.runtime.loops import loop_call, loop_name
from harness.runtime.namespaces import MNT_DETACH, unmount
from harness.runtime.owner import Owner, ProcessMark
from harness.waiting import wait_for

LOOP_CLR_FD = 0x4C01
_DEATH_S = 5.0


def clean(state_dir: Path, *, include_live: bool = False, later: Callable[[str], None] | None = None) -> list[str]:
    """Removes everything that dead runs left; returns one line for each thing removed.

    A run is live while its harness is, or, left up on purpose, while its holder is; live ones are touched only with
    `include_live`, and never the calling process itself. Raises `SetupError` for what cannot be removed; of ended
    containers whose engine cannot be asked `later` is told instead, where it is given: they run nothing.
    """
    removed: list[str] = []
    waiting: list[str] = []
    for path, owner in owners.records(state_dir):
        if owner is None:
            path.unlink(missing_ok=True)
            removed.append(f"unreadable record {path.name}")
            continue
        if owner.live and not (include_live and owner.harness.pid != os.getpid()):
            continue
        try:
            removed += _stray_containers(owner)
        except HarnessError as error:
            # Processes end without the daemon as well: only then is what it keeps nothing that runs.
            removed += end_holder(owner)
            gone = f"if that daemon is gone for good, delete {path}"
            waiting.append(f"the ended containers of run {owner.run_id} cannot be removed yet ({error}); {gone}")
            continue
        removed += _clean_run(owner)
        owners.remove(state_dir, owner.run_id)
        removed.append(f"record of run {owner.run_id}")
    for leftover in (state_dir / "runs").glob("*.new"):
        if ProcessMark.of(int(leftover.suffixes[-2][1:])) is None:
            leftover.unlink(missing_ok=True)
    if waiting and later is None:
        raise SetupError("; ".join(waiting))
    for line in waiting:
        assert later is not None
        later(line)
    return removed


def live_runs(state_dir: Path) -> list[Owner]:
    """The runs that are in use now."""
    return [owner for _path, owner in owners.records(state_dir) if owner is not None and owner.live]


def _clean_run(owner: Owner) -> list[str]:
    removed = end_holder(owner)
    work = Path(owner.work_dir)
    removed += _stray_mounts(work)
    removed += _stray_loops(owners.loop_mark(owner.work_dir))
    if work.exists():
        remove_tree(work)
        removed.append(f"directory {work}")
    return removed


def end_holder(owner: Owner) -> list[str]:
    """With its holder everything of a run ends: a line for each. Raises `SetupError` where it is not ours."""
    if owner.boot_id != owners.boot_id() or owner.holder is None or not owner.holder.alive:
        return []
    try:
        end_process(owner.holder)
    except PermissionError:
        raise SetupError(
            f"run {owner.run_id} goes on: its holder, process {owner.holder.pid}, is not this user's to end: run "
            "`rmq-harness clean` as root"
        ) from None
    return [f"holder {owner.holder.pid} of run {owner.run_id} and everything below it"]


def _stray_containers(owner: Owner) -> list[str]:
    """Those of a run in the engine that has them. Raises `HarnessError` if that one cannot be asked."""
    if not owner.engine:
        return []
    from harness.runtime.engine import Engine
    from harness.runtime.fleet import Fleet

    fleet = Fleet(Engine.connect(owner.engine), owners.loop_mark(owner.work_dir))
    try:
        return fleet.remove()
    finally:
        fleet.close()


def end_process(mark: ProcessMark) -> None:
    """Kills this very process and waits until it is gone; a holder takes everything below it along."""
    try:
        pidfd = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return
    try:
        # Only now is it certain that the descriptor means the process of the record.
        if mark.alive:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_for(
                lambda: not mark.alive,
                what=f"process {mark.pid} to be gone after SIGKILL",
                timeout_s=_DEATH_S,
                poll_s=0.01,
            )
    finally:
        os.close(pidfd)


def _stray_mounts(work: Path) -> list[str]:
    removed = []
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        point = line.split()[4].encode().decode("unicode_escape")
        if Path(point).is_relative_to(work):
            unmount(point, MNT_DETACH)
            removed.append(f"mount {point}")
    return removed


def loops_of(mark: str) -> list[Path]:
    """The loop devices whose name field is `mark`; only root can see them, and only root can make them."""
    found = []
    for entry in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        device = Path("/dev") / entry.parts[3]
        with suppress(OSError):
            if loop_name(device) == mark:
                found.append(device)
    return found


def _stray_loops(mark: str) -> list[str]:
    removed = []
    for device in loops_of(mark):
        loop_call(device, LOOP_CLR_FD)
        removed.append(f"loop device {device}")
    return removed


def remove_tree(path: Path) -> None:
    """Deletes a directory, also where a process took away its own right to do so. Idempotent."""

    def retry(_function: object, name: str, _error: object) -> None:
        target = Path(name)
        with suppress(OSError):
            target.parent.chmod(0o700)
            target.chmod(0o700)
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()

    shutil.rmtree(path, onerror=retry)
    if path.exists():
        raise SetupError(f"{path} cannot be deleted: delete it by hand, or run `rmq-harness clean` as its owner")
