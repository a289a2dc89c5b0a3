"""What faults, clusters and clients may ask of the machine, without knowing how it is done.

Nobody above this room knows pids, namespaces or containers: a runtime is asked by capability and by node name.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Protocol

NAMESPACES: Final = "namespaces"
NETWORK_CUT: Final = "network-cut"
SIZED_DISK: Final = "sized-disk"
POWER_CUT: Final = "power-cut"
IO_ERROR: Final = "io-error"
SLOW_DISK: Final = "slow-disk"
TOXIPROXY: Final = "toxiproxy"
CAPABILITIES: Final = (NAMESPACES, NETWORK_CUT, SIZED_DISK, POWER_CUT, IO_ERROR, SLOW_DISK, TOXIPROXY)

NODE_KILL: Final = "node-kill"
NODE_STOP: Final = "node-stop"
NODE_PAUSE: Final = "node-pause"
NODE_CONFIG: Final = "node-config"
SLAVE_READS: Final = "slave-reads"
OPEN_LOAD: Final = "open-load"
SHIPPED_DELAYS: Final = "shipped-delays"
SHIPPED_CHECKS: Final = "shipped-checks"
REACH: Final = (NODE_KILL, NODE_STOP, NODE_PAUSE, NODE_CONFIG, SLAVE_READS, OPEN_LOAD, SHIPPED_DELAYS, SHIPPED_CHECKS)
"""What may be done with nodes that the harness started itself, and with nobody else's unless their owner helps.

A runtime whose nodes are its own need not say that it can: it is missing only where a reason is given. `node-config`
is whatever changes a node for others too, or looks into its files: configuration, disks, releases, permissions.
`slave-reads` is that slaves may be made to serve reads; `open-load` a load that only the cluster itself bounds.
`shipped-delays` and `shipped-checks` are that delay levels, and when brokers ask after transactions, are as shipped.
"""

HUB: Final = "hub"
"""The node that always exists: the harness's own place in the cluster's network. It is never cut."""

HUB_ADDRESS: Final = "198.18.0.1"
"""The hub's address; nodes follow it, each with an address that is never given to another."""

Capabilities = Mapping[str, str | None]
"""Capability name -> None if it was seen to work, else the reason why it is missing."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a node's store lies. `plain` is the machine's own disk and cannot be filled or lose power.

    `forgets` asks for one that can lose power or answer EIO; without root that is another one than for filling.
    `unprivileged` asks for what an ordinary user gets, also as root: to compare the two, and for what only it can do.
    """

    kind: Literal["plain", "sized"] = "plain"
    size_bytes: int = 0
    forgets: bool = False
    unprivileged: bool = False


FailsBy = Literal["eio", "read-only"]
"""EIO to whatever is asked of it, as a broken disk; EROFS to changes, as a file system that found an error."""


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the cluster's network with a name, a fixed IPv4 address and a directory `home`.

    `home` is `/rmq/NAME` as the node's processes see it, with `conf`, `logs` and `store` in it.
    """

    name: str
    address: str
    disk: Disk = Disk()

    @property
    def home(self) -> str:
        """The node's directory, as its own processes see it."""
        return f"/rmq/{self.name}"


@dataclass(frozen=True, slots=True)
class Process:
    """What a node runs. The environment is exactly `env` plus PATH, HOME, LANG and HOSTNAME if not in it.

    `fds` maps descriptor numbers of the new process to open descriptors of the caller, who keeps (and closes)
    his own. Without 1 and 2 in it, output is appended to `logs/stdout.log`; without 0, input is empty.
    `image` is the image whose program this is, for a runtime with containers; the image's own environment stays then,
    and there are no descriptors.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cwd: str | None = None
    fds: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    image: str = ""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What was seen of a node's process. `stopped` means: every thread of every process of the node is.

    `exited_ns` is the CLOCK_MONOTONIC instant at which the end was collected, not the one of death.
    """

    kind: Literal["absent", "running", "stopped", "exited"]
    exit_code: int | None = None
    signal: int | None = None
    exited_ns: int | None = None

    @property
    def alive(self) -> bool:
        """There is a process, running or stopped."""
        return self.kind in ("running", "stopped")

    def __str__(self) -> str:
        """For messages: "exited with code 1", "killed by SIGKILL", "running"."""
        if self.signal is not None:
            return f"killed by {signal.Signals(self.signal).name}"
        return self.kind if self.exit_code is None else f"exited with code {self.exit_code}"


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes of the file system under a node's store."""

    used_bytes: int
    usable_bytes: int

    @property
    def ratio(self) -> float:
        """Used / (used + usable): the fraction that RocketMQ compares with diskMaxUsedSpaceRatio and its like."""
        return self.used_bytes / (self.used_bytes + self.usable_bytes)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file below a node's home, `path` relative to it; the modification time is wall time."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class PowerCut:
    """Instants (CLOCK_MONOTONIC) of a power cut: after `lost_ns` nothing more reached the disk."""

    stopped_ns: int
    lost_ns: int
    mounted_ns: int


Pair = tuple[str, str]
"""(source, destination): packets from the first to the second."""


