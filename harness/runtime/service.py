"""What the holder does when asked: one method per request, each of them short, none of them waiting."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.runtime import places
from harness.runtime.base import HUB, Disk
from harness.runtime.disks import Disks
from harness.runtime.namespaces import EVIDENCE, WORK
from harness.runtime.network import Network
from harness.runtime.processes import Launch, Processes

Reply = tuple[dict[str, Any], list[int]]


class Service:
    """The state of one cluster's machines. Descriptors in a request are closed by the caller."""

    def __init__(self, linger_fd: int, loop_mark: str) -> None:
        self.network = Network()
        self.processes = Processes()
        self.disks = Disks(loop_mark)
        self.own_pidfd = os.pidfd_open(os.getpid())
        self.listener: socket.socket | None = None
        self.stopping = False
        self._linger_fd = linger_fd

    def greeting(self) -> dict[str, Any]:
        """The first message to everyone who connects; the pidfd of the holder goes with it."""
        return {"ready": True, "nodes": self._nodes(), "cuts": sorted(self.network.cuts)}

    def _nodes(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "address": place.address, "disk": asdict(self.disks.of(name))}
            for name, place in self.network.places.items()
            if name != HUB
        ]

    def handle(self, request: Mapping[str, Any], fds: list[int]) -> Reply:
        """Does one request. Raises `HarnessError` for the other side to raise again."""
        method: Callable[..., Reply | dict[str, Any] | None] | None = getattr(self, f"do_{request['op']}", None)
        if method is None:
            raise UsageError(f"the holder knows no request {request['op']!r}: it is of another version; start anew")
        arguments = {key: value for key, value in request.items() if key not in ("op", "id")}
        if "targets" in arguments:
            arguments["fds"] = dict(zip(arguments.pop("targets"), fds, strict=True))
        elif fds:
            arguments["passed"] = fds
        result = method(**arguments)
        if isinstance(result, tuple):
            return result
        return result or {}, []

    # nodes

    def do_add_node(self, name: str, disk: Mapping[str, Any]) -> Reply:
        """A network place, directories and a disk; all or nothing."""
        if name in self.network.places:
            raise UsageError(f"node {name!r} exists already: remove it first or choose another name")
        wanted = Disk(**disk)
        source = self.disks.attach(name, wanted, WORK / name)
        try:
            places.make_home(name, EVIDENCE / "nodes" / name, source)
            place = self.network.add(name)
        except BaseException:
            with suppress(OSError):
                places.drop_home(name)
            self.disks.detach(name)
            raise
        return {"address": place.address}, [os.dup(place.probe.fileno())]

    def do_provide(self, source: str, name: str) -> dict[str, Any]:
        """A directory of the machine, for all nodes, at a path that names no place of it."""
        if "/" in name or name.startswith("."):
            raise UsageError(f"{name!r} cannot name a provided directory: use one plain word")
        return {"path": places.provide(Path(source), name)}

    def do_remove_node(self, name: str) -> None:
        """The node's processes must have been killed and seen to be gone."""
        if name in self.network.places:
            places.drop_home(name)
            self.disks.detach(name)
            self.network.remove(name)
            self.processes.mains.pop(name, None)

    def do_hub_probe(self) -> Reply:
        """The socket that observes the hub's side of the network."""
        return {}, [os.dup(self.network.place(HUB).probe.fileno())]

    def do_probe(self, node: str) -> Reply:
        """The socket that observes a node's side of the network."""
        return {}, [os.dup(self.network.place(node).probe.fileno())]

    # processes

    def _launch(self, node: str, argv: list[str], env: dict[str, str], cwd: str | None, fds: dict[int, int]) -> Launch:
        place = self.network.place(node)
        directory = cwd or (str(places.home(node)) if node != HUB else "/")
        return Launch(node, place.fd, argv, env, directory, fds)

    def do_start(self, node: str, argv: list[str], env: dict[str, str], cwd: str | None, fds: dict[int, int]) -> Reply:
        """The node's main process; what has no descriptor is logged."""
        if node == HUB:
            raise UsageError("the hub runs no process: add a node for it")
        self.network.place(node)
        log = os.open(
            places.home(node) / "logs/stdout.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            pid = self.processes.start(self._launch(node, argv, env, cwd, {0: null, 1: log, 2: log, **fds}))
        finally:
            os.close(log)
            os.close(null)
        return {}, [os.pidfd_open(pid)]

    def do_execute(
        self, node: str, argv: list[str], env: dict[str, str], cwd: str | None, fds: dict[int, int]
    ) -> Reply:
        """A short command beside the main process; `collect` gives its exit code."""
        pid = self.processes.spawn(self._launch(node, argv, env, cwd, fds))
        return {"pid": pid}, [os.pidfd_open(pid)]

    def do_collect(self, pid: int) -> dict[str, Any]:
        """The exit code of a command, or None while it runs."""
        return {"code": self.processes.collect(pid)}

    def do_signal(self, node: str, signum: int) -> dict[str, Any]:
        """To everything in the node."""
        if node == HUB:
            raise UsageError("the hub cannot be signalled: it is the harness's own place")
        return {"count": self.processes.signal(self.network.place(node).fd, signum)}

    def do_state(self, node: str) -> dict[str, Any]:
        """The main process's state, and how many processes are in the node in all."""
        fd = self.network.place(node).fd
        state = self.processes.state(node, fd)
        return {"state": asdict(state), "members": len(list(self.processes.members(fd))) if not state.alive else 1}

    def do_pidfd(self, node: str) -> Reply:
        """For those who attach: the main process, if there is one."""
        self.network.place(node)
        pid = self.processes.mains.get(node)
        if pid is None or not self.processes.state(node).alive:
            return {}, []
        return {}, [os.pidfd_open(pid)]

    # network

    def do_cut(self, pairs: list[list[str]]) -> None:
        """All of them or, where one is wrong, none."""
        for source, destination in pairs:
            self.network.check_pair(source, destination)
        for source, destination in pairs:
            self.network.cut(source, destination)

    def do_heal(self, pairs: list[list[str]]) -> None:
        """These, or all."""
        for source, destination in pairs or [list(pair) for pair in self.network.cuts]:
            self.network.heal(source, destination)

    def do_cuts(self) -> dict[str, Any]:
        """Those in force."""
        return {"cuts": sorted(self.network.cuts)}

    def do_tcp_socket(self, node: str) -> Reply:
        """Unconnected, leaving from the node."""
        return {}, [self.network.tcp_socket(node).detach()]

    # files and disks

    def do_open(self, node: str, path: str, write: bool, whole: bool = True) -> Reply:
        """A file below the node's home; to be written anew, or (not `whole`) in places."""
        self.network.place(node)
        return {}, [places.open_file(node, path, write=write, whole=whole)]

    def do_list_files(self, node: str, subdir: str) -> dict[str, Any]:
        """Regular files below a directory."""
        self.network.place(node)
        return {"files": [[e.path, e.size_bytes, e.mtime_ns] for e in places.list_files(node, subdir)]}

    def do_set_mtime(self, node: str, pattern: str, age_s: float) -> dict[str, Any]:
        """Ages files."""
        self.network.place(node)
        return {"count": places.set_mtime(node, pattern, age_s)}

    def do_empty_store(self, node: str) -> None:
        """Refused while the process lives: it would go on in deleted files."""
        self.network.place(node)
        state = self.processes.state(node)
        if state.alive:
            raise UsageError(f"the store of {node!r} cannot be emptied while its process is {state}: end it first")
        places.empty(node)

    def do_disk(self, node: str, action: str, **values: Any) -> dict[str, Any]:
        """usage, fill, free, sync, lose (what is not synced), unmount, mount."""
        self.network.place(node)
        return self.disks.act(node, action, **values)

    # life

    def do_linger(self, passed: list[int]) -> None:
        """From now on the cluster outlives the harness and listens on the socket that was passed."""
        self.listener = socket.socket(fileno=os.dup(passed[0]))
        os.write(self._linger_fd, b"L")

    def do_stop(self) -> None:
        """Ends everything, after the answer."""
        self.stopping = True
