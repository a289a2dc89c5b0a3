"""Mistakes in a configuration file, which the product finds when it is started with it, or does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness.core.errors import FaultError, HarnessError, NodeDied
from harness.faults.base import Detail, Fault
from harness.faults.process import RESTART_TIMEOUT_S
from harness.faults.restart import about_exit, restart
from harness.faults.select import select
from harness.topology import layout

if TYPE_CHECKING:
    from harness.cluster import Cluster

_AS_IT_WAS = ".as-it-was"


class Misconfigure(Fault):
    """The targets are started again, one after the other, with other keys in their configuration files.

    A target that runs is stopped by SIGTERM first. One that ends by itself with the new file is no trouble: whether the
    product refuses it is for the scenario to see (`Running`). Healed by the file as it was and another start; without
    `await_health` it is over as soon as they run.
    """

    kind: Literal["misconfigure"] = "misconfigure"
    target: str
    conf: dict[str, str] = Field(min_length=1)
    await_health: bool = True

    def targets(self, cluster: Cluster) -> tuple[str, ...]:
        """The selected nodes."""
        return select(self.target, cluster)

    def inject(self, cluster: Cluster) -> Detail:
        """Keeps each file, changes it and starts the node with it.

        Raises WaitTimeout for one that neither runs nor ends, FaultError for one that may have ended for want of memory
        or disk: that would be no word on its file.
        """
        refused: dict[str, str] = {}
        for node in self.targets(cluster):
            if cluster.runtime.state(node).alive:
                cluster.stop_node(node)
            path = _path(cluster, node)
            before = cluster.runtime.read_file(node, path)
            cluster.runtime.write_file(node, path + _AS_IT_WAS, before)
            changed = {**_parsed(before), **self.conf}
            text = "".join(f"{key}={value}\n" for key, value in changed.items())
            cluster.runtime.write_file(node, path, text.encode())
            try:
                cluster.start_node(node)
            except NodeDied as error:
                seen = about_exit(cluster, node, str(error))
                if not seen["own"]:
                    raise FaultError(f"{node} ended, and that may be for want of memory or disk: {error}") from error
                refused[node] = seen["words"]
        return {"conf": self.conf, "refused": refused}

    def bites(self, cluster: Cluster) -> bool:
        """The file that each was last started with says so. What became of it is not asked: that is the point."""
        return all(
            self.conf.items() <= _parsed(cluster.runtime.read_file(node, _path(cluster, node))).items()
            for node in self.targets(cluster)
        )

    def heal(self, cluster: Cluster) -> Detail:
        """Stops what runs, puts each file back and starts the node again."""
        failed = {}
        for node in self.targets(cluster):
            path = _path(cluster, node)
            try:
                before = cluster.runtime.read_file(node, path + _AS_IT_WAS)
            except HarnessError:
                continue  # the injection did not come to this one
            if cluster.runtime.state(node).alive:
                cluster.stop_node(node)
            cluster.runtime.write_file(node, path, before)
            if (seen := restart(cluster, node)) is not None:
                failed[node] = seen
        return {"restart_failed": failed} if failed else {}

    def await_recovery(self, cluster: Cluster) -> Detail:
        """The cluster is whole again, if that is asked for."""
        if self.await_health:
            cluster.wait_healthy(RESTART_TIMEOUT_S)
        return {}


def _path(cluster: Cluster, node: str) -> str:
    """The node's configuration file, below its home."""
    spec = cluster.spec(node)
    return layout.conf_path(spec).removeprefix(f"{layout.home(spec)}/")


def _parsed(text: bytes) -> Mapping[str, str]:
    """The keys of a configuration file, which its broker may have rewritten, with comments and escapes of its own."""
    lines = (line.strip() for line in text.decode("utf-8", "replace").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip().replace("\\:", ":") for key, _, value in pairs}
