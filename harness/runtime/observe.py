"""Packets between nodes, and whether they pass: seen by sending datagrams between the nodes' own networks."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from typing import Any

from harness.core.errors import UsageError
from harness.runtime.base import HUB, HUB_ADDRESS, Node, Pair
from harness.runtime.link import Reply

TRIES_S = (0.02, 0.03, 0.05)


class Probes:
    """One datagram socket per node; a probe takes at most about 100 ms and one runs at a time."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self._lock = threading.Lock()

    def add(self, node: str, fd: int) -> None:
        """Takes over a bound datagram socket of a node."""
        self._sockets[node] = socket.socket(fileno=fd)

    def remove(self, node: str) -> None:
        """Closes a node's socket. Idempotent."""
        with self._lock:
            found = self._sockets.pop(node, None)
            if found is not None:
                found.close()

    def close(self) -> None:
        """Closes all."""
        for node in list(self._sockets):
            self.remove(node)

    def passes(self, source: str, destination: str) -> bool:
        """Whether one of a few datagrams arrived. Says nothing about the way back."""
        with self._lock:
            sender, receiver = self._sockets[source], self._sockets[destination]
            token, address = os.urandom(16), receiver.getsockname()
            # A number of tries, not a deadline: a harness that was kept waiting must not take that for silence.
            for wait_s in TRIES_S:
                try:
                    sender.sendto(token, address)
                except OSError:
                    return False
                if self._arrived(receiver, token, wait_s):
                    return True
            return False

    @staticmethod
    def _arrived(receiver: socket.socket, token: bytes, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        poller = select.poll()
        poller.register(receiver, select.POLLIN)
        while poller.poll(max(0.0, until - time.monotonic()) * 1000):
            try:
                if receiver.recv(64) == token:
                    return True
            except BlockingIOError:
                continue
        return False


class Traffic:
    """The part of the local runtime that is about packets between nodes."""

    _probes: Probes
    _nodes: dict[str, Node]

    def _ask(self, op: str, fds: Any = (), **values: Any) -> Reply:
        raise NotImplementedError

    def cut(self, *pairs: Pair) -> None:
        """Drops everything from source to destination, from the next packet on."""
        self._ask("cut", pairs=[list(pair) for pair in pairs])

    def heal(self, *pairs: Pair) -> None:
        """Undoes these cuts, or all. A TCP flow resumes with its next retransmission, which may take as long again."""
        self._ask("heal", pairs=[list(pair) for pair in pairs])

    def cuts(self) -> frozenset[Pair]:
        """The pairs that are cut now."""
        return frozenset((source, target) for source, target in self._ask("cuts").values["cuts"])

    def passes(self, source: str, destination: str) -> bool:
        """Whether a datagram arrives; observed."""
        for node in (source, destination):
            self._address(node, must_be_node=True)
        return self._probes.passes(source, destination)

    def dial(self, from_node: str, host: str, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection from a node; the timeout holds for the connection's later calls too."""
        sock = socket.socket(fileno=self._ask("tcp_socket", node=from_node).fds[0])
        try:
            sock.settimeout(timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((self._address(host), port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _address(self, host: str, *, must_be_node: bool = False) -> str:
        if host == HUB:
            return HUB_ADDRESS
        if host in self._nodes:
            return self._nodes[host].address
        if must_be_node:
            known = ", ".join([HUB, *self._nodes])
            raise UsageError(f"node {host!r} does not exist: add it first; there are {known}")
        return host
