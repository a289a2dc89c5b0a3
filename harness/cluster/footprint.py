"""What a scenario could leave behind on a cluster without making it ill: configuration and topics of the brokers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.cluster.cluster import Cluster

_OF_THE_PRODUCT: Final = ("RMQ_SYS_", "rmq_sys_", "SCHEDULE_TOPIC_XXXX", "TRANS_CHECK_MAX_TIME_TOPIC")
"""Topics that a broker makes for itself when it first wants one begin so: `TopicValidator` and `TopicConfigManager`."""
_SHAPE: Final = ("perm", "readQueueNums", "writeQueueNums")


@dataclass(frozen=True, slots=True)
class Footprint:
    """Broker node -> its configuration in force, and its topics with permission and queues; None if it did not say.

    Not among them are the topics that a broker makes for itself.
    """

    configs: Mapping[str, Mapping[str, str] | None]
    topics: Mapping[str, Mapping[str, tuple[Any, ...]] | None]

    @classmethod
    def of(cls, cluster: Cluster) -> Footprint:
        """As it is now. Not looked at: offsets of consumers, and what is stored."""
        return cls(
            {node: cluster.looks.config(node) for node in cluster.brokers()},
            {node: _shapes(cluster.looks.topics(node)) for node in cluster.brokers()},
        )

    def differences(self, now: Footprint) -> tuple[str, ...]:
        """What is otherwise now than it was, one line each; what was not said, then or now, is otherwise."""
        return (
            *_differences("configuration", self.configs, now.configs),
            *_differences("topics", self.topics, now.topics),
        )


def _shapes(table: Mapping[str, Mapping[str, Any]] | None) -> dict[str, tuple[Any, ...]] | None:
    if table is None:
        return None
    ours = {name: config for name, config in table.items() if not name.startswith(_OF_THE_PRODUCT)}
    return {name: tuple(config.get(key) for key in _SHAPE) for name, config in ours.items()}


def _differences(
    what: str, before: Mapping[str, Mapping[str, Any] | None], now: Mapping[str, Mapping[str, Any] | None]
) -> list[str]:
    found = []
    for node, then in before.items():
        at_last = now.get(node)
        if then is None or at_last is None:
            found.append(f"{node} does not tell its {what}")
            continue
        keys = sorted(key for key in {*then, *at_last} if then.get(key) != at_last.get(key))
        if keys:
            texts = (f"{key} {then.get(key, 'absent')} -> {at_last.get(key, 'absent')}" for key in keys)
            found.append(f"{node} has another {what} than before: {', '.join(texts)}")
    return found
