"""Committed offsets that are moved, and settings that are looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.wire.replies import QueueRef
from harness.workloads.probes import MoveOffsets, Same, Setting


class Admin:
    """Two queues with messages 10 to 29; `deaf` forgets what is committed."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.committed: dict[tuple[str, int], int] = {}
        self.deaf = deaf

    def min_offset(self, _queue: QueueRef) -> int:
        return 10

    def max_offset(self, _queue: QueueRef) -> int:
        return 30

    def commit_offset(self, queue: QueueRef, group: str, offset: int) -> None:
        if not self.deaf:
            self.committed[group, queue.queue] = offset

    def consumer_offset(self, queue: QueueRef, group: str) -> int | None:
        return self.committed.get((group, queue.queue))


def stage(admin: Admin, **settings: str | None) -> Any:
    nothing: Any = tuple
    cluster = SimpleNamespace(
        masters=lambda: ("broker-a-0",), slaves=nothing, brokers=nothing, nameservers=nothing, clients=nothing,
        address=lambda _node: "10.0.0.1:10911",
        admin=admin,
        plan=SimpleNamespace(topics=[SimpleNamespace(queues=2)]),
        looks=SimpleNamespace(config=lambda _node: settings or None),
    )  # fmt: skip
    return SimpleNamespace(cluster=cluster, topics=("topic-0",))


@pytest.mark.parametrize(("to", "offset"), [("first", 10), ("beyond", 1030)])
def test_every_queue_gets_the_offset(to: Any, offset: int) -> None:
    admin = Admin()
    assert MoveOffsets(group="g", to=to).run(stage(admin)) == {"queues": 2, "moved": 2}
    assert admin.committed == {("g", 0): offset, ("g", 1): offset}


def test_what_the_broker_does_not_tell_was_not_moved() -> None:
    assert MoveOffsets(group="g", to="beyond").run(stage(Admin(deaf=True))) == {"queues": 2, "moved": 0}


def test_a_setting_is_told_or_null() -> None:
    look = Setting(target="master/0", key="ratio")
    assert look.run(stage(Admin(), ratio="40")) == {"broker-a-0": "40"}
    assert look.run(stage(Admin(), other="40")) == {"broker-a-0": None}
    assert look.run(stage(Admin())) == {"broker-a-0": None}


@pytest.mark.parametrize(("after", "same"), [("40", True), ("30", False), (None, None)])
def test_two_looks_are_compared(after: str | None, same: bool | None) -> None:
    """Of one that did not answer it is not known."""
    seen = {"before": {"broker-a-0": "40"}, "after": {"broker-a-0": after}}
    stage: Any = SimpleNamespace(recall=seen.__getitem__)
    assert Same(first="before", second="after").run(stage) is same
