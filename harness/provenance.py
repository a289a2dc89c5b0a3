"""Where a run comes from: the options, the machine, the commit, and the name it is filed under. No names, no paths."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
from harness.settings import Settings


def new_run_id(topologies: Sequence[str], seed: int) -> str:
    """`<utc>-<topology>-<seed>`; several topologies are `N-topologies`."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    what = topologies[0] if len(topologies) == 1 else f"{len(topologies)}-topologies"
    return f"{now}-{what}-{seed}"


def now_utc() -> str:
    """The time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def options_json(settings: Settings) -> dict[str, Any]:
    """The options of a run without any path of the machine."""
    return {
        "rocketmq": settings.release_name,
        "upgrade_to": settings.upgrade_name,
        "java": settings.java_name,
        "client": settings.client,
        "runtime": settings.runtime,
        "timers": settings.timers,
        "broker_conf": dict(settings.broker_conf),
        "namesrv_conf": dict(settings.namesrv_conf),
        "jvm_opts": {k: list(v) for k, v in settings.jvm_opts.items()},
        "guarantees": list(settings.guarantees),
        "strict": settings.strict,
        "repeat": settings.repeat,
        # Their names: the commands may hold secrets.
        **({"hooks": sorted(settings.hooks)} if settings.found is not None else {}),
    }


def machine() -> dict[str, Any]:
    """What the run ran on, without names; the load is that of this moment."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "kernel": platform.release(),
        "root": os.geteuid() == 0,
        "load_1min": round(os.getloadavg()[0], 1),
    }


def git_commit() -> str:
    """The commit the harness runs from, with `+` if the tree differs from it; empty outside a repository."""
    return commit_of(Path(harness.__file__).resolve().parent.parent)


def commit_of(root: Path, *parts: str) -> str:
    """The commit of a repository's root, with `+` if the tree (or these parts of it) differs; else empty."""
    if not (root / ".git").exists():
        return ""
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    return head + ("+" if head and _git(root, "status", "--porcelain", "--", *parts) else "")


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
