"""A node that ends by itself when it is started again: whose doing that is, by its last words and by the machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import NodeDied
from harness.faults.restart import RestartFailed, restart


def cluster(*starts: str | None, ratio: float = 0.3, usable: int = 10 << 30, code: int = 1) -> Any:
    """Each start ends with these words, or (None) goes well."""
    left = list(starts)

    def start_node(node: str) -> None:
        words = left.pop(0)
        if words is not None:
            raise NodeDied(words)

    class State(SimpleNamespace):
        def __str__(self) -> str:
            return "exited with code 1"

    return SimpleNamespace(
        start_node=start_node,
        runtime=SimpleNamespace(
            state=lambda node: State(exit_code=code, signal=None),
            disk_usage=lambda node: SimpleNamespace(usable_bytes=usable, ratio=ratio),
        ),
    )


def test_one_that_starts_is_nothing_to_tell() -> None:
    assert restart(cluster(None), "broker-a-0") is None


def test_one_that_starts_at_the_second_attempt_is_told() -> None:
    seen = restart(cluster("java.lang.IllegalStateException: corrupt", None), "broker-a-0")
    assert seen is not None
    assert seen["returned"] is True
    assert [e["own"] for e in seen["exits"]] == [True]


@pytest.mark.parametrize(
    "words",
    [
        "java.io.FileNotFoundException: /rmq/store/lock (Too many open files)",
        "unable to allocate file descriptor table - out of memory",
        "Failed to start thread: pthread_create failed (EAGAIN)",
        "java.io.IOException: Disk quota exceeded",
        "java.io.IOException: Input/output error",
        "There is insufficient memory for the Java Runtime Environment to continue",
        "java.net.BindException: Address already in use",
    ],
)
def test_a_machine_without_what_it_takes_is_not_the_nodes_doing(words: str) -> None:
    with pytest.raises(RestartFailed) as failed:
        restart(cluster(words, words), "broker-a-0")
    assert [e["own"] for e in failed.value.seen["exits"]] == [False, False]


@pytest.mark.parametrize("trouble", [{"ratio": 0.95}, {"usable": 1 << 20}])
def test_nor_is_a_disk_that_is_full(trouble: dict[str, Any]) -> None:
    with pytest.raises(RestartFailed) as failed:
        restart(cluster("corrupt", "corrupt", **trouble), "broker-a-0")
    assert not failed.value.seen["exits"][0]["own"]


@pytest.mark.parametrize("code", [143, 130, 126, 127])
def test_nor_is_an_end_that_was_asked_for_or_a_program_that_cannot_be_run(code: int) -> None:
    with pytest.raises(RestartFailed) as failed:
        restart(cluster("", "", code=code), "broker-a-0")
    assert [e["own"] for e in failed.value.seen["exits"]] == [False, False]


def test_a_node_that_ends_twice_by_itself_has_failed() -> None:
    with pytest.raises(RestartFailed) as failed:
        restart(cluster("java.lang.IllegalStateException: corrupt", "the same"), "broker-a-0")
    assert failed.value.seen["returned"] is False
    assert all(e["own"] for e in failed.value.seen["exits"])
