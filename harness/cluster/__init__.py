"""A cluster of real nodes: brought up in the right order, watched, and handled node by node.

Public API:

* `ClusterPlan(topology, release, jre, timers=, broker_conf=, namesrv_conf=, jvm_opts={"broker": (), "namesrv": ()},
  topics=(TopicSpec(name, queues),), groups=, disks={node: Disk}, haste=, short_run=, deadline_s=, cache=)`
* `Cluster(plan, runtime, progress=None)`: `start() -> BringUp`, `close()` (idempotent, closes the runtime too);
  `start_node -> Started`, `stop_node -> Ended`, `kill_node`, `pause_node`, `resume_node`, `restart_node`,
  `install` (another release on a stopped node);
  `wait_registered`, `wait_in_sync`, `health() -> Health`, `wait_healthy`, `lag_bytes`, `live`, `create`;
  names and addresses: `address`, `ha_address`, `ip`, `nameservers`, `brokers`, `masters`, `slaves`, `broker_names`,
  `broker_name`, `master`, `replicas`, `nameserver_list`; a nameserver's view: `is_registered`, `roles`, `permissions`;
  `add_client`, `remove_client`, `clients`, `deviations`, `outfit`; and what it stands on: `runtime`,
  `admin` (the wire), `looks`.
* `Oracle(cluster, record)`: `read_all(phase, topics, replicas=None) -> ReadSummary`.

Ready means: every broker is registered with every nameserver, every topic and group is known to every replica and
routed by every nameserver, and one write per master was acknowledged with SEND_OK, read back and copied to its slaves.
"""

from __future__ import annotations

from harness.cluster.cluster import Cluster
from harness.cluster.observed import BringUp, Ended, Health, Started, StepTiming, Unrestored
from harness.cluster.oracle import Oracle, ReadSummary
from harness.cluster.plan import PROBE_TOPIC, ClusterPlan, TopicSpec
from harness.cluster.roster import BROKER_PORT, HA_PORT, NAMESERVER_PORT, VIP_PORT

__all__ = [
    "BROKER_PORT",
    "HA_PORT",
    "NAMESERVER_PORT",
    "PROBE_TOPIC",
    "VIP_PORT",
    "BringUp",
    "Cluster",
    "ClusterPlan",
    "Ended",
    "Health",
    "Oracle",
    "ReadSummary",
    "Started",
    "StepTiming",
    "TopicSpec",
    "Unrestored",
]
