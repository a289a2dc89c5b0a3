"""The holder inside a container, and what it does for nodes that are containers themselves.

It is PID 1 of its container, and every other container of the cluster shares its PID namespace: it sees, signals and
freezes what runs in them as it does its own processes, and the kernel ends all of it with this process. It gives a
node's container the link, the names and the directories that a node of the local runtime has.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from harness.core.errors import SetupError
from harness.runtime import channel, namespaces, places
from harness.runtime import owner as owners
from harness.runtime.base import ProcessState
from harness.runtime.holder import guard, inner_namespaces, refuse, serve
from harness.runtime.link import ShortName
from harness.runtime.processes import Processes, all_stopped, members_of
from harness.runtime.service import Reply, Service

BOOT: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from harness.runtime.contained import main; "
    "main(sys.argv[2], sys.argv[3], sys.argv[4])"
)
_TO_ALL: Final = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)


def main(socket_path: str, evidence: str, work: str) -> NoReturn:
    """Begins as a container's first process, whose root is the machine's; the harness listens at `socket_path`."""
    log = os.open(Path(work) / "holder.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    harness = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ShortName(Path(socket_path)) as name:
        harness.connect(name)
    greeted = channel.receive(harness)
    if greeted is None:
        sys.exit(1)
    harness_pidfd = greeted[1][0]
    try:
        inner_namespaces(Path(evidence), Path(work))
    except OSError as error:
        refuse(harness, "making the cluster's namespaces in a container", error)
    linger_read, linger_write = os.pipe2(os.O_CLOEXEC)
    inner = os.fork()
    if inner == 0:
        namespaces.die_with_parent(signal.SIGKILL)
        namespaces.adopt_orphans()
        _inner(harness, linger_write, work)
    harness.close()
    os.close(linger_write)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: _bury_others(inner))
    guard(inner, harness_pidfd, linger_read, _hand_over)


def _hand_over() -> None:
    """Ends everything else, and gives what root wrote here to the user who runs the harness: he is to delete it."""
    with suppress(OSError):
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    for top in (namespaces.EVIDENCE, namespaces.WORK):
        theirs = top.stat()
        if theirs.st_uid != 0:
            for directory, names, files in os.walk(top):
                for name in (*names, *files):
                    with suppress(OSError):
                        os.chown(Path(directory, name), theirs.st_uid, theirs.st_gid, follow_symlinks=False)


def _bury_others(inner: int) -> None:
    """What nodes' containers orphan ends here. `inner` is the guard's own."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == inner:
                return
            os.waitpid(ended.si_pid, 0)
        except ChildProcessError:
            return


def _inner(harness: socket.socket, linger_fd: int, work: str) -> NoReturn:
    code = 1
    try:
        try:
            service = ContainedService(linger_fd, owners.loop_mark(work))
        except OSError as error:
            refuse(harness, "making the cluster's network in a container", error)
        serve(service, harness)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


@dataclass
class ContainedProcesses(Processes):
    """Knows, besides its own children, what runs in nodes' containers, whose exit codes only the engine learns."""

    keepers: dict[str, int] = field(default_factory=dict)
    """Node -> what keeps its network for containers to come: it is never counted, signalled or waited for."""
    bodies: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Node -> pidfd of its container's first process, descriptor of its network."""

    def members(self, network_fd: int) -> Iterator[int]:
        """What runs in a node, keepers excepted."""
        kept = frozenset(self.keepers.values())
        return (pid for pid in members_of(network_fd) if pid not in kept)

    def take(self, node: str, pid: int, network_fd: int) -> int:
        """From now on this process of a container is the node's; returns its pidfd, which stays ours."""
        self.drop(node)
        pidfd = os.pidfd_open(pid)
        self.mains[node] = pid
        self.bodies[node] = (pidfd, network_fd)
        return pidfd

    def drop(self, node: str) -> None:
        """Forgets the node's container. Idempotent."""
        if node in self.bodies:
            os.close(self.bodies.pop(node)[0])
            self.mains.pop(node, None)

    def state(self, node: str, network_fd: int | None = None) -> ProcessState:
        """As of any node; one in a container has ended when the last of its processes has, with a code not known here.

        Its first process is a shell, which may end before what it started.
        """
        if node not in self.bodies:
            return super().state(node, network_fd)
        self.reap()
        pidfd, network = self.bodies[node]
        members = list(self.members(network))
        if members:
            return ProcessState("stopped" if all(map(all_stopped, members)) else "running")
        return ProcessState("exited" if _ended(pidfd) else "running")

    def signal(self, network_fd: int, signum: int) -> int:
        """Signals a node. In a container what asks for an orderly end goes past the shells to what they wait for.

        A shell would die of it at once and take its container along, and what was to end in order with it.
        """
        contained = any(network == network_fd for _pidfd, network in self.bodies.values())
        if not contained or signum in _TO_ALL:
            return super().signal(network_fd, signum)
        members = set(self.members(network_fd))
        leaves = members - {_parent(pid) for pid in members}
        for pid in leaves:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
        return len(leaves)


