"""What a node's file has otherwise after its move to another release."""

from __future__ import annotations

import pytest

from harness.core.version import Version
from harness.topology import changes_of_conf, keys, load_topology

TOPOLOGY = load_topology("2m-2s-sync")


def moved(first: str, last: str, **conf: str) -> tuple[str, ...]:
    return changes_of_conf(TOPOLOGY, Version.parse(first), Version.parse(last), "fast", conf)


def test_what_5_x_needs_to_wait_for_a_slave_is_listed_with_its_reason() -> None:
    lines = moved("4.9.7", "5.3.3")
    assert any(line.startswith("master: inSyncReplicas: not set -> 2 (a 5.x SYNC_MASTER waits") for line in lines)
    assert any(line.startswith("slave: slaveReadEnable: not set -> true") for line in lines)
    assert not [line for line in lines if "haMasterAddress" in line or "IP" in line]


def test_the_way_back_is_the_same_turned_round() -> None:
    assert any(line.startswith("master: inSyncReplicas: 2 -> not set") for line in moved("5.3.3", "4.9.7"))


def test_nothing_is_listed_where_nothing_changes() -> None:
    assert moved("5.2.0", "5.3.3") == ()


def test_another_spelling_is_told_as_that() -> None:
    lines = moved("4.4.0", "4.9.7")
    assert "master: mapedFileSizeCommitLog is spelled mappedFileSizeCommitLog" in lines
    assert not [line for line in lines if line.startswith("master: mappedFileSizeCommitLog")]


def test_a_key_of_the_caller_is_translated() -> None:
    lines = moved("4.4.0", "5.3.3", mapedFileSizeCommitLog="1048576")
    assert "master: mapedFileSizeCommitLog is spelled mappedFileSizeCommitLog" in lines
    assert moved("4.9.7", "5.3.3", mappedFileSizeCommitLog="1048576") == moved("4.9.7", "5.3.3")


@pytest.mark.parametrize(
    ("key", "version", "name"),
    [
        ("mapedFileSizeCommitLog", "4.9.7", "mappedFileSizeCommitLog"),
        ("mappedFileSizeCommitLog", "4.4.0", "mapedFileSizeCommitLog"),
        ("mapedFileSizeCommitLog", "4.4.0", "mapedFileSizeCommitLog"),
        ("flushDiskType", "5.3.3", "flushDiskType"),
        ("noSuchKey", "5.3.3", "noSuchKey"),
    ],
)
def test_spellings(key: str, version: str, name: str) -> None:
    assert keys.spelled("broker", key, Version.parse(version)) == name
