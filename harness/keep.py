"""Clusters that stay up after the command that started them: how they are left, reached and ended."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from harness.cluster import Cluster
from harness.core.errors import HarnessError, SetupError, UsageError
from harness.distribution import Inside
from harness.runtime import owner as owners
from harness.runtime.base import Runtime
from harness.runtime.docker import DockerRuntime
from harness.runtime.engine import Engine
from harness.runtime.local import LocalRuntime
from harness.runtime.namespaces import WORK
from harness.runtime.owner import Owner
from harness.runtime.reaper import end_holder
from harness.topology import layout

ABOUT: Final = "cluster.json"
TOOLS: Final = "bin"
SCRATCH: Final = "scratch"
"""A directory that commands inside may write to; it goes with the cluster."""
MQADMIN: Final = "mqadmin"


@dataclass(frozen=True, slots=True)
class Left:
    """A cluster that was left up. `nodes` maps names to addresses; `logs` is where every node's conf and logs are."""

    run_id: str
    topology: str
    rocketmq: str
    java: str
    nodes: dict[str, str]
    nameservers: str
    topic: str
    logs: str

    def reach(self) -> str:
        """How to reach it, look at it and end it: lines for a person, each command ready to be pasted."""
        width = max(map(len, self.nodes))
        run = self.run_id
        return "\n".join(
            [
                f"{self.topology}, RocketMQ {self.rocketmq}, Java {self.java}: up as {run}",
                *(f"  {name:{width}}  {address}" for name, address in self.nodes.items()),
                f"  logs: {self.logs}",
                "The cluster is in a network of its own. Inside it node names resolve, NAMESRV_ADDR and mqadmin (of "
                "this release) are set, this machine's files are read-only, and $HOME may be written to:",
                f"  rmq-harness exec {run} -- mqadmin clusterList",
                f"  rmq-harness exec {run} -- mqadmin topicStatus -t {self.topic}",
                f"  rmq-harness exec {run} -- bash",
                f"It stays until: rmq-harness down {run}",
            ]
        )


class Keeper:
    """Keeps the cluster of the last scenario of a run: each scenario that begins ends the one kept before.

    Controls know nothing of it: while one runs, the cluster of the scenario that it belongs to stays up beside it.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self.left: Left | None = None

    def keep(self, cluster: Cluster, runtime: Runtime, run_id: str, logs: Path) -> None:
        """Leaves this one up instead of closing it. Raises `SetupError` where the runtime cannot."""
        if not isinstance(runtime, LocalRuntime):
            raise SetupError("only the local runtime can leave a cluster up")
        self.left = leave_up(cluster, runtime, run_id, logs, self._state)

    def release(self) -> None:
        """Ends the kept one, before the next scenario's is started. Idempotent."""
        left, self.left = self.left, None
        if left is not None:
            end(left.run_id, self._state)


def leave_up(cluster: Cluster, runtime: LocalRuntime, run_id: str, logs: Path, state: Path) -> Left:
    """Writes down how to reach a cluster that is ready, and detaches from it. Its nodes go on; nothing watches them."""
    owner = live_owner(run_id, state)
    work = Path(owner.work_dir)
    plan = cluster.plan
    names = cluster.nodes()
    left = Left(
        run_id=run_id,
        topology=plan.topology.name,
        rocketmq=plan.release.label,
        java=plan.jre.version,
        nodes={name: cluster.address(name) for name in names},
        nameservers=cluster.nameserver_list(),
        topic=plan.all_topics[0].name,
        logs=str(logs / "nodes"),
    )
    _write_tools(work, cluster, left)
    cluster.leave()
    runtime.detach()
    return left


