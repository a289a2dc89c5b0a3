"""The holder: PID 1 of the cluster. When it ends, or the harness does, the kernel ends everything below it.

Started as its own process by `harness.runtime.local`. The outer half makes the user and PID namespaces and watches
the harness; the inner half makes the other namespaces and serves the harness's requests one by one.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from harness.core.errors import CapabilityMissing, HarnessError
from harness.runtime import channel, namespaces
from harness.runtime import owner as owners
from harness.runtime.base import NAMESPACES

if TYPE_CHECKING:
    from harness.runtime.service import Service

_REFUSED = (
    "{step} was refused ({error}): run as root, or allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; "
    "in a container: --privileged), or use --runtime docker"
)


def main(channel_fd: int, harness_pidfd: int, evidence: str, work: str) -> NoReturn:
    """Runs both halves; `work` has an empty directory `root`, over which the new root is built."""
    for fd in (channel_fd, harness_pidfd):
        os.set_inheritable(fd, False)
    harness = socket.socket(fileno=channel_fd)
    uid, gid = os.geteuid(), os.getegid()
    linger_read, linger_write = os.pipe2(os.O_CLOEXEC)
    try:
        _outer_namespaces(uid, gid)
    except OSError as error:
        refuse(harness, "making a user and PID namespace", error)
    inner = os.fork()
    if inner == 0:
        namespaces.die_with_parent(signal.SIGKILL)
        os.close(harness_pidfd)
        os.close(linger_read)
        _inner(harness, linger_write, Path(evidence), Path(work))
    harness.close()
    os.close(linger_write)
    guard(inner, harness_pidfd, linger_read)


def _outer_namespaces(uid: int, gid: int) -> None:
    if uid == 0:
        with suppress(PermissionError):
            namespaces.unshare(namespaces.CLONE_NEWPID)
            return
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWPID)
    namespaces.become_mapped_root(uid, gid)


def refuse(harness: socket.socket, step: str, error: OSError) -> NoReturn:
    """Tells the harness what this machine does not allow, and ends."""
    missing = CapabilityMissing(NAMESPACES, _REFUSED.format(step=step, error=error.strerror or error))
    with suppress(OSError):
        channel.send(harness, {"error": "capability", "capability": NAMESPACES, "message": missing.reason})
    os._exit(1)


def guard(inner: int, harness_pidfd: int, linger_fd: int, at_end: Callable[[], None] = lambda: None) -> NoReturn:
    """Ends the inner half with the harness, even where a forked child keeps its socket open; then does `at_end`."""
    inner_pidfd = os.pidfd_open(inner)
    poller = select.poll()
    for fd in (inner_pidfd, harness_pidfd, linger_fd):
        poller.register(fd, select.POLLIN)
    lingering = False
    while True:
        ready = {fd for fd, _events in poller.poll()}
        if linger_fd in ready:
            lingering = lingering or os.read(linger_fd, 1) == b"L"
            poller.unregister(linger_fd)
            if lingering:
                poller.unregister(harness_pidfd)
        if inner_pidfd in ready:
            _pid, status = os.waitpid(inner, 0)
            at_end()
            os._exit(abs(os.waitstatus_to_exitcode(status)) & 0xFF)
        if harness_pidfd in ready and not lingering:
            os.kill(inner, signal.SIGKILL)
            os.waitpid(inner, 0)
            at_end()
            os._exit(0)


def _inner(harness: socket.socket, linger_fd: int, evidence: Path, work: Path) -> NoReturn:
    code = 1
    try:
        try:
            inner_namespaces(evidence, work)
        except OSError as error:
            refuse(harness, "making the cluster's namespaces", error)
        from harness.runtime.service import Service

        try:
            service = Service(linger_fd, owners.loop_mark(str(work)))
        except OSError as error:
            refuse(harness, "making the cluster's network", error)
        serve(service, harness)
        code = 0
    finally:
        sys.stderr.flush()
        # As PID 1: everything below dies with this call.
        os._exit(code)


def inner_namespaces(evidence: Path, work: Path) -> None:
    """The cluster's own network, root and names, for this process and what it starts. Raises OSError."""
    namespaces.unshare(
        namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC
    )
    socket.sethostname("hub")
    namespaces.build_root(work / "root", evidence, work)


def serve(service: Service, harness: socket.socket) -> None:
    """Answers the harness, and whoever attaches after it, until told to stop or nobody is left."""
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake_write)
    channel.send(harness, service.greeting(), [service.own_pidfd])
    peer: socket.socket | None = harness
    while True:
        sources: list[int] = [wake_read]
        sources += [peer.fileno()] if peer else []
        sources += [service.listener.fileno()] if service.listener and not peer else []
        ready, _w, _x = select.select(sources, [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            service.processes.reap()
        if peer and peer.fileno() in ready:
            if not _answer(service, peer):
                peer.close()
                peer = None
                if service.listener is None or service.stopping:
                    return
        elif service.listener and service.listener.fileno() in ready:
            peer, _address = service.listener.accept()
            channel.send(peer, service.greeting(), [service.own_pidfd])


def _answer(service: Service, peer: socket.socket) -> bool:
    try:
        received = channel.receive(peer)
    except OSError:
        return False
    if received is None:
        return False
    request, fds = received
    try:
        reply, reply_fds = service.handle(request, fds)
    except HarnessError as error:
        reply, reply_fds = {"error": _kind(error), "message": str(error)}, []
        if isinstance(error, CapabilityMissing):
            reply.update(capability=error.capability, message=error.reason)
    except Exception as error:  # noqa: BLE001  one bad request must not end the cluster
        reply, reply_fds = {"error": "setup", "message": f"{request.get('op')}: {type(error).__name__}: {error}"}, []
    finally:
        for fd in fds:
            os.close(fd)
    try:
        channel.send(peer, {"id": request.get("id"), **reply}, reply_fds)
    except OSError:
        return False
    finally:
        for fd in reply_fds:
            os.close(fd)
    return not service.stopping


def _kind(error: HarnessError) -> str:
    return {"UsageError": "usage", "CapabilityMissing": "capability", "FaultError": "fault"}.get(
        type(error).__name__, "setup"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
