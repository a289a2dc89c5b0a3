from __future__ import annotations

import json
import os
import signal

import pytest

from harness.clients.config import ProducerConfig
from harness.clients.handle import Worker
from harness.clients.spawn import PlainSpawner
from harness.core.errors import ClientError, WaitTimeout
from harness.evidence.loading import load_history
from harness.waiting import wait_for

FAKE = "tests.clients.fake:make"


def fake(group="", **fields):
    return ProducerConfig("p1", "", "T", client=FAKE, group=group, **fields)


@pytest.fixture
def worker(tmp_path):
    with Worker(PlainSpawner(tmp_path), "p1", tmp_path / "history" / "p1.jsonl") as made:
        yield made


def lines_of(worker):
    return [json.loads(line) for line in worker.history.read_text().splitlines()]


def test_a_load_from_ready_to_stopped(worker):
    worker.configure(fake(threads=4, rate_per_s=2000))
    assert worker.ready()["versions"]["memory"] == "1"
    assert worker.progress.invoked == 0
    worker.go()
    worker.wait_progress(lambda p: p.ok > 50, "50 acknowledged", 10)
    counts = worker.stop()
    assert counts["in_flight"] == 0
    lines = lines_of(worker)
    assert lines[0]["f"] == "hello"
    about = json.loads(lines[0]["x"])
    assert about["client"] == FAKE
    assert about["config"]["threads"] == 4
    done = [line for line in lines if line["y"] == "ok"]
    assert len(done) == counts["ok"] == counts["invoked"]
    assert {line["id"] for line in done} == {f"p1-{n}" for n in range(len(done))}
    place = {(line["c"], line["y"]): at for at, line in enumerate(lines) if line["f"] == "send"}
    assert all(place[c, "invoke"] < place[c, "ok"] for c, y in place if y == "ok")


def test_pause_holds_and_go_continues(worker):
    worker.configure(fake(rate_per_s=500))
    worker.ready()
    worker.go()
    worker.wait_progress(lambda p: p.ok > 10, "some", 10)
    worker.pause()
    still = worker.wait_progress(lambda p: p.in_flight == 0, "nothing in flight", 10)
    still = worker.wait_progress(lambda p: p.time_ns > still.time_ns + 200_000_000, "two more reports", 10)
    again = worker.wait_progress(lambda p: p.time_ns > still.time_ns + 200_000_000, "two more reports", 10)
    assert again.ok == still.ok
    worker.go()
    worker.set_rate(5000)
    worker.wait_progress(lambda p: p.ok > again.ok + 20, "more", 10)


def test_a_bounded_load_says_when_it_is_done(worker):
    worker.configure(fake(max_messages=37, threads=3))
    worker.ready()
    worker.go()
    assert worker.done(10)["ok"] == 37


def test_an_orderly_load_is_bounded_too(worker):
    worker.configure(fake(mode="orderly", max_messages=37, threads=3, keys=5))
    worker.ready()
    worker.go()
    assert worker.done(10)["ok"] == 37


def test_stop_waits_no_longer_than_told_and_tells_what_is_in_flight(worker):
    worker.configure(fake("stuck", rate_per_s=200))
    worker.ready()
    worker.go()
    worker.wait_progress(lambda p: p.invoked == 6, "the sixth send", 10)
    assert worker.stop(timeout_s=0.3)["in_flight"] == 1


def test_a_wait_for_what_does_not_come_says_what_was_seen(worker):
    worker.configure(fake())
    worker.ready()
    with pytest.raises(WaitTimeout, match=r"'p1': a million.*Progress\("):
        worker.wait_progress(lambda p: p.ok > 10**6, "a million", 0.2)


def test_a_refused_configuration_is_an_error_with_its_reason(worker):
    worker.configure(fake("refuse"))
    with pytest.raises(ClientError, match="no JVM anywhere"):
        worker.ready()


def test_an_unknown_client_is_an_error(worker):
    worker.configure(ProducerConfig("p1", "", "T", client="carrier-pigeon"))
    with pytest.raises(ClientError, match=r"carrier-pigeon.*java, remoting"):
        worker.ready()


def test_a_death_carries_the_last_words(worker):
    worker.configure(fake("die"))
    with pytest.raises(ClientError, match=r"(?s)exited with code 3.*the reason is on stderr"):
        worker.ready()
    with pytest.raises(ClientError, match="exited with code 3"):
        worker.go()


def test_a_bug_in_a_sender_thread_is_a_death(worker):
    worker.configure(fake("bug"))
    worker.ready()
    worker.go()
    with pytest.raises(ClientError, match="a bug in a sender thread"):
        worker.wait_progress(lambda p: p.ok > 1000, "never", 10)


def test_a_garbage_line_is_an_error_and_stays_one(worker):
    worker.configure(fake("garbage"))
    with pytest.raises(ClientError, match="unreadable line b'this is no event"):
        worker.wait_progress(lambda p: False, "never", 10)
    with pytest.raises(ClientError, match="unreadable line"):
        worker.ready()


def test_what_a_client_prints_is_no_event(worker):
    worker.configure(fake())
    worker.ready()
    assert "noise on fd 1" in worker._spawner.tail("p1") or "more noise" in worker._spawner.tail("p1")


def test_the_end_of_commands_ends_the_process(worker):
    worker.configure(fake("stuck"))
    worker.ready()
    worker.go()
    worker.expect_death()
    commands, worker._commands = worker._commands, -1
    os.close(commands)
    assert wait_for(lambda: worker._spawner.ended("p1"), what="the end", timeout_s=5) == "exited with code 0"


def test_a_killed_worker_leaves_a_history_that_can_be_read(worker):
    worker.configure(fake(threads=2))
    worker.ready()
    worker.go()
    worker.wait_progress(lambda p: p.ok > 1000, "a thousand", 10)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(ClientError, match="killed by SIGKILL"):
        worker.wait_progress(lambda p: False, "never", 10)
    worker.close()
    history = load_history(worker.history.parent.parent)
    assert history.sends.height >= 1000
    unanswered = history.sends.filter(history.sends["complete_ns"].is_null())
    assert unanswered.height <= 2
    assert set(unanswered["outcome"]) <= {"info"}


def test_a_kill_that_was_asked_for_is_said_to_be(worker):
    worker.configure(fake())
    worker.ready()
    worker.kill()
    with pytest.raises(ClientError, match="as was asked for"):
        worker.stop()
