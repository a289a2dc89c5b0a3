"""The user's cache of verified files: nothing enters it unverified, and nothing enters it by halves.

CACHE/jars/SHA256/NAME.jar      every jar once, shared by all versions
CACHE/releases/LABEL-DIGEST/    the jars of one lock in one directory: hard links to the above
CACHE/jre/NAME/                 unpacked Java runtimes
CACHE/archives/                 class-data archives
CACHE/tmp/, CACHE/locks/        downloads under way, and what keeps two processes apart
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from harness.core.errors import SetupError
from harness.distribution.locks import Artifact, Lock
from harness.distribution.registry import Fetcher

_DOWNLOADS_AT_ONCE = 16
_LOCK_TIMEOUT_S = 900.0
# A class-data archive is bound to the time stamps of its jars, which must survive a second download.
_STAMP_S = 1_600_000_000


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/rmq-harness`, or `~/.cache/rmq-harness`. Not created."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "rmq-harness"


def sha256_of(file: Path) -> str:
    """The checksum of a file's content, in hexadecimal. Raises `OSError` if it cannot be read."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def exclusive(cache: Path, name: str, *, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[Path]:
    """Holds the cache's lock `name` against other processes and gives a scratch directory, removed at the end.

    The scratch directory is on the cache's file system, so that a rename out of it is atomic. Raises
    `SetupError` where the cache cannot be written, or another process keeps the lock for `timeout_s`.
    """
    with _reported(cache):
        for part in ("locks", "tmp"):
            (cache / part).mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "locks" / f"{name}.lock", timeout=timeout_s)
        try:
            lock.acquire()
        except Timeout:
            raise SetupError(
                f"another process has been filling {name} in the cache {cache} for {timeout_s:.0f} s: wait for "
                "it or end it, or use another cache (RMQ_HARNESS_CACHE)"
            ) from None
        try:
            with TemporaryDirectory(dir=cache / "tmp", prefix=f"{name}-") as scratch:
                yield Path(scratch)
        finally:
            lock.release()


@contextmanager
def _reported(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"the cache {cache} cannot be used ({error.strerror or error}): make it a directory you may write to, "
            "with room for 200 MB, or name another one with RMQ_HARNESS_CACHE"
        ) from error


def obtain(lock: Lock, cache: Path, fetch: Fetcher, *, quiet: bool = False) -> tuple[Path, ...]:
    """The jars of `lock`, in one directory of the cache, sorted by name, each verified in this very call.

    What is missing or no longer matches its checksum is downloaded; a complete cache is only read. Raises
    `SetupError` naming the jar and the remedy, and then leaves no unverified file behind.
    """
    home = cache / "releases" / f"{lock.label}-{lock.digest}"
    jars = tuple(home / name for name in sorted(jar.filename for jar in lock.artifacts))
    if _intact(lock, home):
        return jars
    with exclusive(cache, lock.label) as scratch:
        if not _intact(lock, home):
            pooled = _pool(lock, cache, scratch, fetch, quiet=quiet)
            _assemble(pooled, scratch / "release", home)
    return jars


def _intact(lock: Lock, home: Path) -> bool:
    return all(_matches(home / jar.filename, jar) for jar in lock.artifacts)


def _matches(file: Path, artifact: Artifact) -> bool:
    try:
        return file.stat().st_size == artifact.size_bytes and sha256_of(file) == artifact.sha256
    except OSError:
        return False


def _pool(lock: Lock, cache: Path, scratch: Path, fetch: Fetcher, *, quiet: bool) -> list[Path]:
    """Every jar of the lock in `CACHE/jars`, downloaded in parallel where it is not there."""
    places = {jar: cache / "jars" / jar.sha256 / jar.filename for jar in lock.artifacts}
    missing = [jar for jar, place in places.items() if not _matches(place, jar)]
    with _bar(lock.label, sum(jar.size_bytes for jar in missing), quiet=quiet) as advance:
        pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="download")
        try:
            work = {pool.submit(_fetch_verified, jar, places[jar], scratch, fetch): jar for jar in missing}
            for done in as_completed(work):
                done.result()
                advance(work[done].size_bytes)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return list(places.values())


def _fetch_verified(artifact: Artifact, place: Path, scratch: Path, fetch: Fetcher) -> None:
    file = fetch(artifact, scratch)
    found = sha256_of(file)
    if found != artifact.sha256:
        raise SetupError(
            f"{artifact.coordinate} has the wrong checksum: expected sha256 {artifact.sha256}, got {found}. It was "
            "thrown away; if this comes again, the registry or a proxy serves an altered file"
        )
    os.utime(file, (_STAMP_S, _STAMP_S))
    place.parent.mkdir(parents=True, exist_ok=True)
    file.replace(place)


def _assemble(jars: list[Path], building: Path, home: Path) -> None:
    building.mkdir()
    for jar in jars:
        _link(jar, building / jar.name)
    put_in_place(building, home)


def put_in_place(built: Path, home: Path) -> None:
    """Renames a finished directory to `home`; one that was there is set aside first, beside the new one."""
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.exists():
        home.rename(built.with_name(f"{built.name}.old"))
    built.rename(home)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


@contextmanager
def _bar(label: str, total_bytes: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not total_bytes) as progress:
        task = progress.add_task(f"downloading {label}", total=total_bytes)
        yield lambda count: progress.advance(task, count)
