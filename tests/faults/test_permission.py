"""How a wiped write permission comes back, by what the nameserver's release can be asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.version import Version
from harness.faults import WipeWritePermission


def cluster_of(version: str, asked: list[tuple[Any, ...]]) -> Any:
    admin = SimpleNamespace(
        add_write_perm=lambda *words: asked.append(("add", *words)),
        create_topic=lambda *words, perm: asked.append(("topic", *words, perm)),
    )
    topic = SimpleNamespace(name="topic-0", queues=4, perm=6)
    return SimpleNamespace(
        admin=admin,
        outfit=lambda node: SimpleNamespace(version=Version.parse(version)),
        plan=SimpleNamespace(all_topics=(topic,)),
        address=lambda node: f"{node}:1",
        broker_name=lambda node: "broker-a",
        nameservers=lambda: ("namesrv-1",),
        masters=lambda: ("broker-a-0",),
        slaves=lambda: (),
        brokers=lambda: ("broker-a-0",),
        clients=lambda: (),
        topology=SimpleNamespace(elects=False),
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("4.9.7", ("add", "namesrv-1:1", "broker-a")),
        ("4.9.2", ("add", "namesrv-1:1", "broker-a")),
        ("4.8.0", ("topic", "broker-a-0:1", "topic-0", 4, 6)),
        ("3.2.6", ("topic", "broker-a-0:1", "topic-0", 4, 6)),
    ],
)
def test_it_is_asked_for_what_the_nameserver_knows(version, expected):
    asked: list[tuple[Any, ...]] = []
    WipeWritePermission(target="master/0").heal(cluster_of(version, asked))
    assert asked == [expected]