def about(run_id: str, state: Path) -> Left:
    """What was written down about a cluster that is up. Raises `UsageError` if there is none of that id."""
    owner = _lingering(run_id, state)
    try:
        return Left(**json.loads((Path(owner.work_dir) / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise UsageError(
            f"{run_id} was left up by another version, which wrote down something else: rmq-harness down {run_id}"
        ) from None


def left_up(state: Path) -> list[str]:
    """The run ids of all clusters that were left up and live."""
    return [o.run_id for _path, o in owners.records(state) if o is not None and o.live and o.lingering]


def live_owner(run_id: str, state: Path) -> Owner:
    """Who owns a living cluster. Raises `UsageError` naming those that are up if there is none of that id."""
    path = owners.record_path(state, run_id)
    # The id comes from a command line: what leads out of the directory of records is no id.
    owner = owners.read(path) if path.parent == state / "runs" else None
    if owner is None:
        up = left_up(state)
        raise UsageError(f"no cluster {run_id!r} is up; up are: {', '.join(up) or 'none'} (`rmq-harness up TOPOLOGY`)")
    if not owner.live:
        raise UsageError(f"cluster {run_id!r} is dead: run `rmq-harness clean` to remove what it left")
    return owner


def _lingering(run_id: str, state: Path) -> Owner:
    owner = live_owner(run_id, state)
    if not owner.lingering:
        raise UsageError(f"{run_id} belongs to a run that is still going (process {owner.harness.pid}): end that one")
    return owner


def end(run_id: str, state: Path) -> None:
    """Kills a cluster that was left up and removes what it has on this machine, its logs aside.

    Raises `UsageError` for an id that is none or whose run is still going, `SetupError` if something would not go.
    """
    owner = _lingering(run_id, state)
    kind = DockerRuntime if owner.engine else LocalRuntime
    if owner.engine:
        _see_engine(owner)
    try:
        runtime = kind.attach(run_id=run_id, evidence=Path(owner.work_dir), state_dir=state)
    except HarnessError as error:
        raise SetupError(f"{run_id} does not answer ({error}); is another command using it?") from error
    runtime.close()


def _see_engine(owner: Owner) -> None:
    """Raises `SetupError` where its daemon cannot be asked, when everything that runs was ended without it."""
    try:
        Engine.connect(owner.engine).close()
    except HarnessError as error:
        end_holder(owner)
        raise SetupError(
            f"it is ended, and what the daemon keeps of it cannot be removed yet ({error}): `rmq-harness clean` does "
            "when that answers"
        ) from error


def _write_tools(work: Path, cluster: Cluster, left: Left) -> None:
    for name in (TOOLS, SCRATCH):
        (work / name).mkdir(exist_ok=True)
    script = work / TOOLS / MQADMIN
    script.write_text(_mqadmin(cluster), encoding="utf-8")
    script.chmod(0o755)
    (work / ABOUT).write_text(json.dumps(asdict(left)), encoding="utf-8")


def inside(part: str) -> str:
    """Where something of the cluster's work directory is for what runs in it."""
    return str(WORK / part)


def _mqadmin(cluster: Cluster) -> str:
    """The release's own mqadmin, on the cluster's Java; of jars here with its log files in the scratch directory."""
    release, jre = cluster.plan.release, cluster.plan.jre
    if release.inside is not None and isinstance(cluster.runtime, DockerRuntime):
        return _mqadmin_of_image(release.inside, cluster.runtime.keeper_pid(cluster.nameservers()[0]))
    folders = dict.fromkeys(jar.parent for jar in release.jars)
    words: list[Any] = [
        jre.java,
        "-Xmx256m",
        "-XX:TieredStopAtLevel=1",
        *(["--sun-misc-unsafe-memory-access=allow"] if jre.major >= 23 else []),  # silences the old netty's warnings
        f"-Duser.home={inside(SCRATCH)}",
        f"-Drocketmq.home.dir={cluster.runtime.nodes[cluster.nameservers()[0]].home}",
        "-cp",
        ":".join(f"{folder}/*" for folder in folders),
        layout.mqadmin_class(release.version),
    ]
    return f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n'


def _mqadmin_of_image(inside: Inside, keeper_pid: int) -> str:
    """The image's own, in the files of a container of it; the network is that of whoever calls it."""
    settings = [f"JAVA_HOME={inside.jre.home}", f"ROCKETMQ_HOME={inside.home}", "HOME=/root"]
    words = ["chroot", f"/proc/{keeper_pid}/root", "env", *settings, "sh", f"{inside.scripts}/mqadmin"]
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
