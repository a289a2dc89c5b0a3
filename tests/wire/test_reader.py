from __future__ import annotations

import threading

import pytest

from harness.wire import Admin, Jump, QueueRef, RequestCode
from tests.fakes.broker import FakeCluster


@pytest.fixture
def fake():
    with FakeCluster(slaves=True) as cluster:
        cluster.create_topic("t", 4)
        yield cluster


@pytest.fixture
def admin():
    with Admin() as made:
        yield made


def fill(fake, count, queue=0):
    for n in range(count):
        fake.broker().store.append("t", queue, b"%d" % n, "")


def read(admin, fake, queue=0, **more):
    return admin.read_queue(QueueRef(fake.broker().address, "t", queue), settle_s=0.01, **more)


def bodies(result):
    return [int(message.body) for message in result.messages]


def test_a_whole_queue(fake, admin):
    fill(fake, 1000)
    result = read(admin, fake)
    assert result.complete
    assert bodies(result) == list(range(1000))
    assert (result.min_offset, result.max_offset, result.jumps) == (0, 1000, ())
    assert (result.missing_offsets, result.repeated_offsets) == ((), ())


def test_an_empty_queue_is_a_complete_read_of_nothing(fake, admin):
    result = read(admin, fake)
    assert (result.complete, result.messages, result.max_offset) == (True, (), 0)


def test_many_queues_at_once_on_both_replicas(fake, admin):
    for n in range(200):
        admin.send(fake.broker().address, ("t", n % 4), b"%d" % n)
    refs = [QueueRef(fake.broker("broker-a", who).address, "t", q) for who in (0, 1) for q in range(4)]
    reads = admin.read_queues(refs, settle_s=0.01)
    assert [r.queue for r in reads] == refs
    assert all(r.complete and len(r.messages) == 50 for r in reads)
    digests = [[m.digest for m in r.messages] for r in reads]
    assert digests[:4] == digests[4:]
    assert len({d for queue in digests[:4] for d in queue}) == 200


def test_diverged_replicas_have_different_digests(fake, admin):
    fake.broker().store.append("t", 0, b"one", "")
    fake.broker("broker-a", 1).store.append("t", 0, b"two", "")
    master, slave = (
        admin.read_queue(QueueRef(fake.broker("broker-a", who).address, "t", 0)).messages[0] for who in (0, 1)
    )
    assert master.queue_offset == slave.queue_offset
    assert master.digest != slave.digest


def test_a_repeated_queue_offset_is_two_messages(fake, admin):
    fill(fake, 3)
    fake.broker().store.append("t", 0, b"99", "", offset=2)
    fill(fake, 1)
    result = read(admin, fake)
    assert bodies(result) == [0, 1, 2, 99, 0]
    assert (result.complete, result.repeated_offsets) == (True, (2,))


def test_a_hole_of_the_index_is_passed_and_told(fake, admin):
    fill(fake, 5)
    fake.broker().store.hole("t", 0)
    fake.broker().store.hole("t", 0)
    fill(fake, 5)
    result = read(admin, fake)
    assert (result.complete, len(result.messages)) == (True, 10)
    assert result.jumps == (Jump(5, 6, 20), Jump(6, 7, 20))
    assert result.missing_offsets == (range(5, 7),)


def test_messages_lost_at_the_end_of_the_index_are_missing(fake, admin):
    fill(fake, 5)
    fake.broker().store.hole("t", 0)
    result = read(admin, fake)
    assert (result.complete, result.missing_offsets) == (True, (range(5, 6),))


def on_pull(broker, number, action):
    """Lets `action` happen just before the broker answers its n-th pull."""
    handle, pulls = broker.handle, []

    def handled(connection, frame):
        if frame.code == RequestCode.PULL_MESSAGE:
            pulls.append(frame)
            if len(pulls) == number:
                action()
        handle(connection, frame)

    broker.handle = handled


