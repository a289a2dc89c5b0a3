"""The C++ client against a broker in memory, where its library is in the cache; nothing is downloaded here."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

from harness.clients.client import make
from harness.clients.config import ConsumerConfig, CppSetup, Pin, ProducerConfig
from harness.clients.cpp_consumer import CppConsumer
from harness.clients.decisions import decision_of
from harness.clients.record import Recorder
from harness.core.content import body_of, examine
from harness.core.errors import ClientError, SetupError, UsageError, WaitTimeout
from harness.distribution import default_cache, obtain_cpp
from harness.wire.codes import RequestCode
from harness.wire.message import decode_message
from tests.fakes.broker import FakeCluster

# The library itself: what it takes to start and to be given messages varies with the machine.
pytestmark = pytest.mark.real

SEND = RequestCode.SEND_MESSAGE


def unfetched(_wheel, _scratch):
    raise SetupError("the cpp client is not in the cache: --client=cpp brings it there")


@pytest.fixture(scope="module")
def setup():
    try:
        library = obtain_cpp(default_cache(), fetch=unfetched)
    except SetupError as missing:
        pytest.skip(str(missing))
    return CppSetup(str(library.home), library.version, library.library, "broker-a")


@pytest.fixture
def fake():
    with FakeCluster(["broker-a"]) as cluster:
        cluster.create_topic("T", 2)
        yield cluster


@pytest.fixture
def producer(fake, setup):
    def make(**fields):
        fields = {"timeout_ms": 1000, "threads": 1, "max_messages": 20} | fields
        return ProducerConfig("p1", fake.nameserver, "T", client="cpp", cpp=setup, **fields)

    return make


def run(start, config):
    worker = start(config)
    worker.ready(10)
    worker.go()
    worker.done(30)
    return sends(worker)


def lines(worker, kind):
    return [d for d in map(json.loads, worker.history.read_text().splitlines()) if d["f"] == kind]


def sends(worker):
    return {d["c"]: d for d in lines(worker, "send") if d["y"] != "invoke"}


def stored(fake, *queues):
    store = fake.broker().store
    return [store.queue("T", q).at(o) for q in queues or (0, 1) for o in range(store.queue("T", q).end)]


def test_what_is_acknowledged_is_stored_and_names_its_broker_but_no_queue(fake, start, producer):
    done = run(start, producer(max_messages=200))
    assert {(d["y"], d["s"], d["b"], d.get("q"), d.get("o")) for d in done.values()} == {
        ("ok", "SEND_OK", "broker-a", None, None)
    }
    assert len(done) == len(stored(fake)) == 200


def keys(raw):
    return decode(raw).properties["KEYS"]


def decode(raw):
    return decode_message(raw)


def test_the_body_that_is_stored_is_the_one_that_was_recorded_also_where_the_client_would_compress_it(
    fake, start, producer
):
    run(start, producer(max_messages=4, body_bytes=200_000))
    found = [examine(decode(raw).body, keys(raw)) for raw in stored(fake)]
    assert sorted(found) == [(f"p1-{n}", None) for n in range(4)]


def test_delay_level_and_properties_reach_the_broker(fake, start, producer):
    run(start, producer(max_messages=2, delay_level=3, properties={"WAIT": "false"}))
    properties = decode(stored(fake)[0]).properties
    assert (properties["DELAY"], properties["WAIT"]) == ("3", "false")


@pytest.mark.parametrize("code", [11, 12])
def test_a_weaker_status_is_stored_again_and_again_and_told_as_no_route(fake, start, producer, code):
    fake.broker().misbehaviour.answers[SEND] = (code, "")
    done = run(start, producer(max_messages=2))
    assert {(d["y"], d["s"]) for d in done.values()} == {("info", "ProducerSendSyncFailed")}
    assert all("No route info" in d["e"] for d in done.values())
    assert Counter(keys(raw) for raw in stored(fake)) == {"p1-0": 3, "p1-1": 3}


@pytest.mark.parametrize("code", [2, 16])
def test_a_refusal_is_unknown_for_nobody_is_told_of_it(fake, start, producer, code):
    fake.broker().misbehaviour.answers[SEND] = (code, "said so")
    done = run(start, producer(max_messages=2))
    assert {(d["y"], d.get("k")) for d in done.values()} == {("info", None)}


@pytest.mark.parametrize("mode", ["sync", "orderly", "oneway"])
def test_many_threads_that_begin_at_once_ask_for_the_route_once(fake, start, producer, mode):
    """Of twelve threads that ask at the same time the library tells all but one that there is no route."""
    keys = {"keys": 12} if mode == "orderly" else {}
    worker = start(producer(threads=12, max_messages=240, mode=mode, timeout_ms=10_000, **keys))
    worker.ready(10)
    worker.go()
    worker.done(30)
    first, second, *rest = lines(worker, "send")
    assert (first["y"], second["y"], second["c"]) == ("invoke", "info" if mode == "oneway" else "ok", first["c"])
    assert len(rest) == 2 * 239


def test_while_no_send_is_acknowledged_they_are_made_one_at_a_time(fake, start, producer):
    fake.broker().misbehaviour.answers[SEND] = (2, "not now")
    worker = start(producer(threads=4, max_messages=4, timeout_ms=300))
    worker.ready(10)
    worker.go()
    worker.done(60)
    kinds = [d["y"] for d in lines(worker, "send")]
    assert kinds == ["invoke", "info"] * 4


def test_a_lost_connection_is_unknown_or_stored_twice(fake, start, producer):
    fake.broker().misbehaviour.disconnect_every = 5
    done = run(start, producer(max_messages=10))
    copies = Counter(keys(raw) for raw in stored(fake))
    assert all(copies[f"p1-{n}"] >= 1 for n, d in done.items() if d["y"] == "ok")
    assert {d["y"] for d in done.values()} <= {"ok", "info"}
    assert max(copies.values()) > 1


def test_what_is_larger_than_any_broker_takes_is_surely_not_sent(fake, start, producer):
    done = run(start, producer(max_messages=1, body_bytes=(4 << 20) + 1))
    assert {(d["y"], d["s"]) for d in done.values()} == {("fail", "ProducerSendSyncFailed")}
    assert not stored(fake)


def test_messages_of_a_key_go_to_one_queue_in_order(fake, start, producer):
    run(start, producer(mode="orderly", max_messages=60, keys=4))
    queues = [[int(keys(raw).partition("-")[2]) for raw in stored(fake, queue)] for queue in (0, 1)]
    assert sorted(queues[0] + queues[1]) == list(range(60))
    for key in range(4):
        of_key = [[n for n in queue if n % 4 == key] for queue in queues]
        assert sorted(of_key) == [[], list(range(key, 60, 4))]


def test_one_way_sends_have_no_answer(fake, start, producer):
    done = run(start, producer(mode="oneway", max_messages=30, rate_per_s=300))
    assert {(d["y"], d["s"]) for d in done.values()} == {("info", "ONEWAY")}


def test_a_half_message_is_recorded_when_it_is_decided_and_names_no_place(fake, start, producer):
    done = run(start, producer(mode="transaction", max_messages=8))
    assert {n: (d["y"], d["s"]) for n, d in done.items()} == {
        n: ("ok", "COMMIT_MESSAGE") if decision_of(f"p1-{n}").commits else ("fail", "ROLLBACK_MESSAGE")
        for n in range(8)
    }
    assert not any("b" in d for d in done.values())
    assert {decode(raw).properties["PGROUP"] for raw in stored(fake)} == {"rmq-harness-producer"}


def test_without_a_nameserver_that_is_not_waited_for_every_send_is_unknown(start, setup):
    config = ProducerConfig(
        "p1", "127.0.0.1:1", "T", client="cpp", cpp=setup, wait_route=False, timeout_ms=200, max_messages=2
    )
    assert {(d["y"], d["s"]) for d in run(start, config).values()} == {("info", "ProducerSendSyncFailed")}


def test_a_producer_waits_for_its_route(fake, start, setup):
    worker = start(ProducerConfig("p1", fake.nameserver, "later", client="cpp", cpp=setup, max_messages=4))
    with pytest.raises(WaitTimeout):
        worker.ready(1)
    fake.create_topic("later", 1)
    worker.ready(10)


@pytest.fixture
def given(fake, start, setup, producer):
    """What a consumer is given of 20 messages. The group is known: a new one would begin at the last message here."""

    def run_both(**fields):
        run(start, producer(max_messages=20))
        fake.broker().offsets.update({("g", "T", queue): 0 for queue in (0, 1)})
        worker = start(ConsumerConfig("c1", fake.nameserver, ("T",), "g", client="cpp", cpp=setup, **fields))
        worker.ready(15)
        worker.wait_progress(lambda p: p.delivered >= 20, "20 deliveries", 20)
        return lines(worker, "deliver")

    return run_both


def test_each_message_is_given_once_with_its_place(given):
    told = given()
    assert Counter(d["id"] for d in told) == {f"p1-{n}": 1 for n in range(20)}
    assert {(d["tp"], d["b"], d["r"], d["k"]) for d in told} == {("T", "broker-a", "g", 0)}
    assert {(d["q"], d["o"]) for d in told} == {(q, o) for q in (0, 1) for o in range(10)}
    assert not any("a" in d or "s" in d for d in told)


BODY = body_of("p1-3", 60)


class Message:
    """A message as the wheel's Python layer gives it."""

    topic, queue_id, queue_offset, commit_log_offset = "T", 1, 7, 4096

    def __init__(self, body=BODY, keys=b"p1-3", reconsume_times=0):
        self.body, self.keys, self.reconsume_times = body, keys, reconsume_times


