"""The runtime in which every node of the cluster is a container of the Docker engine on this machine.

A node's network, names, directories and disk are the holder's, as in the local runtime, and so is every fault; the
holder is a container as well. Clients are processes of the holder's, on machines of their own in the same network.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.core.errors import HarnessError, SetupError, UsageError
from harness.runtime import channel, contained, fleet
from harness.runtime import owner as owners
from harness.runtime.base import HUB, Capabilities, Process, ProcessState, Runtime
from harness.runtime.engine import Engine, discard
from harness.runtime.fleet import Fleet
from harness.runtime.link import START_TIMEOUT_S, Link, ShortName
from harness.runtime.local import LocalRuntime, begin
from harness.runtime.owner import Owner
from harness.runtime.processes import children_of
from harness.waiting import wait_for

_WAITS_S: Final = 30.0
_POLL_S: Final = 0.5
_BY_SIGNAL: Final = {128 + number: number for number in (4, 5, 6, 7, 8, 9, 11)}
"""What nobody ends with by himself. 143 is what Java ends with in good order, after SIGTERM."""


class DockerRuntime(LocalRuntime):
    """The `Runtime` of containers. A node is one from its first process with an image on, and keeps its network."""

    def __init__(self, link: Link, owner: Owner, evidence: Path, state_dir: Path) -> None:
        super().__init__(link, owner, evidence, state_dir)
        self._fleet = Fleet(Engine.connect(owner.engine), owners.loop_mark(owner.work_dir))
        self._holder = ""
        self._keepers: dict[str, Any] = {}
        self._bodies: dict[str, Any] = {}
        self._ends: dict[str, ProcessState] = {}
        self._ending = threading.Lock()
        self._image = ""

    @classmethod
    def open_with(
        cls,
        image: str,
        url: str,
        *,
        run_id: str,
        evidence: Path,
        work_dir: Path,
        state_dir: Path | None = None,
    ) -> DockerRuntime:
        """Starts a cluster's holder in a container of the image; nothing else runs yet.

        `url` is the daemon's; the rest is as in `LocalRuntime.open`. Raises `SetupError` where the daemon refuses, or
        does not see this machine's files.
        """
        state = (state_dir or owners.default_state_dir()).resolve()
        start = partial(_start_holder, image, url)
        link, owner = begin(start, run_id=run_id, evidence=evidence, work_dir=work_dir, state=state, engine=url)
        try:
            runtime = cls(link, owner, evidence.resolve(), state)
            runtime._image = image
            runtime._know_containers()
        except BaseException:
            # With its record left behind, `clean` removes what the daemon would not now.
            with suppress(HarnessError):
                link.end()
            raise
        return runtime

    @classmethod
    def attach(cls, *, run_id: str, evidence: Path, state_dir: Path | None = None) -> DockerRuntime:
        """Takes over a cluster that was left up with `detach`. Raises `SetupError` if there is none."""
        runtime = super().attach(run_id=run_id, evidence=evidence, state_dir=state_dir)
        assert isinstance(runtime, DockerRuntime)
        runtime._know_containers()
        return runtime

    def _know_containers(self) -> None:
        for node, container in self._fleet.containers():
            if node == HUB:
                self._holder = container.id
            elif container.attrs["HostConfig"]["NetworkMode"] == "none":
                self._keepers[node] = container
            else:
                self._bodies[node] = container

    def capabilities(self) -> Capabilities:
        """What was seen to work with containers of the image, tried in a cluster of its own; remembered."""
        from harness.runtime.probe import probe_capabilities

        with self._lock:
            if self._capabilities is None:
                opened = partial(DockerRuntime.open_with, self._image, self._owner.engine)
                self._capabilities = probe_capabilities(opened, self._image)
            return self._capabilities

    def start(self, node: str, process: Process) -> int:
        """Starts a process of an image in a container of its own; any other as the local runtime does."""
        if not process.image:
            return super().start(node, process)
        if process.fds:
            raise UsageError(f"node {node!r}: a container is given no descriptors")
        self._address(node, must_be_node=True)
        seen = self.state(node)
        if seen.alive:
            raise UsageError(f"node {node!r} already runs a process ({seen}): end it before starting another")
        keeper = self._keeper(node, process.image)
        self._drop_body(node)
        more: dict[str, Any] = {"environment": dict(process.env)}
        if process.cwd is not None:
            more["working_dir"] = process.cwd
        body = self._fleet.start_body(process.image, node, (self._holder, keeper.id), list(process.argv), **more)
        try:
            pid = fleet.inner_pid(body)
            wait_for(
                lambda: self._ask("waits", pid=pid).values["waits"],
                what=f"the container of {node!r} to wait for its directories",
                timeout_s=_WAITS_S,
                poll_s=0.005,
            )
            pidfd = self._ask("furnish", node=node, pid=pid).fds[0]
        except BaseException:
            discard(body)
            raise
        self._bodies[node] = body
        return self._keep_pidfd(node, pidfd)

    def _keeper(self, node: str, image: str) -> Any:
        if node not in self._keepers:
            keeper = self._fleet.start_keeper(image, node, self._holder)
            try:
                reply = self._ask("house", node=node, pid=fleet.inner_pid(keeper))
            except BaseException:
                discard(keeper)
                raise
            self._keepers[node] = keeper
            self._probes.remove(node)
            self._probes.add(node, reply.fds[0])
        return self._keepers[node]

    def keeper_pid(self, node: str) -> int:
        """The pid, as the cluster's processes see it, of one in a container of the node's image that stays.

        Raises `UsageError` for a node that never ran one.
        """
        if node not in self._keepers:
            raise UsageError(f"node {node!r} has no container: start a process of an image in it first")
        return fleet.inner_pid(self._keepers[node])

    def _drop_body(self, node: str) -> None:
        body = self._bodies.pop(node, None)
        if body is not None:
            discard(body)
        self._ends.pop(node, None)

    def state(self, node: str) -> ProcessState:
        """What the node's process does now; how a container ended is the daemon's word."""
        seen = super().state(node)
        if seen.kind != "exited" or node not in self._bodies:
            return seen
        with self._ending:
            if node not in self._ends:
                now_ns = time.monotonic_ns()
                self._ends[node] = _ended(fleet.exit_code(self._bodies[node]), now_ns)
            return self._ends[node]

    def host_pid(self, node: str) -> int:
        """The pid outside of what the image's scripts started and wait for: who looks at it wants that and no shell."""
        first = super().host_pid(node)
        return _at_the_end(first) if node in self._bodies and first > 0 else first

    def wait_exit(self, node: str, timeout_s: float) -> ProcessState:
        """Waits until the last process of the node has ended."""
        if node not in self._bodies:
            return super().wait_exit(node, timeout_s)
        wait_for(
            lambda: not super(DockerRuntime, self).state(node).alive,
            what=f"the end of {node!r}",
            timeout_s=timeout_s,
            poll_s=0.005,
        )
        return self.state(node)

    def remove_node(self, name: str) -> None:
        """Kills what runs in the node and takes it away, with its containers. Idempotent."""
        super().remove_node(name)
        self._drop_body(name)
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            discard(keeper)

    def detach(self) -> None:
        """Leaves the cluster up after this process."""
        super().detach()
        self._fleet.close()

    def _ended(self) -> None:
        self._fleet.remove()
        self._fleet.close()


