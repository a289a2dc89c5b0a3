from __future__ import annotations

import json
from collections import Counter

import pytest

from harness.clients.config import ConsumerConfig, Pin, ProducerConfig
from harness.clients.remoting_consumer import queues_at
from harness.clients.routing import targets_of
from harness.core.content import FORMAT
from harness.core.errors import ClientError
from harness.waiting import wait_for
from harness.wire.codes import RequestCode
from harness.wire.replies import QueueData, Route
from tests.fakes.broker import FakeCluster

SEND = RequestCode.SEND_MESSAGE_V2


@pytest.fixture
def fake():
    with FakeCluster(["broker-a", "broker-b"]) as cluster:
        cluster.create_topic("T", 2)
        yield cluster


def producer(fake, **fields):
    fields = {"mode": "async", "window": 16, "retries": 0, "poll_nameserver_ms": 100, "timeout_ms": 2000} | fields
    return ProducerConfig("p1", fake.nameserver, "T", client="remoting", **fields)


def run(start, config):
    worker = start(config)
    worker.ready(10)
    worker.go()
    worker.done(20)
    return sends(worker)


def sends(worker):
    done = [json.loads(line) for line in worker.history.read_text().splitlines()]
    return {d["c"]: d for d in done if d["f"] == "send" and d["y"] != "invoke"}


def keys_stored(fake):
    stored = Counter()
    for broker in fake.brokers.values():
        stored.update(broker.stored)
    return stored


def test_what_is_acknowledged_is_what_is_stored_on_both_brokers(fake, start):
    done = run(start, producer(fake, max_messages=500))
    assert Counter(d["y"] for d in done.values()) == {"ok": 500}
    assert Counter(d["s"] for d in done.values()) == {"SEND_OK": 500}
    assert Counter((d["b"], d["q"]) for d in done.values()) == {
        (broker, queue): 125 for broker in ("broker-a", "broker-b") for queue in (0, 1)
    }
    assert len({(d["b"], d["q"], d["o"]) for d in done.values()}) == 500


@pytest.mark.parametrize(
    ("code", "outcome", "status"),
    [(10, "info", "FLUSH_DISK_TIMEOUT"), (11, "info", "SLAVE_NOT_AVAILABLE"), (12, "info", "FLUSH_SLAVE_TIMEOUT")],
)
def test_stored_with_a_weaker_status_is_info(fake, start, code, outcome, status):
    for broker in fake.brokers.values():
        broker.misbehaviour.answers[SEND] = (code, "")
    done = run(start, producer(fake, max_messages=20))
    assert {(d["y"], d["s"], d["k"]) for d in done.values()} == {(outcome, status, code)}


@pytest.mark.parametrize(("code", "outcome"), [(1, "info"), (2, "fail"), (14, "fail"), (16, "fail"), (777, "info")])
def test_a_refusal_of_the_only_attempt(fake, start, code, outcome):
    for broker in fake.brokers.values():
        broker.misbehaviour.answers[SEND] = (code, "said so")
    done = run(start, producer(fake, max_messages=20))
    assert {(d["y"], d["s"], d["k"], d["e"]) for d in done.values()} == {(outcome, "Refused", code, "said so")}


def test_a_retry_goes_to_the_other_broker(fake, start):
    fake.broker("broker-a").misbehaviour.answers[SEND] = (14, "a slave")
    done = run(start, producer(fake, max_messages=40, retries=1))
    assert {(d["y"], d["b"]) for d in done.values()} == {("ok", "broker-b")}


def test_after_an_ambiguous_attempt_no_refusal_proves_anything(fake, start):
    fake.broker("broker-a").misbehaviour.disconnect_every = 1
    fake.broker("broker-b").misbehaviour.answers[SEND] = (14, "a slave")
    done = run(start, producer(fake, max_messages=12, retries=1, window=1))
    assert {d["y"] for d in done.values()} == {"info"}


def test_a_lost_connection_is_info_and_was_stored(fake, start):
    for broker in fake.brokers.values():
        broker.misbehaviour.disconnect_every = 10
    done = run(start, producer(fake, max_messages=60, window=1))
    lost = [d for d in done.values() if d["s"] == "ConnectionLost"]
    assert len(lost) == 6
    assert {d["y"] for d in lost} == {"info"}


def test_silence_is_info(fake, start):
    fake.broker("broker-a").misbehaviour.hang = True
    done = run(start, producer(fake, max_messages=8, timeout_ms=200))
    assert Counter((d["y"], d["s"]) for d in done.values()) == {("ok", "SEND_OK"): 4, ("info", "ReplyTimeout"): 4}


def test_a_dead_broker_that_is_still_in_the_route_refuses(fake, start):
    fake.brokers["broker-a", 0].stop()
    done = run(start, producer(fake, max_messages=20))
    assert Counter((d["y"], d["s"]) for d in done.values()) == {("ok", "SEND_OK"): 10, ("fail", "Unreachable"): 10}


def test_a_broker_that_left_the_route_is_not_sent_to(fake, start):
    worker = start(producer(fake, rate_per_s=400))
    worker.ready(10)
    worker.go()
    worker.wait_progress(lambda p: p.ok > 50, "some", 10)
    fake.stop_broker("broker-a")
    # It may leave the route before any send meets it: that one failed is not what is looked for.
    stopped = worker.wait_progress(lambda p: p.ok > 100, "some more", 10)
    worker.wait_progress(lambda p: p.ok > stopped.ok + 400, "more", 10)
    worker.stop()
    later = [d for d in sends(worker).values() if d["c"] > max(sends(worker)) - 50]
    assert {(d["y"], d["b"]) for d in later} == {("ok", "broker-b")}
    assert '"f":"route"' in worker.history.read_text()


