"""The gRPC client: `rocketmq-python-client` and what it needs, pinned by checksum, in the cache and never installed.

What it needs holds wheels for one Python and one processor, so that each Python of the machine has a directory of its
own. `grpcio-tools`, which the client declares and never imports, is left out.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from harness.core.errors import SetupError
from harness.distribution.registry import TLS_REMEDY
from harness.distribution.store import exclusive, put_in_place

PACKAGE: Final = "rocketmq-python-client"
_LOCK: Final = "grpc.lock"
_INSTALL_TIMEOUT_S: Final = 900
_IMPORT_TIMEOUT_S: Final = 60
_OTHERWISE: Final = "use --client java or --client remoting"

Installer = Callable[[Path, Path], None]
"""Puts what a pip requirements file names into a directory. Raises `SetupError`."""


@dataclass(frozen=True)
class GrpcLibrary:
    """A gRPC client that was seen to be importable. `home` is for `sys.path`."""

    home: Path
    version: str


def lock_text() -> str:
    """The lock file: a pip requirements file with the checksums of every wheel, for whatever Python and processor."""
    return files("harness.distribution").joinpath("locks", _LOCK).read_text(encoding="utf-8")


def pinned_version(lock: str) -> str:
    """Which release of the client a lock file names."""
    line = next(line for line in lock.splitlines() if line.startswith(f"{PACKAGE}=="))
    return line.removeprefix(f"{PACKAGE}==").rstrip(" \\")


def home_of(cache: Path, lock: str) -> Path:
    """Where the client lies for this Python: what another lock file names, or another Python needs, lies elsewhere."""
    digest = hashlib.sha256(lock.encode()).hexdigest()[:12]
    return cache / "grpc" / f"{PACKAGE}-{pinned_version(lock)}-{sys.implementation.cache_tag}-{digest}"


def obtain_grpc(cache: Path, *, install: Installer | None = None) -> GrpcLibrary:
    """The client, put into `cache` by pip if it is not there, and each time seen to be whole and importable.

    pip verifies every wheel before it unpacks it. Raises `SetupError` where it cannot be had or imported, or where what
    is in the cache is no longer what was put there.
    """
    lock = lock_text()
    home = home_of(cache, lock)
    if not home.is_dir():
        with exclusive(cache, home.name) as scratch:
            if not home.is_dir():
                pins, built = scratch / "pins.txt", scratch / "built"
                pins.write_text(lock, encoding="utf-8")
                (install or install_with_pip)(pins, built)
                put_in_place(built, home)
    see_it_whole(home, lock)
    return GrpcLibrary(home, pinned_version(lock))


def see_it_whole(home: Path, lock: str) -> None:
    """Raises `SetupError` for a client that is not what the lock file names, or cannot be imported."""
    if wrong := differs(home, lock):
        raise SetupError(
            f"the grpc client in {home} is not what was put there: {wrong}. Remove that directory, or {_OTHERWISE}"
        )
    see_it_import(home)


def differs(home: Path, lock: str) -> str:
    """The first thing in which a directory is not what the lock file names; empty if it is all there and unchanged.

    A wheel says of each of its files which checksum it has; of what was added beside them nothing is said.
    """
    there = {_plain(found.name): found for found in metadata.distributions(path=[str(home)])}
    for pin in (line.rstrip(" \\") for line in lock.splitlines() if "==" in line):
        name, _, version = pin.partition("==")
        found = there.get(_plain(name))
        if found is None:
            return f"{name} is not there"
        if found.version != version:
            return f"{name} is {found.version}, and {version} is pinned"
        for file in found.files or ():
            path = home / file
            if file.hash is not None and ".." not in file.parts and not _is(path, file.hash.mode, file.hash.value):
                return f"{file} {'was changed' if path.exists() else 'is missing'}"
    return ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is(path: Path, algorithm: str, value: str) -> bool:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, algorithm).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == value


def install_with_pip(pins: Path, target: Path) -> None:
    """As pip takes them from the package registry it is set up for, wheels alone, each by its checksum."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--target", str(target), "-r", str(pins)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise SetupError(f"the grpc client did not arrive within {_INSTALL_TIMEOUT_S} s: check the network") from None
    if done.returncode != 0:
        said = " / ".join(done.stderr.strip().splitlines()[-2:])
        tls = f"; {TLS_REMEDY}" if "ssl" in done.stderr.lower() else ""
        raise SetupError(
            f"the grpc client could not be had with pip: {said}. Check the network and pip's settings{tls}; "
            f"or {_OTHERWISE}"
        )


def see_it_import(home: Path) -> None:
    """Imports the client in a process of its own. Raises `SetupError` with how that ended."""
    command = [sys.executable, "-B", "-P", "-c", f"import sys; sys.path.insert(0, {str(home)!r}); import rocketmq"]
    # It makes a directory for its log when it is imported: not in the user's home.
    with TemporaryDirectory(prefix="rmq-grpc-") as nobody:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": nobody}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=_IMPORT_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise SetupError(f"the grpc client was not imported within {_IMPORT_TIMEOUT_S} s; {_OTHERWISE}") from None
    if done.returncode == 0:
        return
    # What a crash said last need not be why: only Python's own end (1) is.
    words = done.stderr.strip().splitlines()[-1:]
    said = "; ".join([*words, *([f"exit code {done.returncode}"] if done.returncode != 1 or not words else [])])
    raise SetupError(f"the grpc client in {home} cannot be imported: {said}. Remove that directory, or {_OTHERWISE}")
