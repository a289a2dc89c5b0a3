"""The harness's end of a holder: starting it, asking it, attaching to one that was left up, ending it."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import CapabilityMissing, FaultError, HarnessError, SetupError, UsageError
from harness.runtime import channel

START_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 30.0
END_TIMEOUT_S = 5.0

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from harness.runtime.holder import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])"
)


def host_pid_of(pidfd: int) -> int:
    """The pid, as this process sees it, behind a pidfd from any PID namespace; -1 once it is reaped."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise SetupError(f"descriptor {pidfd} is no pidfd")


def wait_pidfd(pidfd: int, timeout_s: float) -> bool:
    """Whether the process behind a pidfd has ended within the time."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(max(0, int(timeout_s * 1000))))


@dataclass(frozen=True)
class Reply:
    """An answer and its descriptors, which are the caller's to close."""

    values: dict[str, Any]
    fds: list[int]


class Link:
    """A conversation with one holder; safe for use by several threads."""

    def __init__(self, sock: socket.socket, log: Path, outer: subprocess.Popen[bytes] | None = None) -> None:
        self._sock = sock
        self._log = log
        self._outer = outer
        self._lock = threading.Lock()
        self._number = 0
        sock.settimeout(START_TIMEOUT_S)
        try:
            greeting = self._receive("ready")
        except HarnessError:
            self.abandon()
            raise
        sock.settimeout(ANSWER_TIMEOUT_S)
        self.greeting = greeting.values
        self.pidfd = greeting.fds[0]
        self.host_pid = host_pid_of(self.pidfd)

    @classmethod
    def start(cls, evidence: Path, work: Path) -> Link:
        """Starts a holder that writes to these two directories alone. Raises `CapabilityMissing`."""
        log = work / "holder.log"
        (work / "root").mkdir()
        ours, theirs = channel.pair()
        own_pidfd = os.pidfd_open(os.getpid())
        command = [sys.executable, "-I", "-c", _BOOT, _PACKAGE_ROOT]
        command += [str(theirs.fileno()), str(own_pidfd), str(evidence), str(work)]
        with log.open("ab") as output:
            outer = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                pass_fds=(theirs.fileno(), own_pidfd),
                start_new_session=True,
            )
        theirs.close()
        os.close(own_pidfd)
        return cls(ours, log, outer)

    @classmethod
    def attach(cls, path: Path, log: Path) -> Link:
        """Connects to a holder that was left up. Raises `SetupError` if there is none."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with ShortName(path) as name:
                sock.connect(name)
        except OSError as error:
            sock.close()
            raise SetupError(f"no cluster answers at {path} ({error.strerror}): start one with `up`") from None
        return cls(sock, log)

    def ask(self, op: str, fds: Sequence[int] = (), **values: Any) -> Reply:
        """One request and its answer. Raises what the holder raised, `SetupError` if it is gone."""
        with self._lock:
            self._number += 1
            number = self._number
            try:
                channel.send(self._sock, {"op": op, "id": number, **values}, fds)
            except OSError as error:
                raise self._gone(op, error) from None
            while True:
                reply = self._receive(op)
                if reply.values.pop("id", None) == number:
                    break
                _close_all(reply.fds)
        _raise_for(reply.values)
        return reply

    def _receive(self, op: str) -> Reply:
        try:
            received = channel.receive(self._sock)
        except OSError as error:
            raise self._gone(op, error) from None
        if received is None:
            raise self._gone(op, None)
        values, fds = received
        if "id" not in values:
            _raise_for(values)
        return Reply(values, fds)

    def _gone(self, op: str, error: OSError | None) -> SetupError:
        tail = ""
        with suppress(OSError):
            tail = "".join(self._log.read_text(errors="replace").splitlines(keepends=True)[-15:]).strip()
        why = f"did not answer {op!r}" + (f" ({error})" if error else "")
        return SetupError(f"the cluster's holder {why}: it ended or was killed; its last words: {tail or 'none'}")

    def linger(self, path: Path) -> None:
        """From now on the cluster outlives this process and can be attached to at `path`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            with ShortName(path) as name:
                listener.bind(name)
            listener.listen(4)
            self.ask("linger", fds=[listener.fileno()])

    def release(self) -> None:
        """Closes this end of a holder that was told to linger."""
        self._sock.close()
        os.close(self.pidfd)

    def abandon(self) -> None:
        """Closes this end and waits for the holder to end, which was not told to linger."""
        self._sock.close()
        if self._outer is not None:
            with suppress(subprocess.TimeoutExpired):
                self._outer.wait(END_TIMEOUT_S)

    def end(self) -> None:
        """Ends the holder and waits until everything below it is dead. Raises `SetupError` if it is not in time."""
        with suppress(HarnessError):
            self.ask("stop")
        self._sock.close()
        if not wait_pidfd(self.pidfd, END_TIMEOUT_S):
            raise SetupError(f"the holder {self.host_pid} did not end in {END_TIMEOUT_S} s: run `rmq-harness clean`")
        if self._outer is not None:
            self._outer.wait(END_TIMEOUT_S)
        os.close(self.pidfd)


class ShortName:
    """A name for a socket path that is never too long for sockaddr_un (108 bytes)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._fd = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._path.name}"

    def __exit__(self, *_exc: object) -> None:
        os.close(self._fd)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _raise_for(values: dict[str, Any]) -> None:
    kind = values.get("error")
    if kind is None:
        return
    message = values["message"]
    if kind == "capability":
        raise CapabilityMissing(values["capability"], message)
    raise {"usage": UsageError, "fault": FaultError}.get(kind, SetupError)(message)
