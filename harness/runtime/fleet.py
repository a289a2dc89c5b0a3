"""The containers of one run: the holder's, those that keep nodes' networks, and those that nodes' processes are."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from harness.core.errors import SetupError
from harness.runtime.engine import LABEL, READABLE, TIMEOUT_S, Engine, discard, told

NODE_LABEL: Final = "rmq-harness.node"
MACHINE: Final = "/host"
"""Where the holder's container has the machine's files."""
# Stops itself, so that the holder can give it the node's directories first, and is then the program.
_WRAPPER: Final = 'kill -STOP $$; exec "$@" >>"$0" 2>&1 </dev/null'
_KEEPER: Final = "while :; do kill -STOP $$; done"
# Neither an image nor a daemon adds processes of its own: they would be taken for the node's.
_NOTHING_BESIDE: Final = {"init": False, "healthcheck": {"test": ["NONE"]}, "log_config": READABLE}
# Mounts, networks, nodes' processes and loop devices; not all that --privileged gives, nor what not every root has.
_HOLDER_MAY: Final = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "DAC_READ_SEARCH", "IPC_LOCK", "MKNOD")


class Fleet:
    """Starts, lists and removes what carries a run's mark. Safe for use by several threads."""

    def __init__(self, engine: Engine, mark: str) -> None:
        self._engine = engine
        self.mark = mark

    def start_holder(self, image: str, words: Sequence[str]) -> Any:
        """Runs a program of this machine as root in a container: the image lends no more than its `chroot`."""
        with told("starting the holder's container"):
            return self._started(
                image,
                entrypoint=["chroot", MACHINE, *words],
                auto_remove=True,
                cap_add=list(_HOLDER_MAY),
                device_cgroup_rules=["b *:* rwm", "c *:* rwm"],
                security_opt=["label=disable", "seccomp=unconfined", "apparmor=unconfined"],
                user="0:0",
                network_mode="none",
                userns_mode="host",
                working_dir="/",
                volumes={"/": {"bind": MACHINE, "mode": "rw"}},
                labels={LABEL: self.mark, NODE_LABEL: "hub"},
                **_NOTHING_BESIDE,
            )

    def start_keeper(self, image: str, node: str, holder: str) -> Any:
        """A container that does nothing but keep a network, empty at first, for the node's containers to join."""
        with told(f"making the network of {node!r}"):
            return self._started(
                image,
                entrypoint=["sh", "-c", _KEEPER],
                auto_remove=True,
                hostname=node,
                network_mode="none",
                pid_mode=f"container:{holder}",
                **self._common(node),
            )

    def start_body(self, image: str, node: str, joins: tuple[str, str], words: Sequence[str], **more: Any) -> Any:
        """A container for a node's process, which waits, stopped, to be given its directories.

        It joins the PID namespace of one container and the network of another; `more` is of the SDK.
        """
        from docker.types import Ulimit

        holder, keeper = joins
        with told(f"starting a container for {node!r}"):
            return self._started(
                image,
                entrypoint=["sh", "-c", _WRAPPER, f"/rmq/{node}/logs/stdout.log", *words],
                network_mode=f"container:{keeper}",
                pid_mode=f"container:{holder}",
                tmpfs={"/rmq": "mode=755"},
                shm_size=256 << 20,
                # No more: raising the daemon's own limits takes a right that not every daemon has.
                ulimits=[Ulimit(name="core", soft=0, hard=0)],
                **self._common(node),
                **more,
            )

    def _started(self, image: str, **wanted: Any) -> Any:
        """A container that runs; one that does not start is removed."""
        from docker.errors import ImageNotFound

        try:
            container = self._engine.client.containers.create(image, **wanted)
        except ImageNotFound:
            raise SetupError(
                f"the image {image} is not in the Docker daemon at {self._engine.url} any more: somebody removed it "
                "since the run began; load or build it again, and start anew"
            ) from None
        try:
            container.start()
        except BaseException:
            discard(container)
            raise
        return container

    def _common(self, node: str) -> dict[str, Any]:
        return {
            "user": "0:0",
            "userns_mode": "host",
            "security_opt": ["label=disable"],
            "labels": {LABEL: self.mark, NODE_LABEL: node},
            **_NOTHING_BESIDE,
        }

    def containers(self) -> Iterator[tuple[str, Any]]:
        """(node, container) of everything with a run's mark, ended ones too."""
        with told("listing containers"):
            for container in self._engine.client.containers.list(
                all=True, filters={"label": f"{LABEL}={self.mark}"}, ignore_removed=True
            ):
                yield container.labels.get(NODE_LABEL, ""), container

    def remove(self) -> list[str]:
        """Removes every container with a run's mark, whatever it does; returns one line for each.

        Raises `SetupError` for those that stay, when all others are gone.
        """
        removed, stay = [], []
        for node, container in tuple(self.containers()):
            try:
                discard(container)
            except SetupError as error:
                stay.append(str(error))
            else:
                removed.append(f"container {container.name} ({node})")
        if stay:
            raise SetupError("; ".join(stay))
        return removed

    def close(self) -> None:
        """Ends the conversation with the engine; containers stay as they are."""
        self._engine.close()


def host_pid(container: Any) -> int:
    """The pid of a container's first process on this machine; 0 if it has ended."""
    with told("looking at a container"):
        container.reload()
    return int(container.attrs["State"]["Pid"])


def inner_pid(container: Any) -> int:
    """The pid of a running container's first process in its own PID namespace. Raises `SetupError` if it has ended."""
    pid = host_pid(container)
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        status = ""
    pids = next((line.split() for line in status.splitlines() if line.startswith("NSpid:")), [])
    if pid == 0 or len(pids) < 2:
        said = last_words(container) or "nothing"
        raise SetupError(f"a container ended at once, or runs where this machine cannot see it; it said: {said}")
    return int(pids[-1])


def exit_code(container: Any) -> int:
    """How a container ended; waits until the daemon knows."""
    with told(f"asking how container {container.name} ended"):
        return int(container.wait(timeout=TIMEOUT_S)["StatusCode"])


def last_words(container: Any) -> str:
    """The end of what a container printed; empty if it is gone."""
    try:
        with told("reading a container's output"):
            return str(container.logs(tail=10).decode(errors="replace").strip())
    except SetupError:
        return ""


def python_words(boot: str, arguments: Sequence[str]) -> list[str]:
    """The command line of this very Python for a program given as text."""
    return [sys.executable, "-I", "-c", boot, str(Path(__file__).resolve().parents[2]), *arguments]
