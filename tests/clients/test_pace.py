from __future__ import annotations

import json
import threading
import time
from itertools import islice

import pytest

from harness.clients.pace import Pacer, Tally, numbers_of
from harness.clients.record import DeliverLines, Recorder, SendLines
from harness.core.errors import ClientError
from harness.core.line import KEYS


def test_a_rate_is_kept():
    pacer = Pacer(500)
    pacer.go()
    started = time.monotonic()
    for _ in range(100):
        assert pacer.admit()
    assert 0.09 < time.monotonic() - started < 2.0


def test_an_outage_is_not_followed_by_a_burst():
    pacer = Pacer(1000)
    pacer.go()
    pacer.admit()
    pacer._next_s = time.monotonic() - 60
    count, _ = pacer.due(100_000)
    assert 90 <= count <= 110


def test_due_without_a_rate_is_all_that_is_free():
    assert Pacer(None).due(256) == (256, 0.0)


def test_paused_holds_and_halted_lets_go():
    pacer = Pacer(None)
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(pacer.admit()))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    pacer.halt()
    thread.join(2)
    assert seen == [False]


def test_orderly_numbers_share_out_the_keys():
    shares = [list(islice(numbers_of(i, senders=3, keys=8, most=100), 100)) for i in range(3)]
    assert sorted(n for share in shares for n in share) == list(range(100))
    assert all(n % 8 % 3 == i for i, share in enumerate(shares) for n in share)


def test_the_tally_counts():
    tally = Tally()
    tally.invoked(4)
    for outcome in ("ok", "fail", "info"):
        tally.completed(outcome, 7)
    counts = tally.snapshot()
    assert [counts[k] for k in ("invoked", "ok", "fail", "info", "in_flight")] == [4, 1, 1, 1, 1]
    assert counts["last_ok_ns"] == 7


@pytest.mark.parametrize("process", ["p1", 'we"ird\\p\n'])
def test_lines_are_json_with_known_keys(process):
    lines = SendLines(process, "T")
    texts = [
        lines.invoke(3, 11),
        lines.done(3, 12, "ok", "SEND_OK", ("broker-a", 1, 9)),
        lines.done(3, 12, "info", "SLAVE_NOT_AVAILABLE", ("broker-a", 1, 9), "11"),
        lines.failed(3, 12, "info", "Refused", 'said "no"\n', 2),
        DeliverLines("g").deliver(f"{process}-3", 13, "T", ("broker-a", 1, 9), 0),
        DeliverLines("g").deliver(f"{process}-3", 13, "T", ("broker-a", 1, 9), 0, "body+key"),
    ]
    for text in texts:
        assert text.endswith("\n")
        assert text.count("\n") == 1
        record = json.loads(text)
        assert set(record) <= set(KEYS)
        assert record["id"] == f"{process}-3"
    assert json.loads(texts[2])["k"] == 11
    assert [json.loads(text).get("a") for text in texts[4:]] == [None, "body+key"]


def test_the_recorder_appends_and_hello_comes_first(tmp_path):
    path = tmp_path / "p1.jsonl"
    recorder = Recorder(str(path))
    recorder.hello("java", {"java": "25"}, {"keys": 8})
    recorder.event("pull", {"answer": "2 busy"})
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["f"] == "hello"
    about = json.loads(first["x"])
    assert (about["client"], about["config"]) == ("java", {"keys": 8})
    assert abs(about["wall_ns"] - time.time_ns()) < 60e9
    assert second["s"] == "pull"


def test_a_history_that_cannot_be_written_ends_the_worker(tmp_path):
    recorder = Recorder("/dev/full")
    with pytest.raises(ClientError, match="No space left on device"):
        recorder.event("pull", {})
