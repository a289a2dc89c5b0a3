"""A run in one file that another person can check: packed with a manifest, and refused where one byte is another.

A bundle is a gzipped tar of a run directory with `MANIFEST.json` first, and behind it a gzip member of fixed length
that says the SHA-256 of all bytes before it. It finds accidents and careless hands; who can write a whole bundle can
also write matching digests, so its own SHA-256 belongs where the sign-off is written down.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Final, Literal, cast

from pydantic import Field, ValidationError

from harness.core.errors import EvidenceError, UsageError
from harness.core.expectation import Data
from harness.core.fields import refused
from harness.evidence.files import refuse_unwritable, remedy_for, write_atomically
from harness.evidence.loading import PACKED
from harness.recheck import recheck, run_directory, untouched
from harness.runtime import owner as owners
from harness.runtime.reaper import remove_tree
from harness.stored import load_session, sha256_of

SUFFIX: Final = ".bundle.tar.gz"
MANIFEST: Final = "MANIFEST.json"
_SPARE_BYTES: Final = 64 * 2**20
_CHUNK: Final = 2**20
_SAYS: Final = "sha256 {digest} of the {size:020d} bytes before this\n"


class Entry(Data):
    """One file of a bundle: its SHA-256 in hex, and its size in bytes."""

    sha256: str
    size: int = Field(ge=0)


class Manifest(Data):
    """What is in a bundle, by path below the run directory, and by which version of the harness it was packed."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    run: str
    harness: str
    files: dict[str, Entry]


def bundle(run: Path, out: Path | None = None) -> str:
    """Packs a run into `out` (default `<run-id>.bundle.tar.gz` beside it), and says where it is and what it is.

    The same run gives the same bytes with the same zlib. What is only made for speed (`history.parquet`) stays out.
    A run that was cut short is packed as it is. Raises UsageError for what is no run, for an `out` that is there or
    lies inside the run, and EvidenceError if what is stored was changed since, or changes meanwhile, or cannot be
    written.
    """
    directory = run_directory(run)
    target = out or directory.parent / f"{directory.name}{SUFFIX}"
    if target.exists():
        raise UsageError(f"{target} is there already: remove it, or name another file with --out")
    if target.resolve().is_relative_to(directory):
        raise UsageError(f"{target} would be a part of the run that it holds: name a file elsewhere with --out")
    if out is not None:
        refuse_unwritable(out.parent, "--out")
    untouched(directory)
    manifest = _manifest(directory)
    write_atomically(target, lambda part: _write(part, directory, manifest))
    size, digest = target.stat().st_size, sha256_of(target)
    short = (
        ""
        if load_session(directory)[2].ended_utc
        else "; the run was cut short or is not yet at its end, and stays that in the bundle"
    )
    return f"{target}: {len(manifest.files)} files of run {manifest.run}, {size:,} bytes, sha256 {digest}{short}"


def recheck_bundle(path: Path, state_dir: Path) -> tuple[str, int]:
    """Unpacks a bundle, judges the run in it again, and removes it; see `recheck`. Needs no network and no cluster.

    Raises EvidenceError, before anything is judged, for a bundle of which one byte is not what it was.
    """
    with unpacked(path, state_dir) as (directory, manifest):
        text, code = recheck(directory)
    return f"{text}\nThe bundle is whole: {len(manifest.files)} files of run {manifest.run}.", code


@contextmanager
def unpacked(path: Path, state_dir: Path) -> Iterator[tuple[Path, Manifest]]:
    """The run directory in a bundle, for as long as it is looked at; `clean` removes it if this process is killed."""
    size = _verify(path)
    work = Path(tempfile.mkdtemp(prefix="rmq-bundle-"))
    run_id = work.name
    mark = owners.ProcessMark.of(os.getpid())
    assert mark is not None, "this process is alive"
    try:
        owners.write(state_dir, owners.Owner(run_id, owners.boot_id(), str(work), mark))
        yield work, _unpack(path, size, work)
    except OSError as error:
        raise EvidenceError(
            f"{path} cannot be unpacked ({error.strerror or error}): {remedy_for(error, work)}"
        ) from error
    finally:
        remove_tree(work)
        owners.remove(state_dir, run_id)


def _manifest(directory: Path) -> Manifest:
    files = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not name.isprintable():
            raise EvidenceError(f"{name!r} cannot name a file of a run: rename or remove it")
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise EvidenceError(f"{path} is neither file nor directory: a run has none such; remove it")
        if path.is_file() and path.name != PACKED:
            try:
                files[name] = Entry(sha256=sha256_of(path), size=path.stat().st_size)
            except OSError as error:
                raise EvidenceError(
                    f"{path} cannot be read ({error.strerror}): make it readable for this user"
                ) from error
    return Manifest(run=directory.name, harness=version("rmq-harness"), files=files)


