"""What all measurements share: the releases, a directory that goes at the end, and clusters one at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.cluster import Cluster, ClusterPlan
from harness.distribution import Jre, Release, obtain_jre, obtain_release
from harness.runtime.local import LocalRuntime
from harness.topology import load_topology

Say = Callable[[str], None]
JAVA = "25"


@dataclass(frozen=True)
class Lab:
    """One run of measurements. `operations` are the sizes of the histories that are judged."""

    cache: Path
    state: Path
    directory: Path
    say: Say
    versions: tuple[str, ...]
    rounds: int
    samples: int
    operations: tuple[int, ...]

    @cached_property
    def jre(self) -> Jre:
        """The Java of all nodes and clients."""
        return obtain_jre(JAVA, self.cache)

    def release(self, version: str) -> Release:
        """A release, obtained once. Raises what `obtain_release` does."""
        return obtain_release(version, self.cache)

    def load(self) -> str:
        """How busy the machine is, in words."""
        one, five, _ = os.getloadavg()
        return f"Load average {one:.1f} (1 min), {five:.1f} (5 min) at the end, on {os.cpu_count()} CPUs."

    @contextmanager
    def cluster(self, topology: str, version: str, **plan: Any) -> Iterator[Cluster]:
        """A cluster that is not started yet, and goes with the block."""
        made = ClusterPlan(load_topology(topology), self.release(version), self.jre, cache=self.cache, **plan)
        run_id = f"bench-{uuid4().hex[:8]}"
        runtime = LocalRuntime.open(
            run_id=run_id, evidence=self.directory / run_id, work_dir=self.state / "work", state_dir=self.state
        )
        with Cluster(made, runtime) as cluster:
            yield cluster


@contextmanager
def laboratory(
    cache: Path, state: Path, say: Say, *, versions: tuple[str, ...], counts: tuple[int, ...]
) -> Iterator[Lab]:
    """A laboratory; `counts` are rounds, samples and the operations of each history to be judged."""
    rounds, samples, *operations = counts
    with tempfile.TemporaryDirectory(prefix="rmq-harness-bench-") as name:
        yield Lab(cache, state, Path(name), say, versions, rounds, samples, tuple(operations))
