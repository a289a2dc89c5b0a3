from __future__ import annotations

import threading
import zlib
from collections import Counter
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from harness.checkers.gates import drained, well_formed
from harness.cluster import Cluster, Oracle, oracle
from harness.cluster.oracle import identify
from harness.core.content import body_of
from harness.core.history import RAW_SCHEMA, History
from harness.core.verdict import Assumption
from harness.wire.message import SYS_COMPRESSED, decode_message
from harness.wire.replies import QueueRead, QueueRef
from tests.cluster.conftest import MakeCluster
from tests.fakes.store import encode_stored


def fill(cluster: Cluster, runtime: Any, count: int) -> None:
    for number in range(count):
        master = cluster.masters()[number % len(cluster.masters())]
        queue = ("t", number % 4)
        assert cluster.admin.send(
            cluster.address(master), queue, body_of(f"p-{number}", 100), {"KEYS": f"p-{number}"}
        ).acknowledged


def read(cluster: Cluster, topics: list[str] | None = None, **options: Any) -> tuple[Any, list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    summary = Oracle(cluster, lines.extend).read_all("final", topics or ["t"], **options)
    return summary, lines


def test_every_message_of_every_replica_is_read_and_every_queue_drained(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster()
    cluster.start()
    fill(cluster, runtime, 40)
    summary, lines = read(cluster)
    assert summary.complete
    assert summary.rows == 80
    assert summary.queues == 16
    per_replica = Counter(line["r"] for line in lines if line["f"] == "read")
    assert per_replica == dict.fromkeys(cluster.brokers(), 20)
    assert {line["id"] for line in lines if line["f"] == "read"} == {f"p-{n}" for n in range(40)}
    assert {line["a"] for line in lines if "a" in line} == {"compared"}, "every drain says so, and no read differs"


@pytest.mark.parametrize(
    ("switch", "wrong"),
    [
        ("corrupt_every", "body"),
        ("zero_every", "body"),
        ("rot_every", "body+checksum"),
        ("truncate_every", "body"),
        ("lengthen_every", "body"),
        ("swap_key_every", "key"),
    ],
)
def test_a_message_that_is_not_what_was_sent_is_read_as_altered(
    make_cluster: MakeCluster, switch: str, wrong: str
) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync")
    cluster.start()
    setattr(runtime.server("broker-a-0").misbehaviour, switch, 5)
    fill(cluster, runtime, 12)
    _, lines = read(cluster)
    reads = [line for line in lines if line["f"] == "read"]
    planted = [key for _, key in runtime.server("broker-a-0").planted]
    assert len(planted) == 2
    assert Counter((line["id"], line["a"]) for line in reads if "a" in line) == {(key, wrong): 2 for key in planted}
    assert {line["id"] for line in reads} == {f"p-{n}" for n in range(12)}, "it is still that message, and no phantom"


def test_the_lines_make_a_history_whose_replicas_agree(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster()
    cluster.start()
    fill(cluster, runtime, 12)
    _, lines = read(cluster)
    raw = pl.DataFrame([{"p": "oracle", **line} for line in lines], schema=RAW_SCHEMA)
    history = History.from_raw(raw)
    assert history.reads.height == 24
    assert history.drains["complete"].all()
    digests = history.reads.group_by("broker", "queue", "offset").agg(pl.col("digest").n_unique())
    assert digests["digest"].max() == 1


def test_a_message_that_a_replica_lacks_is_not_read_there(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync")
    cluster.start()
    runtime.server("broker-a-0").misbehaviour.skip_replica_every = 1
    fill(cluster, runtime, 4)
    _, lines = read(cluster)
    assert Counter(line["r"] for line in lines if line["f"] == "read") == {"broker-a-0": 4}


def test_a_queue_that_cannot_be_read_is_a_failed_drain_with_its_reason(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync")
    cluster.start()
    del runtime.server("broker-a-1").topics["t"]
    summary, lines = read(cluster)
    failed = [line for line in lines if line["f"] == "drain" and line["y"] == "fail"]
    assert not summary.complete
    assert {(line["r"], line["q"]) for line in failed} == {("broker-a-1", queue) for queue in range(4)}
    assert all("TOPIC_NOT_EXIST" in line["e"] for line in failed)


def judged(lines: list[dict[str, Any]], replicas: str | None = None) -> Assumption:
    raw = pl.DataFrame([{"p": "oracle", **line} for line in lines], schema=RAW_SCHEMA)
    history = History.from_raw(raw)
    assert well_formed(history).met
    return drained(history, "final", replicas)


def test_a_dead_replica_is_skipped_named_and_recorded_as_not_read(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync")
    cluster.start()
    fill(cluster, runtime, 8)
    cluster.kill_node("broker-a-1")
    summary, lines = read(cluster)
    assert summary.skipped == {"broker-a-1": "not running: killed by SIGKILL"}
    assert not summary.complete
    assert summary.incomplete == ("broker-a-1: not running: killed by SIGKILL",)
    unread = [(line["r"], line["q"], line["k"], line["e"]) for line in lines if line["y"] == "fail"]
    assert unread == [("broker-a-1", queue, 0, "not running: killed by SIGKILL") for queue in range(4)]
    assert not judged(lines).met
    assert not judged(lines, "slave").met
    assert judged(lines, "master").met


@pytest.mark.parametrize(
    ("told", "reason"), [("77", "77 bytes"), (None, "does not tell"), ("many", "does not tell"), ("0", "")]
)
def test_an_index_behind_its_log_is_no_end_of_a_queue(
    make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch, told: str | None, reason: str
) -> None:
    """The queue ends where its index does: what is stored beyond is not there to be read, and is not lost."""
    monkeypatch.setattr("harness.cluster.oracle.DISPATCH_TIMEOUT_S", 0.2)
    cluster, runtime = make_cluster(topology="1m-1s-sync")
    cluster.start()
    fill(cluster, runtime, 8)
    runtime.server("broker-a-0").misbehaviour.dispatch_behind = told
    runtime.server("broker-a-0").store.drop_tail("t", 0, 1)
    summary, lines = read(cluster)
    assert summary.complete is not bool(reason)
    doubted = {line["r"] for line in lines if line["y"] == "fail"}
    assert doubted == ({"broker-a-0"} if reason else set())
    assert judged(lines).met is not bool(reason)
    assert reason in judged(lines).message
    assert judged(lines, "slave").met, "the other replica told that it had indexed everything"


class TestAReleaseThatDoesNotTell:
    """3.2.6 has no figure for it: what was written last must be served before the rest is believed."""

    def read(self, make_cluster: MakeCluster, topology: str, unindexed: str = "", dead: str = "") -> Any:
        cluster, runtime = make_cluster(topology=topology, version="3.2.6")
        cluster.start()
        fill(cluster, runtime, 8)
        for node in cluster.brokers():
            runtime.server(node).misbehaviour.dispatch_behind = None
        if unindexed:
            store = runtime.server(unindexed).store
            append_raw = store.append_raw

            def in_the_log_alone(topic: str, number: int, raw: bytes) -> None:
                append_raw(topic, number, raw)
                store.queue(topic, number).entries[-1] = None

            store.append_raw = in_the_log_alone
        if dead:
            cluster.kill_node(dead)
        return read(cluster)

    def test_what_was_written_last_is_served(self, make_cluster: MakeCluster) -> None:
        summary, lines = self.read(make_cluster, "1m-1s-sync")
        assert summary.complete, summary.incomplete
        assert judged(lines).met

    @pytest.mark.parametrize("node", ["broker-a-0", "broker-a-1"])
    def test_it_is_not(self, make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch, node: str) -> None:
        monkeypatch.setattr("harness.cluster.oracle.DISPATCH_TIMEOUT_S", 0.2)
        summary, lines = self.read(make_cluster, "1m-1s-sync", unindexed=node)
        assert {text.partition(" ")[0] for text in summary.incomplete} == {node}
        assert "written last was not in the index" in judged(lines).message

    def test_nobody_can_write(self, make_cluster: MakeCluster) -> None:
        summary, _ = self.read(make_cluster, "1m-1s-sync", dead="broker-a-0")
        slave = [text for text in summary.incomplete if text.startswith("broker-a-1")]
        assert "does not tell how far its index is behind, and a write was not answered" in slave[0]


def test_an_index_that_stands_still_is_the_brokers_last_word(
    make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a slave which follows in the middle of a message: what it does not serve it never will."""
    monkeypatch.setattr("harness.cluster.oracle.DISPATCH_TIMEOUT_S", 1.5)
    monkeypatch.setattr("harness.cluster.oracle.STILL_S", 0.8)
    cluster, runtime = make_cluster(topology="1m-1s-sync")
    cluster.start()
    fill(cluster, runtime, 8)
    runtime.server("broker-a-1").misbehaviour.dispatch_behind = "77"
    runtime.server("broker-a-1").store.drop_tail("t", 0, 1)
    summary, lines = read(cluster)
    assert summary.complete
    assert "stood still 77 bytes behind the log" in summary.still["broker-a-1"]
    assert judged(lines).met
    details = {line["r"]: line.get("e") for line in lines if line["f"] == "drain"}
    assert "stood still" in details["broker-a-1"]
    assert details["broker-a-0"] is None


@pytest.mark.parametrize(
    ("looks", "still"),
    [
        ([(n, 77) for n in range(61)], True),
        ([(n, 5000 - n) for n in range(61)], False),  # on its way, however slowly
        ([(n, 5000 if n < 30 else 77) for n in range(61)], False),  # it moved half a minute ago
        ([(n, 5000 if n < 10 else 77) for n in range(61)], True),
        ([(n, None) for n in range(61)], False),
        ([(n, 77) for n in range(60)] + [(60, None)], False),
        ([(n, None if n == 40 else 77) for n in range(61)], False),  # a look that was not answered may hide anything
        ([(0, 77), (60, 77)], False),  # two looks are no watch
    ],
)
def test_what_looks_at_an_index_come_to(looks: list[tuple[float, int | None]], still: bool) -> None:
    assert oracle._behind(looks).still is still


def test_an_index_that_catches_up_is_waited_for(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m")
    cluster.start()
    fill(cluster, runtime, 4)
    wrong = runtime.server("broker-a-0").misbehaviour
    wrong.dispatch_behind = "77"
    later = threading.Timer(0.3, setattr, (wrong, "dispatch_behind", "0"))
    later.start()
    summary, _ = read(cluster)
    later.join()
    assert summary.complete


def test_a_5x_slave_that_refuses_reads_is_skipped_and_named(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(topology="1m-1s-sync", version="5.3.3")
    cluster.start()
    runtime.server("broker-a-1").config["slaveReadEnable"] = "false"
    summary, _ = read(cluster)
    assert "slaveReadEnable" in summary.skipped["broker-a-1"]
    assert summary.queues == 4
    assert not summary.complete, "what was to be read and was not is no complete reading"


def test_a_topic_nobody_has_has_no_queues(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m")
    cluster.start()
    summary, lines = read(cluster, ["%RETRY%another"])
    assert summary.queues == 0
    assert lines == []


def test_only_the_asked_for_replicas_are_read(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(topology="1m-1s-sync")
    cluster.start()
    _, lines = read(cluster, replicas=["broker-a-1"])
    assert {line["r"] for line in lines} == {"broker-a-1"}


@pytest.mark.parametrize(
    ("body", "properties", "expected"),
    [
        (body_of("p1-7", 50), "KEYS\x01p1-7\x02", ("p1-7", None)),
        (body_of("p1-7", 50), "KEYS\x01other\x02", ("p1-7", "key")),
        (b"p1-7|payload", "", ("p1-7", "body+key")),
        (b"no separator", "KEYS\x01p1-8\x02", ("p1-8", "body")),
        (b"\xff\xfe|x", "KEYS\x01p1-9\x02", ("p1-9", "body")),
        (b"nothing", "", ("unidentified@42", "body+key")),
    ],
)
def test_our_id_is_in_the_body_or_else_in_the_keys(
    body: bytes, properties: str, expected: tuple[str, str | None]
) -> None:
    raw = encode_stored(body=body, properties=properties, physical_offset=42)
    assert identify(decode_message(raw)) == expected


def test_what_was_compressed_on_its_way_is_compared_as_it_was_sent() -> None:
    body = zlib.compress(body_of("p1-7", 5000))
    raw = encode_stored(body=body, properties="KEYS\x01p1-7\x02", sys_flag=SYS_COMPRESSED)
    assert identify(decode_message(raw)) == ("p1-7", None)
    torn = encode_stored(body=body[:-9], properties="KEYS\x01p1-7\x02", sys_flag=SYS_COMPRESSED)
    assert identify(decode_message(torn)) == ("p1-7", "body")


@pytest.mark.parametrize(
    "bad",
    [
        {"code": 17, "remark": "TOPIC_NOT_EXIST"},
        {"code": None, "remark": "did not answer PULL_MESSAGE in time", "unanswered": True},
    ],
)
def test_a_reading_that_failed_for_an_instant_is_repeated(
    make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch, bad: dict[str, Any]
) -> None:
    cluster, runtime = make_cluster()
    cluster.start()
    fill(cluster, runtime, 8)
    calls = cluster.admin.calls
    really, missing = calls.read_queue, [2]

    async def read_queue(queue: QueueRef, **options: Any) -> QueueRead:
        found = await really(queue, **options)
        if not missing[0]:
            return found
        missing[0] -= 1
        return replace(found, messages=found.messages[:1], complete=False, **bad)

    monkeypatch.setattr(calls, "read_queue", read_queue)
    monkeypatch.setattr("harness.cluster.oracle.TOPIC_POLL_S", 0.01)
    summary, lines = read(cluster)
    assert summary.complete
    assert summary.rows == 16, "nothing of a reading that failed is kept"
    told = [line["e"] for line in lines if line["f"] == "drain" and line.get("e")]
    assert told
    assert all(text == f"read again after: {bad['remark']}" for text in told)
    missing[0] = 10_000
    summary, _ = read(cluster)
    assert not summary.complete
