"""The runtime of a cluster that somebody else runs: its nodes are addresses, and clients are our own child processes.

Nothing of a node is touched but by hooks, which its owner supplies. Whether a node runs is seen at its service port.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from harness.core.errors import FaultError, UsageError
from harness.runtime import owner as owners
from harness.runtime.base import (
    CAPABILITIES,
    HUB,
    Capabilities,
    Disk,
    Node,
    Pair,
    Process,
    ProcessState,
    Runtime,
)
from harness.runtime.children import Children
from harness.runtime.hooks import Hooks, Target, capabilities
from harness.runtime.owner import Owner, ProcessMark
from harness.runtime.reaper import remove_tree
from harness.runtime.theirs import NOT_OURS, Theirs, not_here
from harness.waiting import wait_for
from harness.wire.codes import RequestCode
from harness.wire.frame import Frame, encode

PROMPT_S: Final = 5.0
"""Within which a kill or a pause must be done: times are counted from when it was asked for. A stop takes its time."""
_LOOK_S: Final = 1.0
_LIBRARIES: Final = ".lib"
_HOOK_OF: Final = {signal.SIGKILL: "kill", signal.SIGTERM: "stop", signal.SIGSTOP: "pause", signal.SIGCONT: "resume"}


def missing_here(hooks: Mapping[str, str]) -> Capabilities:
    """Every capability -> None, or why it is missing on a cluster that somebody else runs, with these hooks."""
    return {**dict.fromkeys(CAPABILITIES, NOT_OURS), **capabilities(hooks)}


class ExistingRuntime(Theirs):
    """The `Runtime` of a cluster that is there already. `targets` are its nodes; whatever else is added is a client.

    Clients have directories of their own below `work_dir/RUN_ID`, which go with `close`; what they print stays below
    `evidence/nodes`. They end with the harness, see `Children`.
    """

    def __init__(self, targets: Mapping[str, Target], hooks: Hooks, owner: Owner, evidence: Path, state: Path) -> None:
        self._targets = targets
        self._hooks = hooks
        self._owner = owner
        self._work = Path(owner.work_dir)
        self._evidence = evidence
        self._state = state
        self._nodes: dict[str, Node] = {}
        self._children = Children()
        self._paused: set[str] = set()
        self._stood: set[str] = set()
        self._ended: set[str] = set()
        self._hurt: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        targets: Mapping[str, Target],
        hooks: Mapping[str, str],
        *,
        run_id: str,
        evidence: Path,
        work_dir: Path,
        state_dir: Path,
    ) -> ExistingRuntime:
        """Makes the place for clients; nothing runs yet. Raises `UsageError` for a run id that is in use."""
        state, work = state_dir.resolve(), (work_dir / run_id).resolve()
        harness = ProcessMark.of(os.getpid())
        if work.exists() or owners.record_path(state, run_id).exists() or harness is None:
            raise UsageError(f"run id {run_id!r} is in use ({work}): choose another, or run `rmq-harness clean`")
        owner = Owner(run_id, owners.boot_id(), str(work), harness)
        owners.write(state, owner)
        try:
            (evidence / "nodes").mkdir(parents=True, exist_ok=True)
            (work / _LIBRARIES).mkdir(parents=True)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            owners.remove(state, run_id)
            raise
        return cls(targets, Hooks(hooks, evidence.resolve() / "nodes"), owner, evidence.resolve(), state)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Every node added and not removed."""
        return MappingProxyType(dict(self._nodes))

    @property
    def ended(self) -> frozenset[str]:
        """The nodes of the cluster that a hook was asked to kill or stop, so far."""
        return frozenset(self._ended)

    def hurt(self) -> Mapping[str, str]:
        """Node -> the hook that hurt it last, of those that do not answer now: that a hook mended it proves nothing."""
        return {node: hook for node, hook in self._hurt.items() if not self._serves(node)}

    def _serves(self, node: str) -> bool:
        with suppress(OSError), self._dial_target(node, _LOOK_S) as connection:
            return self._answers(node, connection)
        return False

    def _answers(self, node: str, connection: socket.socket) -> bool:
        """Whether whoever took the connection says anything within a second to what its kind of node is asked.

        A nameserver of 4.x leaves without an answer what it does not know.
        """
        broker = bool(self._targets[node].broker)
        code = RequestCode.GET_BROKER_CONFIG if broker else RequestCode.GET_BROKER_CLUSTER_INFO
        with suppress(OSError):
            connection.settimeout(_LOOK_S)
            connection.sendall(encode(Frame(code, opaque=1)))
            return bool(connection.recv(1))
        return False

    def capabilities(self) -> Capabilities:
        """What the hooks make possible."""
        return missing_here(self._hooks.commands)

    def add_node(self, name: str, disk: Disk = Disk()) -> Node:  # noqa: B008  frozen
        """A node of the cluster under its own host, or a place for a client. Raises `CapabilityMissing` for a disk."""
        if disk.kind != "plain":
            not_here()
        if name == HUB or name in self._nodes:
            raise UsageError(f"node name {name!r} is taken")
        target = self._targets.get(name)
        host = "127.0.0.1" if target is None else target.address.rpartition(":")[0]
        if target is None:
            (self._work / name).mkdir()
        self._nodes[name] = Node(name, host, disk)
        return self._nodes[name]

    def provide(self, directory: Path, name: str) -> str:
        """A directory of the machine as clients find it from their own: evidence names no place. Idempotent."""
        link = self._work / _LIBRARIES / name
        with self._lock:
            if not link.is_symlink():
                link.symlink_to(directory.resolve())
        return f"../{_LIBRARIES}/{name}"

    def remove_node(self, name: str) -> None:
        """Ends a client; of a node of the cluster only our knowledge of it goes. Idempotent."""
        if self._nodes.pop(name, None) is not None and name not in self._targets:
            self._children.end(name)
            remove_tree(self._work / name)

    def start(self, node: str, process: Process) -> int:
        """Starts a client and returns its pid; a node of the cluster by its hook, whose pid is nobody's (0)."""
        if node in self._targets:
            self._hooks.run("start", self._targets[node])
            self._stands(node, paused=False)
            return 0
        self._known(node)
        log = self._evidence / "nodes" / node / "logs" / "stdout.log"
        return self._children.start(node, process, self._work / node, log)

    def signal(self, node: str, signum: int) -> None:
        """To a client; to a node of the cluster by the hook that stands for it.

        Raises `FaultError` for a hook that failed, and for one that hurt another node than its own.
        """
        if node not in self._targets:
            self._known(node)
            self._children.signal(node, signum)
            return
        name = _HOOK_OF.get(signal.Signals(signum))
        if name is None:
            raise UsageError(f"no hook stands for {signal.Signals(signum).name}")
        others = [each for each in self._targets if each != node] if name != "resume" else []
        before = {each for each in others if self.state(each).kind == "running"}
        if name in ("kill", "stop"):
            self._ended.add(node)
        if name != "resume":
            self._hurt[node] = name
        began = time.monotonic()
        self._hooks.run(name, self._targets[node])
        took_s = time.monotonic() - began
        self._stands(node, paused=name == "pause")
        if name in ("kill", "pause") and took_s > PROMPT_S:
            raise FaultError(
                f"hook {name} for {node} took {took_s:.1f} s, so that nobody knows when it did it: it must be done "
                f"within {PROMPT_S:.0f} s"
            )
        if hurt := [each for each in others if each in before and self._hit(each, name)]:
            raise FaultError(
                f"hook {name} for {node} hurt {' and '.join(hurt)} as well, which nobody asked it to: see that "
                f"{'they run' if len(hurt) > 1 else 'it runs'} again, and give a command that hurts one node alone"
            )

    def _hit(self, other: str, hook: str) -> bool:
        return not self._serves(other) if hook == "pause" else self.state(other).kind == "exited"

    def _stands(self, node: str, *, paused: bool) -> None:
        (self._paused.add if paused else self._paused.discard)(node)
        self._stood.discard(node)

    def state(self, node: str) -> ProcessState:
        """Of a node of the cluster what its port shows: it takes a connection, refuses it (exited), or is silent.

        Silence is `absent`: nothing can be seen of it. One that was paused is `stopped` while it answers nothing, and
        once it was seen so also where it takes no connection any more: as many as wait for it is all that its kernel
        keeps for it.
        """
        if node not in self._targets:
            return self._children.state(node)
        try:
            with self._dial_target(node, _LOOK_S) as connection:
                silent = node in self._paused and not self._answers(node, connection)
                (self._stood.add if silent else self._stood.discard)(node)
                return ProcessState("stopped" if silent else "running")
        except ConnectionRefusedError:
            return ProcessState("exited")
        except OSError:
            return ProcessState("stopped" if node in self._stood else "absent")

    def _dial_target(self, node: str, timeout_s: float) -> socket.socket:
        host, _, port = self._targets[node].address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout_s)

    def wait_exit(self, node: str, timeout_s: float) -> ProcessState:
        """Waits until a client has ended, or a node's port refuses. Raises `WaitTimeout`."""
        if node not in self._targets:
            return self._children.wait_exit(node, timeout_s)
        wait_for(
            lambda: self.state(node).kind == "exited",
            what=f"the port of {node} to refuse",
            timeout_s=timeout_s,
            poll_s=0.05,
            last_seen=lambda: str(self.state(node)),
        )
        return self.state(node)

    def host_pid(self, node: str) -> int:
        """The pid of a client. Raises `CapabilityMissing` for a node of the cluster."""
        return self._children.pid(node) if node not in self._targets else not_here()

    def tail(self, node: str, lines: int = 20) -> str:
        """The last lines that a client printed; nothing of a node of the cluster."""
        return "" if node in self._targets else self._children.tail(node, lines)

    def dial(self, from_node: str, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection from this machine. Raises OSError, and `CapabilityMissing` for one from elsewhere."""
        if from_node != HUB:
            not_here()
        known = self._nodes.get(host)
        return socket.create_connection((host if known is None else known.address, port), timeout_s)

    def heal(self, *pairs: Pair) -> None:
        """Nothing is cut, so nothing is to be done; pairs are refused as `cut` does."""
        if pairs:
            self.cut(*pairs)

    def cuts(self) -> frozenset[Pair]:
        """None."""
        return frozenset()

    def close(self) -> None:
        """Ends every client and removes their directories; the cluster is left as it is. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._children.close()
        remove_tree(self._work)
        owners.remove(self._state, self._owner.run_id)

    def _known(self, node: str) -> None:
        if node not in self._nodes:
            raise UsageError(f"no node {node!r}: add it first")


if TYPE_CHECKING:

    def _conforms(runtime: ExistingRuntime) -> Runtime:
        return runtime
