"""Clusters to play with: `up` leaves one running, `exec` works inside its network, `down` ends it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import keep
from harness.clientele import check_proxies
from harness.cluster import Cluster, ClusterPlan, TopicSpec
from harness.containers import obtain_image
from harness.core.errors import HarnessError, UsageError
from harness.equip import check_paths, check_places, obtain
from harness.request import java_for, release_for
from harness.runtime import enter
from harness.runtime.local import LocalRuntime
from harness.runtime.reaper import clean
from harness.topology import Topology, check_release, load_topology
from harness.topology.render import Timers

TOPIC = "TopicTest"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which cluster is wanted, in the words of the command line."""

    topology: str
    rocketmq: str = "5.3.3"
    java: str | None = None
    timers: Timers = "fast"
    runtime: str = "local"


def up(wish: Wish, *, reports: Path, cache: Path, state: Path, say: Say) -> int:
    """Brings a cluster up, leaves it, and says how to reach it. Raises UsageError before anything is started."""
    topology = load_topology(wish.topology)
    check_proxies(wish.runtime, topology)
    java = java_for(wish.runtime, wish.java)
    rocketmq, _release = release_for(wish.runtime, "rocketmq", wish.rocketmq)
    check_places(reports, state)
    if wish.runtime == "local":
        check_paths(rocketmq, java, cache)
    for removed in clean(state, later=say):
        say(f"left by a dead run and removed: {removed}")
    say(f"RocketMQ {rocketmq}, Java {java}: obtaining and verifying")
    open_runtime: Callable[..., LocalRuntime] = LocalRuntime.open
    if wish.runtime == "docker":
        release, jre, open_runtime = obtain_image(rocketmq)
    else:
        release, jre = obtain(rocketmq, java, cache, proxies=topology.proxies > 0)
    check_release(topology, release.version)
    plan = ClusterPlan(
        topology=topology,
        release=release,
        jre=jre,
        timers=wish.timers,
        topics=(TopicSpec(TOPIC),),
        cache=cache,
    )
    left = _bring_up(plan, open_runtime, reports, state, say)
    say(left.reach())
    return 0


def _run_id(topology: Topology) -> str:
    return f"up-{topology.name[:40]}-{secrets.token_hex(3)}"


def _bring_up(
    plan: ClusterPlan, open_runtime: Callable[..., LocalRuntime], reports: Path, state: Path, say: Say
) -> keep.Left:
    run_id = _run_id(plan.topology)
    logs = (reports / run_id).resolve()
    runtime = open_runtime(run_id=run_id, evidence=logs, work_dir=state / "work", state_dir=state)
    # Whatever ends this block but success takes the cluster along.
    with runtime:
        cluster = Cluster(plan, runtime, say)
        try:
            cluster.start()
            return keep.leave_up(cluster, runtime, run_id, logs, state)
        finally:
            cluster.admin.close()


def down(run_id: str | None, *, state: Path, say: Say) -> int:
    """Ends one cluster that was left up, or all of them; nothing else is touched. 6 if one would not go."""
    wanted = [run_id] if run_id is not None else keep.left_up(state)
    if not wanted:
        say("no cluster is up")
    trouble = 0
    for name in wanted:
        try:
            keep.end(name, state)
        except UsageError:
            raise
        except HarnessError as error:
            say(f"{name}: {error}")
            trouble = error.exit_code
        else:
            say(f"{name} is down; its logs stay")
    return trouble


def execute(run_id: str, words: Sequence[str], *, state: Path) -> int:
    """Becomes what runs the command in a cluster that is up, and ends as it does; returns only by raising.

    The command sees what the cluster's nodes see: its network, their names, and this machine's files read-only. It may
    write to HOME, a directory of the cluster's that goes with it. `mqadmin` and NAMESRV_ADDR are set. It is ended with
    the cluster.
    """
    command = [*words[1:]] if words[:1] == ["--"] else [*words]
    if not command:
        raise UsageError(f"say what to run: rmq-harness exec {run_id} -- mqadmin clusterList")
    left = keep.about(run_id, state)
    owner = keep.live_owner(run_id, state)
    assert owner.holder is not None
    if owner.engine and os.geteuid() != 0:
        raise UsageError(f"{run_id} is one of containers, and only root may enter their holder: run exec as root")
    scratch = keep.inside(keep.SCRATCH)
    environment = {
        **os.environ,
        "HOME": scratch,
        "TMPDIR": scratch,
        "NAMESRV_ADDR": left.nameservers,
        "PATH": f"{keep.inside(keep.TOOLS)}:{os.environ.get('PATH', os.defpath)}",
        "RMQ_CLUSTER": run_id,
    }
    entering = enter.command(owner.holder.pid, scratch, command)
    os.execve(entering[0], entering, environment)