class ContainedService(Service):
    """The local service, and nodes whose process is a container's."""

    def __init__(self, linger_fd: int, loop_mark: str) -> None:
        super().__init__(linger_fd, loop_mark)
        self.bodies = self.processes = ContainedProcesses()
        # Everything of the cluster ends with PID 1 of this namespace, and this process is not it.
        os.close(self.own_pidfd)
        self.own_pidfd = os.pidfd_open(1)

    def do_house(self, node: str, pid: int) -> Reply:
        """The node's network is that of this process from now on, which keeps it for containers to join."""
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        place = self.network.rehouse(node, fd)
        self.bodies.keepers[node] = pid
        return {}, [os.dup(place.probe.fileno())]

    def do_waits(self, pid: int) -> dict[str, Any]:
        """Whether a container's first process has stopped itself, to be given its directories."""
        return {"waits": all_stopped(pid) and Path(f"/proc/{pid}").exists()}

    def do_furnish(self, node: str, pid: int) -> Reply:
        """Shows a waiting container its node's home and everybody's names, and lets it go on as the node's process."""
        network = self.network.place(node).fd
        _show(pid, {places.home(node): str(places.home(node)), namespaces.HOSTS: "/etc/hosts"})
        pidfd = self.bodies.take(node, pid, network)
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        return {}, [os.dup(pidfd)]

    def do_start(self, node: str, argv: list[str], env: dict[str, str], cwd: str | None, fds: dict[int, int]) -> Reply:
        """A process of our own; what is left of a container is forgotten."""
        if not self.processes.state(node).alive:
            self.bodies.drop(node)
        return super().do_start(node, argv, env, cwd, fds)

    def do_remove_node(self, name: str) -> None:
        """The node's containers are forgotten as well: their pids may become another process's."""
        self.bodies.drop(name)
        self.bodies.keepers.pop(name, None)
        super().do_remove_node(name)

    def do_disk(self, node: str, action: str, **values: Any) -> dict[str, Any]:
        """As everywhere; a disk is unmounted when no dying container has it mounted either."""
        done = super().do_disk(node, action, **values)
        if action == "unmount" and not self.disks.released(node):
            raise SetupError(f"umount of the disk of {node!r}: its container still has it")
        return done


def _show(pid: int, views: Mapping[Path, str]) -> None:
    """Mounts each of our files and directories at a path inside another process's container."""
    mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    opened = {namespaces.detached(source): (target, source.is_dir()) for source, target in views.items()}
    failure_read, failure_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            namespaces.enter(mounts, namespaces.CLONE_NEWNS)
            for view, (target, is_directory) in opened.items():
                Path(target).mkdir(parents=True, exist_ok=True) if is_directory else Path(target).touch()
                namespaces.attach(view, target)
        except BaseException as error:  # noqa: BLE001  the child must never return into the service's loop
            os.write(failure_write, (str(error) or type(error).__name__).encode())
        os._exit(0)
    os.close(failure_write)
    with os.fdopen(failure_read, "rb") as failure:
        reason = failure.read().decode()
    os.waitpid(child, 0)
    for fd in (mounts, *opened):
        os.close(fd)
    if reason:
        raise SetupError(f"the container's directories could not be mounted: {reason}")


def _ended(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def _parent(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