@pytest.mark.parametrize(
    ("message", "found", "altered"),
    [
        (Message(), "p1-3", None),
        (Message(body=None), "p1-3", "body"),
        (Message(body=BODY[:-1]), "p1-3", "body"),
        (Message(keys=b"p1-4"), "p1-3", "key"),
        (Message(keys=None), "p1-3", "key"),
        (Message(body=None, keys=None), "unidentified@4096", "body+key"),
    ],
)
def test_a_delivery_says_in_what_it_differs_from_what_was_sent(tmp_path, message, found, altered):
    assert taken(tmp_path, [message]) == [(True, found, altered, None)]


def test_every_nth_message_is_refused_unless_it_came_often_enough(tmp_path):
    again = [Message(), Message(), Message(), Message(reconsume_times=1)]
    told = taken(tmp_path, again, fail_every=2, fail_attempts=1)
    assert [(kept, status) for kept, _, _, status in told] == [
        (True, None), (False, "refused"), (True, None), (True, None)
    ]  # fmt: skip


def taken(tmp_path, messages, **fields):
    history = tmp_path / "c1.jsonl"
    config = ConsumerConfig("c1", "n", ("T",), "g", client="cpp", cpp=CppSetup(broker="broker-a"), **fields)
    consumer = CppConsumer(config, Recorder(str(history)), None)
    kept = [consumer.take(message) for message in messages]
    told = list(map(json.loads, history.read_text().splitlines()))
    assert {(d["b"], d["q"], d["o"], d["r"]) for d in told} == {("broker-a", 1, 7, "g")}
    return [(k, d["id"], d.get("a"), d.get("s")) for k, d in zip(kept, told, strict=True)]


