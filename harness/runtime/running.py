"""The part of the local runtime that is about processes: started, signalled, waited for, known by pidfd."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Any

from harness.core.errors import HarnessError, UsageError, WaitTimeout
from harness.runtime.base import Process, ProcessState
from harness.runtime.link import Reply, host_pid_of, wait_pidfd
from harness.waiting import wait_for

_GONE_S = 10.0


class Running:
    """What runs in the nodes. The holder starts it; its pidfd is kept, to wait for it and to tell its pid."""

    _pidfds: dict[str, int]

    def _ask(self, op: str, fds: Sequence[int] = (), **values: Any) -> Reply:
        raise NotImplementedError

    def start(self, node: str, process: Process) -> int:
        """Starts the node's process; see `Process` for what it inherits. Raises `UsageError` for an image's."""
        if process.image:
            raise UsageError(f"node {node!r} cannot run {process.image!r} here: an image needs --runtime docker")
        reply = self._ask(
            "start",
            [process.fds[target] for target in process.fds],
            node=node,
            argv=list(process.argv),
            env=dict(process.env),
            cwd=process.cwd,
            targets=list(process.fds),
        )
        return self._keep_pidfd(node, reply.fds[0])

    def _keep_pidfd(self, node: str, pidfd: int) -> int:
        previous = self._pidfds.get(node)
        self._pidfds[node] = pidfd
        if previous is not None:
            os.close(previous)
        return host_pid_of(pidfd)

    def signal(self, node: str, signum: int) -> None:
        """Sends a signal to everything that runs in the node. Raises `UsageError` if nothing does."""
        if self._ask("signal", node=node, signum=int(signum)).values["count"] == 0:
            raise UsageError(f"node {node!r} runs nothing that could get {signal.Signals(signum).name}: start it first")

    def state(self, node: str) -> ProcessState:
        """What the node's process does now."""
        return ProcessState(**self._ask("state", node=node).values["state"])

    def wait_exit(self, node: str, timeout_s: float) -> ProcessState:
        """Waits until the node's process has ended and was reaped."""
        state = self.state(node)
        if state.kind == "absent":
            raise UsageError(f"node {node!r} runs nothing that could end: start it first")
        if state.alive and wait_pidfd(self._pidfds[node], timeout_s):
            state = self.state(node)
        if state.alive:
            raise WaitTimeout(f"waited {timeout_s:.1f} s for the end of {node!r}; last seen: {state}")
        return state

    def run(self, node: str, argv: Sequence[str], timeout_s: float) -> tuple[int, bytes, bytes]:
        """Runs a short command in the node; raises `WaitTimeout` when it was killed for being late."""
        (out_read, out_write), (err_read, err_write) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        deadline = time.monotonic() + timeout_s
        try:
            reply = self._ask(
                "execute", [null, out_write, err_write], node=node, argv=list(argv), env={}, cwd=None, targets=[0, 1, 2]
            )
        except HarnessError:
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            for fd in (null, out_write, err_write):
                os.close(fd)
        pid, pidfd = reply.values["pid"], reply.fds[0]
        try:
            output = _drain((out_read, err_read), deadline)
            if not wait_pidfd(pidfd, deadline - time.monotonic()):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                wait_pidfd(pidfd, _GONE_S)
                self._ask("collect", pid=pid)
                raise WaitTimeout(f"node {node!r}: {argv[0]!r} did not end in {timeout_s:.1f} s and was killed")
            return self._ask("collect", pid=pid).values["code"], output[out_read], output[err_read]
        finally:
            for fd in (pidfd, out_read, err_read):
                os.close(fd)

    def host_pid(self, node: str) -> int:
        """The pid of the node's process outside; -1 once it has ended. Raises `UsageError` before the first start."""
        if node not in self._pidfds:
            raise UsageError(f"node {node!r} runs nothing: start it first")
        return host_pid_of(self._pidfds[node])

    def _kill_all(self, node: str) -> None:
        self._ask("signal", node=node, signum=int(signal.SIGKILL))
        wait_for(
            lambda: self._ask("state", node=node).values["members"] == 0,
            what=f"every process of {node!r} to be gone after SIGKILL",
            timeout_s=_GONE_S,
            poll_s=0.002,
        )


def _drain(fds: Sequence[int], deadline: float) -> dict[int, bytes]:
    parts: dict[int, list[bytes]] = {fd: [] for fd in fds}
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    still_open = len(fds)
    while still_open and (left_s := deadline - time.monotonic()) > 0:
        for fd, _events in poller.poll(left_s * 1000):
            data = os.read(fd, 1 << 16)
            parts[fd].append(data)
            if not data:
                poller.unregister(fd)
                still_open -= 1
    return {fd: b"".join(data) for fd, data in parts.items()}
