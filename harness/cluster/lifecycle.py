"""One node's life: start, stop, kill, pause, resume; each returns what was observed, not what was asked for."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from harness.cluster.observed import Ended, Started, refuse_dead
from harness.cluster.provision import TRAINED, Provision
from harness.cluster.roster import Roster
from harness.core.errors import HarnessError, UsageError, WaitTimeout
from harness.distribution.archive import ArchivePlan
from harness.runtime.base import HUB, Runtime
from harness.waiting import wait_for

LISTENING_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
KILL_TIMEOUT_S = 10.0
_PAUSE_TIMEOUT_S = 5.0
_DIAL_TIMEOUT_S = 1.0


class Lifecycle:
    """Starts and ends the processes of nodes that have been outfitted."""

    def __init__(self, runtime: Runtime, roster: Roster, provision: Provision) -> None:
        self._runtime = runtime
        self._roster = roster
        self._provision = provision
        self._lock = threading.Lock()
        self._training: dict[str, ArchivePlan] = {}

    @property
    def training(self) -> tuple[str, ...]:
        """The nodes that write a start cache when they are stopped."""
        return tuple(self._training)

    def start(
        self, node: str, *, train: bool = False, listening_timeout_s: float | None = LISTENING_TIMEOUT_S
    ) -> Started:
        """Starts the node's process; waits for its port unless told not to.

        Raises `UsageError` if it runs already, `NodeDied` with its last words if it ends, `WaitTimeout`.
        """
        if self._runtime.state(node).alive:
            raise UsageError(f"{node} is running already: stop or kill it first")
        process, archive = self._provision.process(node, train=train)
        with self._lock:
            self._training.pop(node, None)
            if archive.trains:
                self._training[node] = archive
        started_ns = time.monotonic_ns()
        pid = self._runtime.start(node, process)
        if listening_timeout_s is None:
            return Started(node, pid, started_ns, None)
        self.wait_port(node, self._roster.port(node), listening_timeout_s)
        return Started(node, pid, started_ns, (time.monotonic_ns() - started_ns) / 1e9)

    def wait_port(self, node: str, port: int, timeout_s: float) -> None:
        """Waits until the node takes connections. Raises `NodeDied`, `WaitTimeout`."""

        def open_() -> bool:
            refuse_dead(self._runtime, node, f"its port {port} was waited for")
            return self.accepts(node, port)

        wait_for(
            open_,
            what=f"{node} to listen on {self._roster.ip(node)}:{port}",
            timeout_s=timeout_s,
            poll_s=0.02,
            last_seen=lambda: f"process {self._runtime.state(node)}, connection refused",
        )

    def accepts(self, node: str, port: int) -> bool:
        """Whether a connection to the node's port is taken now."""
        try:
            self._runtime.dial(HUB, self._roster.ip(node), port, _DIAL_TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def stop(self, node: str, timeout_s: float = STOP_TIMEOUT_S) -> Ended:
        """SIGTERM, as mqshutdown does, and SIGKILL if that was not enough in time (`forced`)."""
        signalled_ns = self._signal(node, signal.SIGTERM)
        try:
            state, forced = self._runtime.wait_exit(node, timeout_s), False
        except WaitTimeout:
            self._runtime.signal(node, signal.SIGKILL)
            state, forced = self._runtime.wait_exit(node, KILL_TIMEOUT_S), True
        took_s = (time.monotonic_ns() - signalled_ns) / 1e9
        archive = self._training.pop(node, None)
        if archive is not None and not forced:
            self._keep(node, archive, -state.signal if state.signal else state.exit_code or 0)
        return Ended(node, signalled_ns, took_s, state, forced)

    def _keep(self, node: str, archive: ArchivePlan, exit_status: int) -> None:
        # A start cache only saves time: one that was not written, or cannot be kept, is made the next time.
        with suppress(HarnessError, OSError):
            if archive.scratch is not None:
                archive.scratch.write_bytes(self._runtime.read_file(node, TRAINED))
            archive.keep(exit_status)

    def finish_training(self, timeout_s: float) -> None:
        """Stops, all at once, the nodes that write a start cache, and keeps what they wrote. Never raises for one."""
        nodes = [node for node in self.training if self._runtime.state(node).kind == "running"]
        if nodes:
            with ThreadPoolExecutor(max_workers=len(nodes), thread_name_prefix="training") as pool:
                list(pool.map(lambda node: self._stop_quietly(node, timeout_s), nodes))

    def _stop_quietly(self, node: str, timeout_s: float) -> None:
        with suppress(HarnessError):
            self.stop(node, timeout_s)

    def kill(self, node: str) -> Ended:
        """SIGKILL, and waits until the process is gone."""
        signalled_ns = self._signal(node, signal.SIGKILL)
        state = self._runtime.wait_exit(node, KILL_TIMEOUT_S)
        self._training.pop(node, None)
        return Ended(node, signalled_ns, (time.monotonic_ns() - signalled_ns) / 1e9, state)

    def pause(self, node: str) -> int:
        """SIGSTOP; returns the instant (monotonic ns) at which every thread was seen to be stopped."""
        return self._switch(node, signal.SIGSTOP, "stopped")

    def resume(self, node: str) -> int:
        """SIGCONT; returns the instant (monotonic ns) at which the process was seen to run."""
        return self._switch(node, signal.SIGCONT, "running")

    def _switch(self, node: str, signum: int, wanted: str) -> int:
        self._signal(node, signum)
        wait_for(
            lambda: self._runtime.state(node).kind == wanted,
            what=f"{node} to be {wanted}",
            timeout_s=_PAUSE_TIMEOUT_S,
            poll_s=0.002,
            last_seen=lambda: str(self._runtime.state(node)),
        )
        return time.monotonic_ns()

    def _signal(self, node: str, signum: int) -> int:
        if not self._runtime.state(node).alive:
            raise UsageError(f"{node} is not running ({self._runtime.state(node)}): start it first")
        now = time.monotonic_ns()
        self._runtime.signal(node, signum)
        return now
