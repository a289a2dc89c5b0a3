"""Looking messages up on a broker that has them, lacks some, or indexes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import UsageError, WireError
from harness.wire import Admin
from harness.workloads.probes import Search, SetQueues, StoreFiles
from tests.fakes.broker import FakeCluster


class Stage:
    """As much of a stage as looks at one broker need."""

    def __init__(self, fake: FakeCluster, admin: Admin, queues: int = 2) -> None:
        self.topics = ("t",)
        self.cluster: Any = SimpleNamespace(
            admin=admin,
            plan=SimpleNamespace(topics=(SimpleNamespace(name="t", queues=queues),)),
            runtime=self,
            address=lambda node: fake.broker(node).address,
            masters=lambda: ("broker-a",),
            slaves=lambda: (),
            brokers=lambda: ("broker-a",),
            nameservers=lambda: (),
            clients=lambda: (),
        )
        self.paths: tuple[str, ...] = ()

    def list_files(self, _node: str, _below: str) -> Iterator[SimpleNamespace]:
        return iter([SimpleNamespace(path=path) for path in self.paths])


@pytest.fixture
def fake() -> Iterator[FakeCluster]:
    with FakeCluster(["broker-a"]) as cluster:
        cluster.create_topic("t", 2)
        yield cluster


@pytest.fixture
def stage(fake: FakeCluster) -> Iterator[Stage]:
    with Admin() as admin:
        for number in range(120):
            address = fake.broker("broker-a").address
            admin.send(address, ("t", number % 2), b"x", {"KEYS": f"k-{number}"})
        yield Stage(fake, admin)


def search(stage: Stage, each: int = 10) -> dict[str, Any]:
    return dict(Search(target="master/0", of_each_queue=each).run(stage))  # type: ignore[arg-type]


def missing(asked: int = 20, key: int = 0, id: int = 0, time: int = 0, strangers: int = 0) -> dict[str, Any]:
    return {"asked": asked, "missed": {"key": key, "id": id, "time": time}, "strangers": strangers}


def test_an_index_that_finds_anything_for_any_key_is_seen(stage: Stage, fake: FakeCluster) -> None:
    fake.broker("broker-a").finds_anything = True
    assert search(stage)["strangers"] > 0


def test_everything_is_found_in_every_way(stage: Stage) -> None:
    assert search(stage) == missing()


def test_of_a_short_queue_everything_is_looked_for_and_of_none_nothing(stage: Stage, fake: FakeCluster) -> None:
    assert search(stage, each=1000)["asked"] == 120
    fake.broker("broker-a").store.queues.clear()
    assert search(stage) == missing(asked=0)


def test_a_broker_without_an_index_finds_nothing_by_key(stage: Stage, fake: FakeCluster) -> None:
    fake.broker("broker-a").indexes = False
    assert search(stage) == missing(key=20)


def test_what_its_log_has_not_is_not_found_by_id(stage: Stage, fake: FakeCluster) -> None:
    fake.broker("broker-a").store.by_position.clear()
    assert search(stage) == missing(id=20)


def test_another_message_in_its_place_is_none(stage: Stage, fake: FakeCluster) -> None:
    places = fake.broker("broker-a").store.by_position
    first = places[0]
    places.update(dict.fromkeys(places, first))
    assert search(stage) == missing(id=19)


def test_a_broker_that_is_gone_is_no_broker_without_messages(stage: Stage, fake: FakeCluster) -> None:
    fake.stop_broker("broker-a")
    with pytest.raises(WireError):
        search(stage)


def test_a_topic_grows_and_does_not_shrink(stage: Stage, fake: FakeCluster) -> None:
    assert SetQueues(queues=5).run(stage) == {"from": 2, "to": 5}  # type: ignore[arg-type]
    assert fake.broker("broker-a").topics["t"].write_queues == 5
    with pytest.raises(UsageError, match="topic 0 has 2 queues: 1 are fewer"):
        SetQueues(queues=1).run(stage)  # type: ignore[arg-type]


def test_files_of_a_store_by_name(stage: Stage) -> None:
    stage.paths = ("store/abort", "store/checkpoint", "store/config/topics.json", "store/config/topics.json.bak")

    def look(files: str) -> dict[str, Any]:
        return StoreFiles(target="master/0", files=files).run(stage)  # type: ignore[arg-type]

    assert look("abort") == {"files": ["abort"], "count": 1}
    assert look("config/*.json") == {"files": ["config/topics.json"], "count": 1}
    assert look("lock") == {"files": [], "count": 0}