def _write(part: Path, directory: Path, manifest: Manifest) -> None:
    with part.open("wb") as raw:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            text = manifest.model_dump_json(by_alias=True, indent=1).encode()
            tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
            for name, entry in manifest.files.items():
                with (directory / name).open("rb") as stream:
                    seen = _Seen(stream)
                    try:
                        tar.addfile(_member(name, entry.size), cast(IO[bytes], seen))
                    except OSError as error:
                        if error.errno is None:  # tarfile's own "unexpected end of data"
                            raise _changing(directory / name) from None
                        raise
                    if seen.digest.hexdigest() != entry.sha256 or stream.read(1):
                        raise _changing(directory / name)
        raw.flush()
    size, digest = part.stat().st_size, sha256_of(part)
    with part.open("ab") as raw:
        raw.write(_trailer(size, digest))


def _changing(path: Path) -> EvidenceError:
    return EvidenceError(f"{path} changed while it was packed: wait until the run has ended")


class _Seen:
    """A stream, and the digest of what was read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Without owner and time: they say nothing of the evidence, and the one who packs."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info


def _trailer(size: int, digest: str) -> bytes:
    """A gzip member with a stored block, byte by byte, for no two zlibs need compress alike."""
    text = _SAYS.format(digest=digest, size=size).encode()
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    block = b"\x01" + struct.pack("<HH", len(text), len(text) ^ 0xFFFF) + text
    return head + block + struct.pack("<II", zlib.crc32(text), len(text))


_TRAILER_BYTES: Final = len(_trailer(0, "0" * 64))


def _verify(path: Path) -> int:
    """How many bytes are before the trailer. Raises EvidenceError if these are not the bytes that were written."""
    try:
        size = path.stat().st_size - _TRAILER_BYTES
        digest = _digest_of_first(path, max(size, 0))
        with path.open("rb") as stream:
            stream.seek(max(size, 0))
            whole = size > 0 and stream.read() == _trailer(size, digest)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}") from error
    if not whole:
        raise EvidenceError(
            f"{path} is not what `rmq-harness bundle` wrote: it was changed or cut short, or is no bundle; get it again"
        )
    return size


def _unpack(path: Path, size: int, work: Path) -> Manifest:
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=_Head(raw, size), mode="r|gz") as tar:
            members = iter(tar)
            manifest = _read_manifest(path, tar, next(members, None))
            needed = sum(entry.size for entry in manifest.files.values()) + _SPARE_BYTES
            if (free := shutil.disk_usage(work).free) < needed:
                raise EvidenceError(
                    f"{path} needs {needed // 2**20} MiB to be unpacked and {work.parent} has {free // 2**20} MiB "
                    "free: free space, or set TMPDIR to a larger place"
                )
            missing = dict(manifest.files)
            (work / "scenarios").mkdir(exist_ok=True)  # a run that came to none has an empty one
            for member in members:
                _put(path, tar, member, missing.pop(member.name, None), work)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise EvidenceError(f"{path} cannot be unpacked: {error}; get it again") from error
    if missing:
        raise EvidenceError(f"{path} lacks {min(missing)} of its manifest; get it again")
    return manifest


def _read_manifest(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Manifest:
    stream = tar.extractfile(member) if member is not None and member.name == MANIFEST and member.isreg() else None
    if stream is None:
        raise EvidenceError(f"{path} does not begin with {MANIFEST}: it is no bundle of this harness")
    try:
        return Manifest.model_validate_json(stream.read())
    except ValidationError as error:
        raise EvidenceError(f"{path}: {MANIFEST}: {refused(error)[0]}; another version packed it") from None


def _put(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry | None, work: Path) -> None:
    """Writes one member below `work`. Raises EvidenceError for one that is not as the manifest says, or leads out."""
    place = PurePosixPath(member.name)
    stream = tar.extractfile(member) if member.isreg() else None
    if entry is None or stream is None or member.sparse is not None or place.is_absolute() or ".." in place.parts:
        raise EvidenceError(f"{path} holds {member.name!r}, which is not in its manifest or no file of a run")
    if member.size != entry.size:
        raise EvidenceError(f"{path}: {member.name} is not what the manifest says; get the bundle again")
    target = work / place
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        shutil.copyfileobj(stream, out, _CHUNK)
    if (target.stat().st_size, sha256_of(target)) != (entry.size, entry.sha256):
        raise EvidenceError(f"{path}: {member.name} is not what the manifest says; get the bundle again")


class _Head(io.RawIOBase):
    """The first bytes of a file, and no more: what is behind them is the trailer."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self._raw = raw
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _digest_of_first(path: Path, size: int) -> str:
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while size and (data := stream.read(min(_CHUNK, size))):
            total.update(data)
            size -= len(data)
    return total.hexdigest()
