"""Becomes a command inside a cluster's network, as a fresh interpreter: only one thread may enter a user namespace."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from harness.runtime import namespaces

BOOT: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from harness.runtime.enter import main; "
    "main(int(sys.argv[2]), sys.argv[3], sys.argv[4:])"
)
EXIT_USAGE: Final = 4
EXIT_TROUBLE: Final = 6


def command(holder_pid: int, hosts: Path, words: list[str]) -> list[str]:
    """The command line that becomes `words` in the network of that holder, with node names as in `hosts`."""
    root = str(Path(__file__).resolve().parents[2])
    return [sys.executable, "-I", "-c", BOOT, root, str(holder_pid), str(hosts), *words]


def main(holder_pid: int, hosts: str, words: list[str]) -> NoReturn:
    """Enters and becomes the command; what is wrong is one message and the exit code of its kind."""
    try:
        _enter(holder_pid, Path(hosts))
    except OSError as error:
        _refuse(EXIT_TROUBLE, f"the cluster's network cannot be entered ({error}): run this as the user who ran `up`")
    try:
        os.execvp(words[0], words)
    except OSError as error:
        _refuse(EXIT_USAGE, f"{words[0]!r} cannot be run: {error.strerror}")


def _enter(pid: int, hosts: Path) -> None:
    """Moves this process into the hub's network; where it may, it also sees the nodes' names."""
    if Path(f"/proc/{pid}/ns/user").stat().st_ino != Path("/proc/self/ns/user").stat().st_ino:
        _join(pid, "user", namespaces.CLONE_NEWUSER)
    _join(pid, "net", namespaces.CLONE_NEWNET)
    with suppress(OSError):  # names are a comfort: without them addresses still work
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.mount("none", "/", None, namespaces.MS_REC | namespaces.MS_PRIVATE)
        namespaces.bind(hosts, Path("/etc/hosts").resolve())


def _join(pid: int, name: str, kind: int) -> None:
    fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.enter(fd, kind)
    finally:
        os.close(fd)


def _refuse(code: int, message: str) -> NoReturn:
    sys.stderr.write(f"rmq-harness: {message}\n")
    sys.exit(code)
