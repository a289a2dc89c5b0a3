"""Topics and groups as a broker stores them, so that its first start already knows them.

The same files a broker writes itself (config/topics.json and config/subscriptionGroup.json): a master announces their
topics with its first registration, and a slave need not wait for its first look at its master (10 s on 4.9, a minute
on 5.x). Master and slave get the same data version, so that a slave's look finds nothing to change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from harness.cluster.plan import TopicSpec
from harness.core.version import Version
from harness.runtime.base import Runtime

TOPICS = "store/config/topics.json"
GROUPS = "store/config/subscriptionGroup.json"


def seed_files(
    topics: Iterable[TopicSpec],
    groups: Iterable[str],
    version: Version,
    wall_ms: int | None = None,
    *,
    fifo: Collection[str] = (),
) -> Mapping[str, str]:
    """Path below a node's home -> text. `wall_ms` is the data version's time stamp; now, unless given."""
    stamp: dict[str, Any] = {"counter": 1, "timestamp": time.time_ns() // 1_000_000 if wall_ms is None else wall_ms}
    if version.major >= 5:
        stamp["stateVersion"] = 0
    members = {group: _group(group, fifo=group in fifo) for group in groups}
    # A group's first consumer makes its retry topic; a slave would learn of that one as late as of any other.
    retries = [TopicSpec(f"%RETRY%{group}", queues=1) for group in members]
    table = {topic.name: _topic(topic, version) for topic in (*topics, *retries)}
    return {
        TOPICS: json.dumps({"dataVersion": stamp, "topicConfigTable": table}),
        GROUPS: json.dumps({"dataVersion": stamp, "subscriptionGroupTable": members}),
    }


def write_seeds(runtime: Runtime, nodes: Iterable[str], files: Mapping[str, str]) -> None:
    """Puts the files into stores that no process uses yet."""
    for node in nodes:
        for path, text in files.items():
            runtime.write_file(node, path, text.encode())


def _topic(topic: TopicSpec, version: Version) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "order": False,
        "perm": topic.perm,
        "readQueueNums": topic.queues,
        "topicFilterType": "SINGLE_TAG",
        "topicName": topic.name,
        "topicSysFlag": 0,
        "writeQueueNums": topic.queues,
    }
    if version.major >= 5:
        fields["attributes"] = attributes_of(topic)
    return fields


def attributes_of(topic: TopicSpec) -> dict[str, str]:
    """5.x's topic attributes as they are stored: `+message.type=DELAY` without its sign."""
    pairs = (part.partition("=") for part in (topic.attributes or "").split(",") if part)
    return {name.lstrip("+"): value for name, _, value in pairs}


def _group(group: str, *, fifo: bool) -> dict[str, Any]:
    return ({"consumeMessageOrderly": True} if fifo else {}) | {
        "brokerId": 0,
        "consumeBroadcastEnable": True,
        "consumeEnable": True,
        "consumeFromMinEnable": True,
        "groupName": group,
        "notifyConsumerIdsChangedEnable": True,
        "retryMaxTimes": 16,
        "retryQueueNums": 1,
        "whichBrokerWhenConsumeSlowly": 1,
    }
