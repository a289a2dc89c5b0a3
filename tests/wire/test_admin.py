from __future__ import annotations

import threading

import pytest

from harness.core.errors import WireError
from harness.wire import Admin, QueueRef, Refused, ReplyTimeout, Unreachable
from harness.wire.brokeradmin import decode_config, encode_config
from harness.wire.codes import RequestCode, request_name, response_name
from harness.wire.errors import Malformed
from harness.wire.frame import Frame
from harness.wire.messaging import physical_offset_of
from tests.fakes.broker import FakeCluster


@pytest.fixture
def fake():
    with FakeCluster(["broker-a", "broker-b"], slaves=True) as cluster:
        cluster.create_topic("t", 2)
        yield cluster


@pytest.fixture
def admin():
    with Admin() as made:
        yield made


def test_routes_and_the_cluster_table_with_unquoted_integer_keys(fake, admin):
    info = admin.cluster_info(fake.nameserver)
    assert info.address("broker-a") == fake.broker("broker-a").address
    assert info.address("broker-a", 1) == fake.broker("broker-a", 1).address
    assert info.address("broker-c") is None
    assert info.clusters == {"fake-cluster": ("broker-a", "broker-b")}
    route = admin.route(fake.nameserver, "t")
    assert set(route.writable_masters) == {"broker-a", "broker-b"}
    assert route.of("broker-b").write_queues == 2
    assert route.of("broker-c") is None
    assert admin.route(fake.nameserver, "absent") is None
    assert admin.topics(fake.nameserver) == {"t"}


def test_write_permission_goes_and_comes_back(fake, admin):
    assert admin.wipe_write_perm(fake.nameserver, "broker-a") == 1
    route = admin.route(fake.nameserver, "t")
    assert set(route.writable_masters) == {"broker-b"}
    assert route.of("broker-a").readable
    assert admin.add_write_perm(fake.nameserver, "broker-a") == 1
    assert set(admin.route(fake.nameserver, "t").writable_masters) == {"broker-a", "broker-b"}
    admin.wipe_write_perm(fake.nameserver, "broker-a")
    admin.kick_registration(fake.broker("broker-a").address)
    assert set(admin.route(fake.nameserver, "t").writable_masters) == {"broker-a", "broker-b"}


def test_a_dead_master_leaves_its_queues_listed_but_not_among_the_writable(fake, admin):
    fake.stop_broker("broker-a")
    route = admin.route(fake.nameserver, "t")
    assert route.of("broker-a").writable
    assert set(route.writable_masters) == {"broker-b"}


def test_topics_and_groups(fake, admin):
    address = fake.broker("broker-b").address
    admin.create_topic(address, "made", 3, perm=4, write_queues=1)
    made = admin.route(fake.nameserver, "made").of("broker-b")
    assert (made.read_queues, made.write_queues, made.perm) == (3, 1, 4)
    admin.create_group(address, "g")
    admin.delete_group(address, "g")
    admin.delete_topic(address, "made")
    admin.delete_route(fake.nameserver, "made")
    assert admin.route(fake.nameserver, "made") is None


def test_send_view_and_offsets(fake, admin):
    queue = QueueRef(fake.broker().address, "t", 1)
    sent = admin.send(queue.address, queue, "héllo".encode(), {"KEYS": "k1", "TAGS": "a"})
    assert (sent.code, sent.acknowledged, sent.queue, sent.offset) == (0, True, 1, 0)
    again = admin.send(queue.address, ("t", 1), b"second")
    assert (again.offset, admin.max_offset(queue), admin.min_offset(queue)) == (1, 2, 0)
    viewed = admin.view_message(queue.address, sent.msg_id)
    assert (viewed.body.decode(), viewed.keys, viewed.tags) == ("héllo", ("k1",), "a")
    assert admin.offset_at(queue, viewed.store_ts_ms) == 0
    assert [m.raw for m in admin.query_by_key(queue.address, "t", "k1")] == [viewed.raw]
    assert admin.query_by_key(queue.address, "t", "k2") == ()
    assert admin.consumer_offset(queue, "g") is None
    admin.commit_offset(queue, "g", 2)
    assert admin.consumer_offset(queue, "g") == 2
    with pytest.raises(Refused, match="can not find message"):
        admin.view_message(queue.address, sent.msg_id[:-8] + "0000FFFF")


@pytest.mark.parametrize(("code", "stored"), [(10, True), (11, True), (12, True), (1, False), (2, False), (14, False)])
def test_a_send_answers_with_any_code_and_never_raises_for_it(fake, admin, code, stored):
    broker = fake.broker()
    broker.misbehaviour.answers[RequestCode.SEND_MESSAGE_V2] = (code, "because")
    reply = admin.send(broker.address, ("t", 0), b"x")
    assert (reply.code, reply.remark, reply.acknowledged, reply.stored) == (code, "because", False, stored)
    assert admin.max_offset(QueueRef(broker.address, "t", 0)) == int(stored)


def test_a_slave_refuses_sends_and_serves_pulls(fake, admin):
    slave = fake.broker("broker-a", 1)
    assert admin.send(slave.address, ("t", 0), b"x").code == 14
    admin.send(fake.broker().address, ("t", 0), b"x")
    assert [m.body for m in admin.pull(QueueRef(slave.address, "t", 0), 0).messages] == [b"x"]


