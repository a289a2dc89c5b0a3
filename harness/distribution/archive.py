"""Class-data archives: what a JVM has loaded and linked once, it need not load again at the next start.

Java 25 writes one file (`AOTCache`); Java 13 to 24 write a dynamic archive on top of a base archive, which
the pinned runtimes lack and which is made here; older ones go without. An archive only saves time: which
classes run, and what they do, does not depend on it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from harness.core.errors import SetupError
from harness.distribution.jre import Jre
from harness.distribution.store import exclusive, put_in_place, sha256_of

_FIRST_DYNAMIC = 13
_FIRST_AOT = 25
_BASE_TIMEOUT_S = 120
_CLEAN_EXITS = (0, 143, -15)


@dataclass(frozen=True)
class ArchivePlan:
    """How one start of a JVM uses or makes its archive: put `flags` before the main class.

    If `trains`, the JVM writes to `scratch` at its end, which takes 1 to 6 s longer than usual, and the caller
    passes its exit status to `keep`. Else there is nothing more to do.
    """

    flags: tuple[str, ...] = ()
    archive: Path | None = None
    scratch: Path | None = None

    @property
    def trains(self) -> bool:
        """Whether this start makes the archive instead of using it."""
        return self.scratch is not None

    def keep(self, exit_status: int) -> Path | None:
        """Puts what a training run wrote in place, and returns where; None, and nothing kept, if it did not end well.

        An end by SIGTERM (143 or -15) is well. Never raises: an archive that cannot be kept is made next time.
        """
        if self.scratch is None or self.archive is None:
            return None
        try:
            if exit_status in _CLEAN_EXITS and self.scratch.is_file() and self.scratch.stat().st_size:
                return _seal(self.scratch, self.archive)
            self.scratch.unlink(missing_ok=True)
        except OSError:
            return None
        return None


def archive_flags(jre: Jre, role_key: str, jars: Iterable[Path], cache_dir: Path) -> ArchivePlan:
    """The plan for a JVM of `jre` with exactly these jars as its class path, in this order.

    `role_key` names the main class and every JVM option that picks another collector or compiler; it may hold any
    text. An archive is used only if its content matches the checksum in its name: a damaged one is removed and
    made again, for a JVM does not look at all of it. No plan for a Java before 13, or if the cache cannot be used.
    """
    if jre.major < _FIRST_DYNAMIC:
        return ArchivePlan()
    try:
        return _plan(jre, _key(jre, role_key, list(jars)), cache_dir / "archives")
    except (OSError, subprocess.SubprocessError, SetupError):
        return ArchivePlan()


def _plan(jre: Jre, key: str, shelf: Path) -> ArchivePlan:
    kind = "aot" if jre.major >= _FIRST_AOT else "jsa"
    stem = shelf / f"{key}.{kind}"
    base = None if kind == "aot" else _base(jre, shelf)
    sealed = _sealed(stem)
    if sealed is not None:
        return ArchivePlan(_use(sealed, base, kind), archive=sealed)
    shelf.mkdir(parents=True, exist_ok=True)
    if not os.access(shelf, os.W_OK):
        return ArchivePlan()
    scratch = stem.with_name(f"{stem.name}.{uuid4().hex[:8]}.part")
    return ArchivePlan(_train(scratch, base, kind), archive=stem, scratch=scratch)


def _use(archive: Path, base: Path | None, kind: str) -> tuple[str, ...]:
    if kind == "aot":
        return (f"-XX:AOTCache={archive}", "-XX:AOTMode=auto")
    both = f"{base}:{archive}" if base else str(archive)
    return ("-Xshare:auto", f"-XX:SharedArchiveFile={both}")


def _train(scratch: Path, base: Path | None, kind: str) -> tuple[str, ...]:
    if kind == "aot":
        # What it could not archive, a JVM says class by class.
        return (f"-XX:AOTCacheOutput={scratch}", "-Xlog:aot*=error")
    below = (f"-XX:SharedArchiveFile={base}",) if base else ()
    return ("-Xshare:auto", *below, f"-XX:ArchiveClassesAtExit={scratch}", "-Xlog:cds*=error")


def _key(jre: Jre, role_key: str, jars: Sequence[Path]) -> str:
    # Not where the JRE lies: an archive fits every copy of one build, and each virtual environment brings a copy.
    lines = [jre.build, role_key]
    for jar in jars:
        seen = jar.stat()
        lines.append(f"{jar} {seen.st_size} {seen.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:20]


def _seal(scratch: Path, stem: Path) -> Path:
    target = stem.with_name(f"{stem.stem}.{sha256_of(scratch)[:16]}{stem.suffix}")
    scratch.replace(target)
    return target


def _sealed(stem: Path) -> Path | None:
    for file in sorted(stem.parent.glob(f"{stem.stem}.*{stem.suffix}")):
        if sha256_of(file)[:16] == file.name.split(".")[1]:
            return file
        file.unlink(missing_ok=True)
    return None


def _base(jre: Jre, shelf: Path) -> Path | None:
    """The archive of the Java library itself: None where the Java brings its own, made here where it does not."""
    if (jre.libjvm.parent / "classes.jsa").is_file():
        return None
    stem = shelf / f"base-{hashlib.sha256(jre.build.encode()).hexdigest()[:12]}.jsa"
    found = _sealed(stem)
    if found is not None:
        return found
    with exclusive(shelf.parent, stem.stem) as scratch:
        made = scratch / stem.name
        command = [str(jre.java), "-Xshare:dump", "-XX:+UseSerialGC", f"-XX:SharedArchiveFile={made}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BASE_TIMEOUT_S, check=False)
        if done.returncode != 0 or not made.is_file():
            raise SetupError(f"{jre.java} made no base archive: {done.stderr.strip()[-200:]}")
        target = stem.with_name(f"{stem.stem}.{sha256_of(made)[:16]}.jsa")
        put_in_place(made, target)
        return target
