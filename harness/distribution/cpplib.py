"""The C++ client: a wheel of `rocketmq-client-python`, pinned by checksum, unpacked into the cache and never installed.

The wheel is built for x86-64 and carries librocketmq. Elsewhere its Python layer is used alone, over a librocketmq that
was installed on the machine.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from harness.core.errors import SetupError
from harness.distribution.store import exclusive, put_in_place, sha256_of
from harness.distribution.wheels import Wheel, WheelFetcher, download, unpack

PACKAGE: Final = "rocketmq"
"""What the wheel's Python package is called."""

BUNDLED: Final = "bundled"
"""The library of the wheel itself."""

_FILE: Final = "librocketmq.so"
_LOAD_TIMEOUT_S: Final = 60
# At its end the interpreter waits for threads of the library, for ever: this must not come there.
_LOADS: Final = "import os, rocketmq.client; os._exit(0)"


@dataclass(frozen=True)
class CppLibrary:
    """A C++ client that was seen to load. `home` is for `sys.path`; `library` is as `whose_library` has it."""

    home: Path
    version: str
    library: str


@dataclass(frozen=True)
class Pinned:
    """The wheel, the processor that its library is built for, and the library's own checksum."""

    wheel: Wheel
    machine: str
    library_sha256: str


def pinned() -> Pinned:
    """What the lock file says."""
    text = files("harness.distribution").joinpath("locks", "cpp.lock").read_text(encoding="utf-8")
    lock = json.loads(text)
    wheel = Wheel(lock["package"], lock["version"], tuple(lock["sha256"]), lock["platform"])
    return Pinned(wheel, lock["machine"], lock["library_sha256"])


def fetch_cpp(wheel: Wheel, scratch: Path) -> Path:
    """The wheel. Raises `SetupError` with pip's last words."""
    return download(wheel, scratch, otherwise="use --client java or --client remoting")


def obtain_cpp(cache: Path, *, machine: str | None = None, fetch: WheelFetcher = fetch_cpp) -> CppLibrary:
    """The client, unpacked into `cache` if it is not there whole; the library of the wheel is verified each time.

    Raises `SetupError` where it cannot be had, where this machine's processor needs an installed librocketmq and there
    is none, and where the library cannot be loaded.
    """
    pin, library = pinned(), whose_library(machine)
    if library is None:
        raise SetupError(f"the cpp client's wheel {none_for(pin)}, or use --client java or --client remoting")
    carries = library == BUNDLED
    home = home_of(pin, cache, library)
    name = home.name
    if not _whole(home, pin, carries=carries):
        with exclusive(cache, name) as scratch:
            if not _whole(home, pin, carries=carries):
                built = scratch / "unpacked"
                _unpack(fetch(pin.wheel, scratch), built, carries=carries)
                put_in_place(built, home)
        if not _whole(home, pin, carries=carries):
            raise SetupError(f"{name} does not hold the library that its lock file names: the lock file is wrong")
    see_it_load(home)
    return CppLibrary(home, pin.wheel.version, library)


def whose_library(machine: str | None = None) -> str | None:
    """`BUNDLED` where the wheel's library is for this processor, else the name of an installed one, else None."""
    if (machine or platform.machine()) == pinned().machine:
        return BUNDLED
    return ctypes.util.find_library(PACKAGE)


def none_for(pin: Pinned) -> str:
    """What is wrong where `whose_library` has none, and what to do."""
    return (
        f"carries its library for {pin.machine} alone, and no librocketmq is installed on this machine: install one "
        "where the loader finds it"
    )


def home_of(pin: Pinned, cache: Path, library: str) -> Path:
    """Where the client is unpacked: one that stands on an installed library lies elsewhere."""
    own = "" if library == BUNDLED else "-python"
    return cache / "cpp" / f"{pin.wheel.package}-{pin.wheel.version}{own}"


def see_it_load(home: Path) -> None:
    """Loads the client in a process of its own. Raises `SetupError` with how that ended."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.devnull, "PYTHONPATH": str(home)}
    command = [sys.executable, "-B", "-P", "-c", _LOADS]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_LOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        ended, said = f"did not end within {_LOAD_TIMEOUT_S} s", ""
    else:
        if done.returncode == 0:
            return
        code = done.returncode
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        said = ": " + (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise SetupError(
        f"the cpp client's library could not be loaded, a Python that tried it {ended}{said}. It needs glibc on its "
        "own processor; use --client java or --client remoting"
    )


def _whole(home: Path, pin: Pinned, *, carries: bool) -> bool:
    package = home / PACKAGE
    try:
        right = not carries or sha256_of(package / _FILE) == pin.library_sha256
    except OSError:
        return False
    return right and (package / "client.py").is_file()


def _unpack(wheel: Path, target: Path, *, carries: bool) -> None:
    """The package alone: of what else is in the wheel, `samples` would be found on a path of everybody's."""
    everything = target.with_name("wheel")
    unpack(wheel, everything)
    package = everything / PACKAGE
    if not carries:
        (package / _FILE).unlink(missing_ok=True)
        shutil.rmtree(package / ".libs", ignore_errors=True)
    target.mkdir()
    package.rename(target / PACKAGE)