def test_pull_waits_only_when_asked_to(fake, admin):
    queue = QueueRef(fake.broker().address, "t", 0)
    assert admin.pull(queue, 0).code == 19
    sender = threading.Timer(0.1, lambda: admin.send(queue.address, queue, b"x"))
    sender.start()
    assert admin.pull(queue, 0, suspend_s=0.4).messages[0].body == b"x"
    sender.join()


def test_config_runtime_and_replication(fake, admin):
    address = fake.broker().address
    admin.update_broker_config(address, {"path": "C:\\x", "fileReservedTime": "48"})
    config = admin.broker_config(address)
    assert (config["path"], config["fileReservedTime"], config["brokerName"]) == ("C:\\x", "48", "broker-a")
    assert admin.runtime_info(address)["commitLogMaxOffset"] == "0"
    status = admin.ha_status(address)
    assert (status.is_master, status.in_sync_slaves, len(status.connections)) == (True, 1, 1)
    fake.broker().misbehaviour.skip_replica_every = 1
    admin.send(address, ("t", 0), b"x")
    status = admin.ha_status(address)
    assert (status.in_sync_slaves, status.connections[0].behind_bytes > 0) == (0, True)


def test_the_ha_status_tells_the_end_of_the_log_of_the_broker_that_is_asked(fake, admin):
    fake.broker().store.log_end, fake.broker("broker-a", 1).store.log_end = 500, 300
    assert [admin.ha_status(fake.broker("broker-a", number).address).max_offset for number in (0, 1)] == [500, 300]


def test_members_come_with_heartbeats_and_go_with_the_connection(fake, admin):
    address = fake.broker().address
    assert admin.consumer_ids(address, "g") == ()
    admin.heartbeat(address, "c1", consumes={"g": ["t"]}, produces=["p"])
    assert admin.consumer_ids(address, "g") == ("c1",)
    admin.unregister(address, "c1", consumer_group="g")
    assert admin.consumer_ids(address, "g") == ()
    admin.heartbeat(address, "c1", consumes={"g": ["t"]})
    admin.drop(address)
    assert admin.consumer_ids(address, "g") == ()


def test_the_producers_of_a_group_come_with_their_addresses(fake, admin):
    address = fake.broker().address
    assert admin.producers(address, "p") == ()
    admin.heartbeat(address, "c1", produces=["p"])
    assert admin.producers(address, "p") == (("c1", "198.18.0.9:4711"),)
    assert admin.producers(address, "another") == ()


def test_unsolicited_requests_carry_the_address_they_came_from(fake):
    seen, arrived = [], threading.Event()

    def on_request(address, frame):
        seen.append((address, frame.code, frame.ext))
        arrived.set()

    broker = fake.broker()
    with Admin(on_request=on_request) as admin:
        admin.heartbeat(broker.address, "c1", consumes={"g": ["t"]})
        broker.push(Frame(40, {"consumerGroup": "g"}, flag=2))
        assert arrived.wait(5)
    assert seen == [(broker.address, 40, {"consumerGroup": "g"})]


def test_refusals_say_who_answered_what(fake, admin):
    with pytest.raises(Refused, match="REQUEST_CODE_NOT_SUPPORTED") as caught:
        admin.wipe_write_perm(fake.broker().address, "broker-a")
    assert (caught.value.code, caught.value.address) == (3, fake.broker().address)
    assert "WIPE_WRITE_PERM_OF_BROKER" in str(caught.value)
    assert admin.call(fake.nameserver, 9999).code == 3


def test_hanging_and_dead_brokers(fake, admin):
    broker = fake.broker()
    broker.misbehaviour.hang = True
    with pytest.raises(ReplyTimeout):
        admin.send(broker.address, ("t", 0), b"x", timeout_s=0.2)
    fake.stop_broker("broker-b")
    with pytest.raises(Unreachable):
        admin.send(fake.broker("broker-b").address, ("t", 0), b"x")


def test_stored_and_disconnected_is_a_wire_error_with_the_message_there(fake, admin):
    broker = fake.broker()
    broker.misbehaviour.disconnect_every = 1
    with pytest.raises(WireError):
        admin.send(broker.address, ("t", 0), b"x")
    assert admin.max_offset(QueueRef(broker.address, "t", 0)) == 1


def test_a_closed_admin_says_so():
    admin = Admin()
    admin.close()
    admin.close()
    with pytest.raises(WireError, match="closed"):
        admin.cluster_info("127.0.0.1:1")


def test_config_codec():
    assert decode_config("#c\na=b=c\n\nx = y\n") == {"a": "b=c", "x": "y"}
    assert encode_config({"a": "b\\c"}) == "a=b\\\\c\n"
    with pytest.raises(ValueError, match="line break"):
        encode_config({"a": "b\nc"})


def test_names_of_codes():
    assert (request_name(310), request_name(9999)) == ("SEND_MESSAGE_V2", "request 9999")
    assert (response_name(12), response_name(777)) == ("FLUSH_SLAVE_TIMEOUT", "code 777")


def test_message_ids():
    assert physical_offset_of("7F00000100002A9F00000000000004D2") == 1234
    with pytest.raises(Malformed):
        physical_offset_of("AC110001")