class Runtime(Protocol):
    """One cluster's machines. Unknown nodes and calls out of order raise `UsageError`.

    Safe for use by several threads. A machine that refuses raises `SetupError`; a fault that did not take,
    `FaultError`; what this machine cannot do, `CapabilityMissing`.
    """

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Every node added and not removed, without the hub."""
        ...

    def capabilities(self) -> Capabilities:
        """What was seen to work on this machine. The first call tries it out (about a second)."""
        ...

    def add_node(self, name: str, disk: Disk = ...) -> Node:
        """Makes a node: address, network, directories, disk. Every node knows every other one by name."""
        ...

    def provide(self, directory: Path, name: str) -> str:
        """Makes a directory of the machine readable to every node; returns the path there, the same in every run.

        Evidence then names no place of the machine. Idempotent for a name.
        """
        ...

    def remove_node(self, name: str) -> None:
        """Kills what runs in it and takes its network and disk away; conf and logs stay. Idempotent."""
        ...

    def start(self, node: str, process: Process) -> int:
        """Starts the node's process and returns its pid on the host, for evidence only.

        Returns when the program was executed; that it is ready, or lives, is not proved.
        """
        ...

    def signal(self, node: str, signum: int) -> None:
        """Sends a signal to everything that runs in the node, the process's descendants included."""
        ...

    def state(self, node: str) -> ProcessState:
        """What the node's process does now, as measured in the process table."""
        ...

    def wait_exit(self, node: str, timeout_s: float) -> ProcessState:
        """Waits until the node's process has ended and returns how. Raises `WaitTimeout`."""
        ...

    def run(self, node: str, argv: Sequence[str], timeout_s: float) -> tuple[int, bytes, bytes]:
        """Runs a short command beside the node's process: (exit code, stdout, stderr); killed is 128 + signal."""
        ...

    def host_pid(self, node: str) -> int:
        """The pid of the node's process outside: for evidence and a debugger, not for faults."""
        ...

    def tail(self, node: str, lines: int = 20) -> str:
        """The last lines that the node's process wrote to its output: for error messages."""
        ...

    def cut(self, *pairs: Pair) -> None:
        """Silently drops everything from each source to its destination, open connections included. Idempotent."""
        ...

    def heal(self, *pairs: Pair) -> None:
        """Undoes `cut` for these pairs, or for all when none is given. Idempotent."""
        ...

    def cuts(self) -> frozenset[Pair]:
        """The pairs that are cut now."""
        ...

    def passes(self, source: str, destination: str) -> bool:
        """Whether a datagram from one node reaches the other within about 100 ms: observed, not remembered."""
        ...

    def dial(self, from_node: str, host: str, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection that leaves from a node; `host` is a node's name or an address. Raises OSError."""
        ...

    def disk_usage(self, node: str) -> DiskUsage:
        """How full the file system under the node's store is, as RocketMQ computes it."""
        ...

    def fill_disk(self, node: str, ratio: float) -> DiskUsage:
        """Makes the sized disk full to `ratio` with one file beside the store; more or less than before."""
        ...

    def free_disk(self, node: str) -> DiskUsage:
        """Takes the filler of `fill_disk` away. Idempotent."""
        ...

    def empty_store(self, node: str) -> None:
        """Deletes everything in the node's store. The process must not run."""
        ...

    def sync_disk(self, node: str) -> None:
        """Brings all that was written to the node's disk so far beyond the reach of a power cut."""
        ...

    def cut_power(self, node: str) -> PowerCut:
        """Freezes the node, loses what was not synced, kills it, mounts its disk again. Start it anew after."""
        ...

    def fail_disk(self, node: str, how: FailsBy = ...) -> None:
        """From now on the node's disk answers every read and write with EIO, or every change with EROFS.

        What is in memory is not touched.
        """
        ...

    def mend_disk(self, node: str) -> None:
        """Ends `fail_disk`. Kills what runs in the node, and mounts its disk again, as after a reboot. Idempotent."""
        ...

    def disk_answers(self, node: str) -> bool:
        """Whether a block written to the node's disk is taken, now: false if it answers EIO."""
        ...

    def slow_disk(self, node: str, delay_s: float) -> None:
        """From now on every sync of a file on the node's disk takes that much longer; 0 ends it. Idempotent."""
        ...

    def sync_s(self, node: str) -> float:
        """How long it takes, now, to write a block to the node's disk and sync it."""
        ...

    def set_mtime(self, node: str, pattern: str, age_s: float) -> int:
        """Makes the files that match (glob, relative to home) this old; returns how many there were."""
        ...

    def list_files(self, node: str, subdir: str = ...) -> tuple[FileEntry, ...]:
        """Every regular file below `home/subdir`, by path; empty if there is no such directory."""
        ...

    def read_file(self, node: str, path: str) -> bytes:
        """A file below the node's home. Raises `SetupError` if it cannot be read."""
        ...

    def patch_file(self, node: str, path: str, at: int, data: bytes) -> None:
        """Changes bytes of a file below the node's home in place. Raises `SetupError` if there is none."""
        ...

    def write_file(self, node: str, path: str, data: bytes) -> None:
        """Creates or replaces a file below the node's home, with its directories."""
        ...

    def close(self) -> None:
        """Kills everything and removes what was made; conf and logs stay. Idempotent."""
        ...
