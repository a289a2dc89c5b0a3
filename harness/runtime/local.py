"""The runtime without containers: one network namespace per node, all below one holder process."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.core.errors import SetupError, UsageError
from harness.runtime import owner as owners
from harness.runtime.base import HUB, Capabilities, Disk, Node, Runtime
from harness.runtime.files import FilesAndDisks
from harness.runtime.link import Link, Reply
from harness.runtime.observe import Probes, Traffic
from harness.runtime.owner import Owner, ProcessMark
from harness.runtime.reaper import remove_tree
from harness.runtime.running import Running
from harness.waiting import wait_for

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LINK_S = 10.0


class LocalRuntime(Running, FilesAndDisks, Traffic):
    """The `Runtime` of this machine. Use `open` (a new cluster) or `attach` (one that was left up), then `close`."""

    def __init__(self, link: Link, owner: Owner, evidence: Path, state_dir: Path) -> None:
        self._link = link
        self._owner = owner
        self._evidence = evidence
        self._state_dir = state_dir
        self._pidfds: dict[str, int] = {}
        self._nodes: dict[str, Node] = {}
        self._probes = Probes()
        self._probes.add(HUB, link.ask("hub_probe").fds[0])
        self._closed = False
        self._lock = threading.Lock()
        self._capabilities: Capabilities | None = None

    @classmethod
    def open(cls, *, run_id: str, evidence: Path, work_dir: Path, state_dir: Path | None = None) -> LocalRuntime:
        """Starts a cluster's machines; nothing runs yet.

        `evidence/nodes/NODE` gets each node's conf and logs and stays; `work_dir/RUN_ID` gets stores and disk images
        and goes with `close`. Raises `CapabilityMissing` where namespaces are refused, `UsageError` for a run id
        that is in use.
        """
        state = (state_dir or owners.default_state_dir()).resolve()
        link, owner = begin(Link.start, run_id=run_id, evidence=evidence, work_dir=work_dir, state=state)
        return cls(link, owner, evidence.resolve(), state)

    @classmethod
    def attach(cls, *, run_id: str, evidence: Path, state_dir: Path | None = None) -> LocalRuntime:
        """Takes over a cluster that was left up with `detach`. Raises `SetupError` if there is none."""
        state = (state_dir or owners.default_state_dir()).resolve()
        owner = owners.read(owners.record_path(state, run_id))
        if owner is None or not owner.live:
            raise SetupError(f"no cluster {run_id!r} is up: see `rmq-harness up`, or run `rmq-harness clean`")
        link = Link.attach(owners.socket_path(state, run_id), Path(owner.work_dir) / "holder.log")
        runtime = cls(link, owner, evidence.resolve(), state)
        for known in link.greeting["nodes"]:
            node = Node(known["name"], known["address"], Disk(**known["disk"]))
            runtime._nodes[node.name] = node
            runtime._probes.add(node.name, link.ask("probe", node=node.name).fds[0])
            for pidfd in link.ask("pidfd", node=node.name).fds:
                runtime._pidfds[node.name] = pidfd
        return runtime

    def __enter__(self) -> LocalRuntime:
        """For `with`."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Closes."""
        self.close()

    @property
    def holder_host_pid(self) -> int:
        """The cluster's PID 1 outside: `nsenter --target PID --all` is inside."""
        return self._link.host_pid

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Every node added and not removed, without the hub."""
        return MappingProxyType(dict(self._nodes))

    def capabilities(self) -> Capabilities:
        """What was seen to work on this machine, tried in a cluster of its own; remembered."""
        from harness.runtime.probe import probe_capabilities

        with self._lock:
            if self._capabilities is None:
                self._capabilities = probe_capabilities()
            return self._capabilities

    def _ask(self, op: str, fds: Sequence[int] = (), **values: Any) -> Reply:
        if self._closed:
            raise UsageError(f"{op}: the runtime of run {self._owner.run_id!r} is closed")
        return self._link.ask(op, fds, **values)

    # nodes

    def add_node(self, name: str, disk: Disk = Disk()) -> Node:  # noqa: B008  frozen
        """Makes a node; takes a few ms, with a sized disk some 50 more."""
        _check_name("node", name)
        if name == HUB:
            raise UsageError(f"node name {HUB!r} is taken: it is the harness's own place")
        reply = self._ask("add_node", name=name, disk=asdict(disk))
        node = Node(name, reply.values["address"], disk)
        self._nodes[name] = node
        self._probes.add(name, reply.fds[0])
        # The kernel brings a link up in its own time: long enough, on a busy machine, to look like a cut.
        wait_for(
            lambda: self._probes.passes(HUB, name) and self._probes.passes(name, HUB),
            what=f"the new link of {name!r} to pass packets both ways",
            timeout_s=_LINK_S,
            poll_s=0.005,
        )
        return node

    def provide(self, directory: Path, name: str) -> str:
        """Shows a directory of the machine to every node, as `/rmq/.lib/NAME`, and returns that path. Idempotent."""
        return str(self._ask("provide", source=str(directory.resolve()), name=name).values["path"])

    def remove_node(self, name: str) -> None:
        """Kills what runs in the node and takes it away. Idempotent."""
        if name not in self._nodes:
            return
        self._kill_all(name)
        self._ask("remove_node", name=name)
        self._probes.remove(name)
        self._nodes.pop(name, None)
        pidfd = self._pidfds.pop(name, None)
        if pidfd is not None:
            os.close(pidfd)

    def _node_disk_kind(self, node: str) -> str:
        self._address(node, must_be_node=True)
        return self._nodes[node].disk.kind

    # life

    def detach(self) -> None:
        """Leaves the cluster up after this process: `attach`, or `clean(include_live=True)`, finds it again."""
        path = owners.socket_path(self._state_dir, self._owner.run_id)
        if not self._owner.lingering:
            self._owner = owners.mark_lingering(self._state_dir, self._owner)
            self._link.linger(path)
        self._forget_descriptors()
        self._link.release()

    def close(self) -> None:
        """Kills everything and removes what was made. Raises `SetupError` if something would not go."""
        if self._closed:
            return
        self._forget_descriptors()
        self._link.end()
        self._ended()
        remove_tree(Path(self._owner.work_dir))
        owners.remove(self._state_dir, self._owner.run_id)

    def _ended(self) -> None:
        """Called once everything is dead: what else was made for it goes."""

    def _forget_descriptors(self) -> None:
        self._closed = True
        self._probes.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        self._pidfds.clear()


def begin(
    start: Callable[[Path, Path], Link], *, run_id: str, evidence: Path, work_dir: Path, state: Path, engine: str = ""
) -> tuple[Link, Owner]:
    """Makes a run's directories and its record, then starts its holder with them; see `LocalRuntime.open`."""
    work = (work_dir / run_id).resolve()
    _check_name("run id", run_id)
    harness = ProcessMark.of(os.getpid())
    if work.exists() or owners.record_path(state, run_id).exists() or harness is None:
        raise UsageError(f"run id {run_id!r} is in use ({work}): choose another, or run `rmq-harness clean`")
    owner = Owner(run_id, owners.boot_id(), str(work), harness, engine=engine)
    # The record comes first: what has no record would stay for ever if we were killed here.
    owners.write(state, owner)
    try:
        evidence.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True)
        link = start(evidence.resolve(), work)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        owners.remove(state, run_id)
        raise
    owner = replace(owner, holder=ProcessMark.of(link.host_pid))
    owners.write(state, owner)
    return link, owner


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{kind} {name!r} is no name: use letters, digits, '.', '_' and '-', at most 63")


if TYPE_CHECKING:

    def _conforms(runtime: LocalRuntime) -> Runtime:
        return runtime
