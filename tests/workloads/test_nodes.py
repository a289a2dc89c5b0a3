"""What is seen of nodes: who leads, who runs, what their logs say. Nobody is no leader, and no other one either."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.workloads.probes import AwaitLeader, Running, Warned


def stage(*leaders: str | None, before: str | None = None) -> Any:
    """A group that is led by these, one look after the other, and by the last one for good."""
    left = list(leaders)
    return SimpleNamespace(
        cluster=SimpleNamespace(
            topology=SimpleNamespace(brokers=[SimpleNamespace(name="broker-a")]),
            leader=lambda _broker: left.pop(0) if len(left) > 1 else left[0],
        ),
        recall=lambda _name: {"leader": before},
        now_ns=lambda: 0,
    )


@pytest.mark.parametrize(
    ("leaders", "other_than", "leader", "reached"),
    [
        (["n1"], None, "n1", True),
        ([None, None, "n1"], None, "n1", True),
        (["n0", None, "n1"], "led", "n1", True),
        (["n0"], "led", "n0", False),
        ([None], "led", None, None),
        ([None], None, None, None),
    ],
)
def test_a_leader_is_waited_for(
    leaders: list[str | None], other_than: str | None, leader: str | None, reached: bool | None
) -> None:
    seen = AwaitLeader(other_than=other_than, timeout_s=0.7).run(stage(*leaders, before="n0"))
    assert (seen["leader"], seen["reached"]) == (leader, reached)
    assert set(seen) == AwaitLeader.SEEN


def test_a_node_that_is_paused_neither_runs_nor_has_ended() -> None:
    states = {"a": ("running", True), "b": ("exited", False), "c": ("stopped", True)}
    runtime = SimpleNamespace(state=lambda node: SimpleNamespace(kind=states[node][0], alive=states[node][1]))
    nodes = SimpleNamespace(
        runtime=runtime, brokers=lambda: tuple(states), nameservers=tuple, masters=tuple, slaves=tuple, clients=tuple
    )
    seen = Running(target="broker/*").run(SimpleNamespace(cluster=nodes))  # type: ignore[arg-type]
    assert (seen["running"], seen["ended"]) == (1, 1)
    assert set(seen) == Running.SEEN


def test_a_word_is_warned_of_or_not_whatever_is_noted() -> None:
    logs = {
        "logs/broker.log": b"2026-11-28 16:16:45 INFO main - Replace, storeCheckpoint\nof which\tinterval\n"
        b"2026-11-28 16:16:46 WARN main - abortFile: no such key\njava.lang.NumberFormatException: three-days\n"
        b"2026-11-28 16:16:47 INFO main - Replace, storeCheckpoint\n",
        "logs/stdout.log": b"The address[no-port] illegal",
    }
    runtime = SimpleNamespace(
        list_files=lambda _node, below: tuple(SimpleNamespace(path=path) for path in logs if path.startswith(below)),
        read_file=lambda _node, path: logs[path],
    )
    nodes = SimpleNamespace(
        runtime=runtime, brokers=lambda: ("a",), nameservers=tuple, masters=tuple, slaves=tuple, clients=tuple
    )
    words = ("abortFile", "no-port", "storeCheckpoint", "interval", "three-days")
    seen = Warned(target="broker/*", words=words).run(SimpleNamespace(cluster=nodes))  # type: ignore[arg-type]
    assert seen == {
        "warned": 3,
        "words": {
            "abortFile": "logs/broker.log",
            "no-port": "logs/stdout.log",
            "storeCheckpoint": None,
            "interval": None,
            "three-days": "logs/broker.log",
        },
    }
    assert set(seen) == Warned.SEEN
