"""Makes the start caches of a release and a JRE before anything is judged: one small cluster, up and down."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from harness.cluster import Cluster, ClusterPlan
from harness.core.errors import HarnessError, SetupError
from harness.distribution import Jre, Release
from harness.lodging import OpenRuntime
from harness.runtime.local import LocalRuntime
from harness.topology import Topology, load_topology
from harness.topology.jvm import jvm_flags

FIRST_JAVA_WITH_CACHES = 13


def warm(
    release: Release,
    jre: Jre,
    *,
    cache: Path,
    state: Path,
    say: Callable[[str], None],
    must_start: bool = False,
    open_runtime: OpenRuntime = LocalRuntime.open,
) -> None:
    """Trains once per release and JRE. Never fails a run: without caches everything only starts more slowly.

    With `must_start` it raises SetupError for a release that does not come up by itself, with the last words of its
    node.
    """
    one = load_topology("1m").model_dump()
    smallest = Topology.model_validate(one | {"proxies": 1 if release.proxy else 0})
    mark = cache / "archives" / f"trained-{release.version}-{jre.version}-{_digest(release, jre, smallest)}"
    caches = jre.major >= FIRST_JAVA_WITH_CACHES
    if mark.exists() or not (caches or must_start):
        return
    say(
        f"first run of RocketMQ {release.label} on Java {jre.major}: "
        + ("making start caches" if caches else "does it start?")
    )
    plan = ClusterPlan(smallest, release, jre, cache=cache)
    try:
        with tempfile.TemporaryDirectory(prefix="rmq-warm-") as scratch:
            runtime = open_runtime(
                run_id=f"warm-{uuid4().hex[:8]}", evidence=Path(scratch), work_dir=state / "work", state_dir=state
            )
            # The cluster closes its runtime, also where it does not come up.
            with Cluster(plan, runtime) as cluster:
                cluster.start()
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except (HarnessError, OSError) as error:
        if must_start:
            raise SetupError(
                f"RocketMQ {release.label} does not start by itself on Java {jre.major}: {error}"
            ) from error
        say(f"no start caches: {error}")


def _digest(release: Release, jre: Jre, topology: Topology) -> str:
    # With the options, for a start cache is good for these only: others make it anew.
    options = [flag for node in topology.nodes for flag in jvm_flags(node, jre.major)]
    text = "\n".join([jre.build, *options, *(f"{name} {sum_}" for name, sum_ in sorted(release.sha256.items()))])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
