"""A cluster's nodes watched for want of a processor, into the history."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from harness.cluster.cluster import Cluster
from harness.core.errors import HarnessError
from harness.core.names import PROCESSORS_WATCHED
from harness.evidence.recorder import Recorder
from harness.runtime.starving import Lack, ProcessorPulse


def watch_processors(cluster: Cluster, recorder: Recorder) -> ProcessorPulse:
    """Records each time in which a node was starved, from a thread of its own, until closed; see `ProcessorPulse`.

    Nodes of a cluster that somebody else runs are not seen, and the history then does not say that they were watched.
    """

    def told(node: str, lack: Lack) -> None:
        broker = cluster.broker_name(node) if node in cluster.brokers() else ""
        recorder.starved(node, broker, asdict(lack))

    pulse = ProcessorPulse(lambda: _pids(cluster), told)
    if pulse.watches and _pids(cluster):
        recorder.event(PROCESSORS_WATCHED)
    return pulse


def _pids(cluster: Cluster) -> dict[str, int]:
    """Every node that runs, those before others as well. One that is started or removed just now may be missing."""
    pids = {}
    for node in (*cluster.nodes(), *cluster.links.nodes):
        with suppress(HarnessError, OSError):
            pids[node] = cluster.runtime.host_pid(node)
    return {node: pid for node, pid in pids.items() if pid > 0}