def _ended(code: int, now_ns: int) -> ProcessState:
    signum = _BY_SIGNAL.get(code)
    if signum is not None:
        return ProcessState("exited", signal=signum, exited_ns=now_ns)
    return ProcessState("exited", exit_code=code, exited_ns=now_ns)


def _at_the_end(pid: int) -> int:
    """Below a shell whose child is a shell, and so on, the process that is none: it started nothing."""
    while children := children_of(pid):
        pid = children[-1]
    return pid


def _start_holder(image: str, url: str, evidence: Path, work: Path) -> Link:
    """Starts the holder's container and hears from it. Raises `SetupError`, and leaves no container then."""
    (work / "root").mkdir()
    path = work / "holder.sock"
    ours = Fleet(Engine.connect(url), owners.loop_mark(str(work)))
    own_pidfd = os.pidfd_open(os.getpid())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            with ShortName(path) as name:
                listener.bind(name)
            listener.listen(1)
            words = fleet.python_words(contained.BOOT, [str(path), str(evidence), str(work)])
            holder = ours.start_holder(image, words)
            peer = _await_peer(listener, holder)
        channel.send(peer, {"harness": True}, [own_pidfd])
        return Link(peer, work / "holder.log")
    except BaseException:
        ours.remove()
        raise
    finally:
        os.close(own_pidfd)
        ours.close()
        path.unlink(missing_ok=True)


def _await_peer(listener: socket.socket, holder: Any) -> socket.socket:
    deadline = time.monotonic() + START_TIMEOUT_S
    listener.settimeout(_POLL_S)
    while True:
        try:
            peer, _address = listener.accept()
        except TimeoutError:
            if time.monotonic() < deadline:
                continue
            said = fleet.last_words(holder)
            raise SetupError(
                f"the holder's container did not answer within {START_TIMEOUT_S:.0f} s: the daemon must see this "
                f"machine's files and processes; it said: {said or 'nothing'}"
            ) from None
        peer.settimeout(None)
        return peer


if TYPE_CHECKING:

    def _conforms(runtime: DockerRuntime) -> Runtime:
        return runtime
