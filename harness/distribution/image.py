"""A container image with RocketMQ in the official layout, of what the harness has anyway: no base image is pulled.

Jars and Java are those that `local` runs; the few programs that the scripts need are this machine's own, with the
libraries that they name. The scripts are ours: they start the same classes with the options that JAVA_OPT_EXT adds.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.core.errors import SetupError
from harness.distribution.jre import Jre
from harness.distribution.release import Release

UID: Final = 3000
_HOME: Final = "home/rocketmq"
_JAVA: Final = "usr/lib/jvm/java"
_NEEDED: Final = ("sh", "sleep", "chroot", "sha256sum")
_WELCOME: Final = ("bash", "cat", "env", "grep", "id", "kill", "ls", "mkdir", "ps", "rm", "sed", "tail")
_SEARCHED: Final = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin"
_RUN: Final = """#!/bin/sh
: "${{JAVA_HOME:=/{java}}}"
export JAVA_HOME
JAVA_OPT="-server {heap} -XX:-OmitStackTraceInFastThrow -XX:-UseLargePages {reflection}"
JAVA_OPT="${{JAVA_OPT}} ${{JAVA_OPT_EXT}} -cp ${{ROCKETMQ_HOME}}/conf:${{ROCKETMQ_HOME}}/lib/*"
"$JAVA_HOME/bin/java" ${{JAVA_OPT}} "$@"
"""
_START: Final = """#!/bin/sh
: "${{ROCKETMQ_HOME:=/{home}}}"
export ROCKETMQ_HOME
sh "$ROCKETMQ_HOME/bin/{run}" {main} "$@"
"""
_HEAPS: Final = {
    "runserver.sh": "-Xms256m -Xmx256m",
    "runbroker.sh": "-Xms512m -Xmx512m -XX:MaxDirectMemorySize=15g",
    "tools.sh": "-Xms64m -Xmx256m",
}
_REFLECTION: Final = "--add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED"
_EPOCH: Final = 1_600_000_000


@dataclass(frozen=True, slots=True)
class Packed:
    """What an image of that archive is told besides its files, as lines of a Dockerfile."""

    changes: Sequence[str]


def pack(release: Release, jre: Jre, conf: Mapping[str, str], mains: Mapping[str, str], archive: Path) -> Packed:
    """Writes the image's file system to a tar archive.

    `conf` are files of RocketMQ's conf directory; `mains` maps mqnamesrv, mqbroker and mqadmin to their classes. Raises
    `SetupError` where this machine lacks a program that the image needs.
    """
    home = f"{_HOME}/rocketmq-{release.version}"
    programs = _programs()
    with tarfile.open(archive, "w") as tar:
        tar.dereference = False
        for name in ("tmp", "root", "proc", "sys", "dev", "etc", "rmq"):
            _directory(tar, name, 0o1777 if name == "tmp" else 0o755)
        for name, text in _accounts().items():
            _text(tar, name, text)
        for owned in (_HOME, home, f"{home}/bin", f"{home}/conf", f"{home}/lib", f"{_HOME}/logs", f"{_HOME}/store"):
            _directory(tar, owned, 0o755, UID)
        for name, text in _scripts(jre, home, mains).items():
            _text(tar, f"{home}/bin/{name}", text, 0o755)
        for name, text in conf.items():
            _text(tar, f"{home}/conf/{name}", text)
        for jar in release.jars:
            _file(tar, jar, f"{home}/lib/{jar.name}")
        for file in sorted(jre.home.rglob("*")):
            if file.is_file():
                _file(tar, file, f"{_JAVA}/{file.relative_to(jre.home)}")
        for name, program in programs.items():
            _file(tar, program, f"bin/{name}", 0o755)
        binaries = [*programs.values(), jre.java, *sorted(jre.home.rglob("*.so"))]
        for place, library in sorted(_libraries(binaries, jre.home).items()):
            _file(tar, library, place.lstrip("/"), 0o755)
    return Packed(
        (
            f"ENV ROCKETMQ_HOME=/{home} ROCKETMQ_VERSION={release.version} JAVA_HOME=/{_JAVA} PATH=/{_JAVA}/bin:/bin",
            f"WORKDIR /{home}/bin",
            f"USER {UID}",
            f"LABEL org.apache.rocketmq.version={release.version} org.apache.rocketmq.built-by=rmq-harness",
        )
    )


def _scripts(jre: Jre, home: str, mains: Mapping[str, str]) -> dict[str, str]:
    runs = {"mqnamesrv": "runserver.sh", "mqbroker": "runbroker.sh", "mqadmin": "tools.sh"}
    reflection = _REFLECTION if jre.major >= 9 else ""
    scripts = {name: _RUN.format(java=_JAVA, heap=heap, reflection=reflection) for name, heap in _HEAPS.items()}
    for name, run in runs.items():
        scripts[name] = _START.format(home=home, run=run, main=mains[name])
    return scripts


def _accounts() -> dict[str, str]:
    return {
        "etc/passwd": f"root:x:0:0::/root:/bin/sh\nrocketmq:x:{UID}:{UID}::/{_HOME}:/bin/sh\n",
        "etc/group": f"root:x:0:\nrocketmq:x:{UID}:\n",
    }


def _programs() -> dict[str, Path]:
    found = {name: shutil.which(name, path=_SEARCHED) for name in (*_NEEDED, *_WELCOME)}
    if lacking := [name for name in _NEEDED if found[name] is None]:
        raise SetupError(f"an image needs {', '.join(lacking)} of this machine: install coreutils or busybox")
    return {name: Path(place).resolve() for name, place in found.items() if place is not None}


def _libraries(binaries: Iterable[Path], own: Path) -> dict[str, Path]:
    """Where each shared library is looked for, and what lies there; those below `own` are its own business."""
    found: dict[str, Path] = {}
    for binary in binaries:
        for place in _named_by(binary):
            if not Path(place).is_relative_to(own):
                found[place] = Path(place).resolve()
    return found


def _named_by(binary: Path) -> Iterator[str]:
    try:
        done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    except OSError as error:
        raise SetupError(f"an image needs what `ldd` of this machine names, and it cannot be run: {error}") from None
    for line in done.stdout.splitlines():
        if match := re.search(r"(?:=> )?(/\S+) \(0x", line):
            yield match.group(1)


def _directory(tar: tarfile.TarFile, name: str, mode: int, uid: int = 0) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.mtime = tarfile.DIRTYPE, mode, uid, uid, _EPOCH
    tar.addfile(info)


def _text(tar: tarfile.TarFile, name: str, text: str, mode: int = 0o644) -> None:
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, _EPOCH
    tar.addfile(info, io.BytesIO(data))


def _file(tar: tarfile.TarFile, source: Path, name: str, mode: int | None = None) -> None:
    info = tarfile.TarInfo(name)
    status = source.stat()
    info.size, info.mode, info.mtime = status.st_size, mode or (status.st_mode & 0o755), _EPOCH
    with source.open("rb") as data:
        tar.addfile(info, data)