def test_an_offset_that_moved_is_followed(fake, admin):
    fill(fake, 100)
    store = fake.broker().store
    store.drop_head("t", 0, 10)
    on_pull(fake.broker(), 2, lambda: store.drop_head("t", 0, 40))
    result = read(admin, fake)
    assert result.complete
    assert result.jumps == (Jump(42, 50, 21),)
    assert bodies(result) == [*range(10, 42), *range(50, 100)]
    assert (result.min_offset, result.missing_offsets) == (10, (range(42, 50),))


def test_a_queue_that_shrinks_under_the_reader_is_a_broken_read(fake, admin):
    fill(fake, 64)
    on_pull(fake.broker(), 3, lambda: fake.broker().lose_tail("t", 30))
    result = read(admin, fake)
    assert not result.complete
    assert "shorter" in result.remark
    assert len(result.messages) == 64


def test_a_queue_that_grows_at_its_end_is_read_on(fake, admin):
    fill(fake, 32)
    on_pull(fake.broker(), 3, lambda: fill(fake, 5))
    result = read(admin, fake)
    assert (result.complete, len(result.messages), result.max_offset) == (True, 37, 37)


@pytest.mark.parametrize("code", [1, 2, 16, 17])
def test_a_refusal_is_a_broken_read_with_its_code(fake, admin, code):
    fill(fake, 3)
    fake.broker().misbehaviour.answers[RequestCode.PULL_MESSAGE] = (code, "[REJECTREQUEST]")
    result = read(admin, fake)
    assert (result.complete, result.code, result.messages) == (False, code, ())
    assert "[REJECTREQUEST]" in result.remark


def test_a_refused_min_offset_is_a_broken_read_too(fake, admin):
    fake.broker().misbehaviour.answers[RequestCode.GET_MIN_OFFSET] = (1, "no")
    result = read(admin, fake)
    assert (result.complete, result.code) == (False, 1)


def test_a_connection_cut_in_the_middle_keeps_what_was_read_and_is_broken(fake, admin):
    fill(fake, 100)
    broker = fake.broker()
    on_pull(broker, 3, lambda: [connection.drop() for connection in list(broker.connections)])
    result = read(admin, fake)
    assert (result.complete, result.code, len(result.messages)) == (False, None, 64)
    assert "stopped at offset 64" in result.remark


def test_a_broker_that_stops_answering_is_a_broken_read_in_time(fake, admin):
    fill(fake, 100)
    threading.Timer(0.0, setattr, (fake.broker().misbehaviour, "hang", True)).start()
    on_pull(fake.broker(), 2, lambda: setattr(fake.broker().misbehaviour, "hang", True))
    result = read(admin, fake, timeout_s=0.3)
    assert (result.complete, result.code) == (False, None)


def test_a_broker_that_says_there_is_more_and_delivers_nothing_is_not_believed(fake, admin):
    fill(fake, 3)
    fake.broker().misbehaviour.answers[RequestCode.PULL_MESSAGE] = (19, "")
    result = read(admin, fake)
    assert (result.complete, result.messages) == (False, ())
    assert "max offset is 3" in result.remark


@pytest.mark.parametrize(
    ("switch", "check"),
    [
        ("lose_every", lambda seen: len(seen) == 9),
        ("duplicate_every", lambda seen: len(seen) == 11 and len(set(seen)) == 10),
        ("reorder_every", lambda seen: sorted(seen) == list(range(10)) and seen != list(range(10))),
    ],
)
def test_planted_misbehaviour_is_what_the_reader_sees(fake, admin, switch, check):
    broker = fake.broker()
    setattr(broker.misbehaviour, switch, 10)
    for n in range(10):
        assert admin.send(broker.address, ("t", 0), b"%d" % n, {"KEYS": f"k{n}"}).acknowledged
    assert check(bodies(read(admin, fake)))
    assert broker.planted == [(switch.removesuffix("_every"), "k9")]
