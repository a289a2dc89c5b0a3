"""The settings that the harness puts into a configuration file of its own accord, each with its reason.

A key that changes what is judged must not be in force where a verdict depends on it: the scenario takes it out
with an empty override, and every deviation is listed with the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.core.version import Version
from harness.topology import layout
from harness.topology.model import NodeSpec, Role, Topology


class Setting(NamedTuple):
    """A key, our value, the product's default and why ours differs."""

    key: str
    value: str
    default: str
    why: str


def documented_promise(node: NodeSpec, topology: Topology, version: Version) -> tuple[Setting, ...]:
    """What 5.x needs to do what the documents say of masters with slaves; 4.x does it by default."""
    slaves = len(topology.group(str(node.broker_name))) - 1
    if version.major < 5 or not slaves or topology.election == "dledger":
        return ()
    if topology.election == "controller":
        return (
            Setting("allAckInSyncStateSet", "true", "false", "without it a master answers before any slave has it"),
            Setting("minInSyncReplicas", "2", "1", "with 1 a master that is alone acknowledges what it alone has"),
        )
    reading = Setting("slaveReadEnable", "true", "false", "a 5.x slave refuses every pull without it")
    if topology.replication != "sync":
        return (reading,)
    return (
        Setting("totalReplicas", str(1 + slaves), "1", "the master and its slaves, for inSyncReplicas to count"),
        Setting("inSyncReplicas", "2", "1", "a 5.x SYNC_MASTER waits for no slave with the default"),
        reading,
    )


def small_files() -> tuple[Setting, ...]:
    """Files small enough that rolling over, cleaning and resynchronising happen within a scenario."""
    why = "small files: rollover, cleaning and recovery happen within a scenario"
    return (
        Setting("mappedFileSizeCommitLog", str(16 << 20), str(1 << 30), why),
        Setting("mapedFileSizeCommitLog", str(16 << 20), str(1 << 30), why),
        Setting("mappedFileSizeConsumeQueue", "200000", "6000000", why),
        Setting("mapedFileSizeConsumeQueue", "200000", "6000000", why),
        Setting("maxHashSlotNum", "50000", "5000000", why),
        Setting("maxIndexNum", "200000", "20000000", why),
        Setting("mappedFileSizeTimerLog", str(1 << 20), str(100 << 20), why),
    )


def roomy() -> tuple[Setting, ...]:
    """What keeps a busy machine from being taken for a broken product."""
    return (
        Setting("waitTimeMillsInSendQueue", "10000", "200", "a busy machine is no reason to refuse sends"),
        Setting("osPageCacheBusyTimeOutMills", "10000", "1000", "a busy machine is no reason to refuse sends"),
        Setting("autoCreateTopicEnable", "false", "true", "topics are made where and as a scenario says"),
    )


def bring_up(node: NodeSpec, topology: Topology, version: Version, addresses: Mapping[str, str]) -> tuple[Setting, ...]:
    """What makes a cluster ready in seconds instead of half a minute, without touching what it promises.

    Not so haSendHeartbeatInterval: it shortens the window after a reconnect in which 4.x answers 12. The HA code
    reads it anew at every check, so the cluster puts 5000 back by UPDATE_BROKER_CONFIG once the slave is in step.
    """
    if version.major >= 5:
        metric = "3000" if version < (5, 4) else "10000"
        return (
            Setting("transactionMetricFlushInterval", "200", metric, "spins a core for that long after start"),
            Setting("timerFlushIntervalMs", "60000", "1000", "compares 38.7 MB each time; restored for delay tests"),
        )
    if node.role is not Role.SLAVE:
        return ()
    master = topology.group(str(node.broker_name))[0]
    return (
        Setting(
            "haMasterAddress",
            f"{addresses[master.name]}:{layout.HA_PORT}",
            "not set",
            "attaches at once instead of with the second registration; 5.x stops replicating with it",
        ),
        Setting("haSendHeartbeatInterval", "-1", "5000", "first report at once; put back before any fault"),
    )


def shortened_timers(version: Version) -> tuple[Setting, ...]:
    """Every configurable timer that makes a fault show late. What is hard-coded stays: expiry after 2 minutes."""
    check = "60000" if version < (5, 1) else "30000"
    return (
        Setting("registerNameServerPeriod", "10000", "30000", "timers are fast: the shortest that is allowed"),
        Setting("transactionCheckInterval", "5000", check, "timers are fast"),
    )