def test_without_any_route_left_nothing_was_sent(fake, start):
    worker = start(producer(fake, rate_per_s=200, retries=2))
    worker.ready(10)
    fake.stop_broker("broker-a")
    fake.stop_broker("broker-b")
    worker.go()
    wait_for(lambda: '"s":"NoRoute"' in worker.history.read_text(), what="a send without a route", timeout_s=10)
    worker.stop()
    # Whether one was tried before the route was gone is a matter of who was first.
    assert {(d["y"], d["s"]) for d in sends(worker).values()} <= {("fail", "NoRoute"), ("fail", "Unreachable")}


def test_orderly_keeps_each_key_in_its_queue_and_its_order(fake, start):
    done = run(start, producer(fake, mode="orderly", threads=3, keys=5, max_messages=200))
    places: dict[int, list[tuple[str, int, int]]] = {}
    for n in sorted(done):
        places.setdefault(n % 5, []).append((done[n]["b"], done[n]["q"], done[n]["o"]))
    for key in places.values():
        assert len({place[:2] for place in key}) == 1
        assert key == sorted(key)


def test_pins_replace_the_route(fake, start):
    address = fake.broker("broker-b").address
    done = run(start, producer(fake, max_messages=10, pins=(Pin("broker-b", 1, address),)))
    assert {(d["y"], d["b"], d["q"]) for d in done.values()} == {("ok", "broker-b", 1)}


def test_oneway_is_info_and_needs_a_rate(fake, start):
    done = run(start, producer(fake, mode="oneway", rate_per_s=1000, max_messages=20))
    assert {(d["y"], d["s"]) for d in done.values()} == {("info", "ONEWAY")}
    with pytest.raises(ClientError, match="need a rate"):
        start(ProducerConfig("p2", fake.nameserver, "T", client="remoting", mode="oneway")).ready(10)


def test_a_consumer_reads_everything_once(fake, start):
    done = run(start, producer(fake, max_messages=300))
    consumer = start(ConsumerConfig("c1", fake.nameserver, ("T",), client="remoting"))
    consumer.ready(10)
    consumer.wait_progress(lambda p: p.delivered >= 300, "all of it", 10)
    assert consumer.stop()["delivered"] == 300
    lines = [json.loads(line) for line in consumer.history.read_text().splitlines()]
    got = {(d["id"], d["b"], d["q"], d["o"]) for d in lines if d["f"] == "deliver"}
    assert got == {(f"p1-{n}", d["b"], d["q"], d["o"]) for n, d in done.items()}


def test_a_consumer_sees_what_its_replica_lost(fake, start):
    fake.broker("broker-a").misbehaviour.lose_every = 10
    run(start, producer(fake, max_messages=200))
    consumer = start(ConsumerConfig("c1", fake.nameserver, ("T",), client="remoting"))
    consumer.ready(10)
    consumer.wait_progress(lambda p: p.delivered >= 190, "all that is stored", 10)
    assert consumer.stop()["delivered"] == 190


@pytest.mark.parametrize(
    ("switch", "wrong"),
    [("zero_every", "body"), ("rot_every", "body+checksum"), ("truncate_every", "body"), ("swap_key_every", "key")],
)
def test_a_consumer_sees_what_is_not_as_it_was_sent(fake, start, switch, wrong):
    setattr(fake.broker("broker-a").misbehaviour, switch, 10)
    run(start, producer(fake, max_messages=200))
    consumer = start(ConsumerConfig("c1", fake.nameserver, ("T",), client="remoting"))
    consumer.ready(10)
    consumer.wait_progress(lambda p: p.delivered >= 200, "all of it", 10)
    consumer.stop()
    lines = [json.loads(line) for line in consumer.history.read_text().splitlines()]
    given = [d for d in lines if d["f"] == "deliver"]
    planted = {key for _, key in fake.broker("broker-a").planted}
    assert len(planted) == 10
    assert {d["id"]: d["a"] for d in given if "a" in d} == dict.fromkeys(planted, wrong)
    assert {d["id"] for d in given} == {f"p1-{n}" for n in range(200)}
    assert json.loads(lines[0]["x"])["body"] == FORMAT


def route(perm=6, brokers=None):
    brokers = brokers or {"a": {0: "h:1", 1: "h:2"}, "b": {1: "h:4"}}
    return Route("T", (QueueData("a", 4, 2, perm), QueueData("b", 4, 4, 6)), brokers)


def test_only_writable_queues_of_living_masters_are_targets():
    assert [(t.broker, t.queue, t.address) for t in targets_of(route())] == [("a", 0, "h:1"), ("a", 1, "h:1")]
    assert targets_of(route(perm=4)) == ()


def test_the_queues_of_a_replica():
    assert {(b, q.address) for b, q in queues_at(route(), "")} == {("a", "h:1")}
    assert {(b, q.address) for b, q in queues_at(route(), "h:4")} == {("b", "h:4")}
    assert {(b, q.address) for b, q in queues_at(route(), "h:9")} == {("a", "h:9"), ("b", "h:9")}