def test_a_worker_ends_at_once_although_the_library_never_would(fake, start, producer):
    worker = start(producer(max_messages=None))
    worker.ready(10)
    worker.go()
    worker.wait_progress(lambda p: p.ok > 10, "some sends", 10)
    worker.close()
    assert not worker.alive


def test_a_crash_of_the_library_is_one_clear_error(fake, start, producer):
    worker = start(producer(max_messages=None, rate_per_s=50))
    worker.ready(10)
    worker.go()
    os.kill(worker.pid, signal.SIGSEGV)
    with pytest.raises(ClientError, match=r"'p1' killed by SIGSEGV"):
        worker.done(10)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ProducerConfig("p", "n", "T", client="cpp", mode="async"), "no mode async"),
        (ProducerConfig("p", "n", "T", client="cpp", pins=(Pin("a", 0),)), "no pins"),
        (
            ProducerConfig("p", "n", "T", client="cpp", mode="transaction", threads=2),
            "no mode transaction with 2 threads",
        ),
        (ConsumerConfig("c", "n", ("T",), "g", "cpp", batch=2), "no batch"),
        (ConsumerConfig("c", "n", ("T",), "g", "cpp", retry_level=2), "no retry_level"),
        (ConsumerConfig("c", "n", ("T",), "g", "cpp", max_reconsume=0), "no max_reconsume"),
        (ConsumerConfig("c", "n", ("T", "U"), "g", "cpp"), "no several topics"),
    ],
)
def test_what_it_cannot_be_told_is_refused(config, words):
    with pytest.raises(UsageError, match=words):
        make(config, None)


def test_a_library_that_is_not_there_is_told(start):
    config = ProducerConfig("p1", "127.0.0.1:1", "T", client="cpp", cpp=CppSetup("/nowhere"))
    with pytest.raises(ClientError, match="the cpp client is not at '/nowhere'"):
        start(config).ready(10)
