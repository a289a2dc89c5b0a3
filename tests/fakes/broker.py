"""An in-memory cluster that speaks the protocol: it can tell the truth or misbehave in chosen ways.

with FakeCluster(["broker-a", "broker-b"], slaves=True) as fake:
    fake.create_topic("t", 4)
    fake.broker("broker-a").misbehaviour.lose_every = 100
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from harness.wire.codes import STORED, RequestCode, ResponseCode
from harness.wire.frame import Frame
from harness.wire.message import decode_message, stored_crc
from tests.fakes.nameserver import FakeNameServer, Registration
from tests.fakes.server import FakeConnection, FakeServer
from tests.fakes.store import FakeStore

_SENDS = (RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2)


@dataclass
class Misbehaviour:
    """Each switch may be set at any time; 0 and empty mean off. A count of n hits every n-th send."""

    lose_every: int = 0
    """acknowledge, store nothing"""
    duplicate_every: int = 0
    """store twice, acknowledge once"""
    reorder_every: int = 0
    """exchange the message with the one stored before it in its queue"""
    corrupt_every: int = 0
    """store another body than was sent"""
    zero_every: int = 0
    """store zeros instead of the body, with the checksum of the zeros"""
    rot_every: int = 0
    """store the body with one byte changed, and the checksum of what was sent"""
    truncate_every: int = 0
    """store the body without its last byte"""
    lengthen_every: int = 0
    """store the body with a byte more"""
    swap_key_every: int = 0
    """store the body under the key of another message"""
    disconnect_every: int = 0
    """store, then cut the connection instead of answering"""
    skip_replica_every: int = 0
    """acknowledge without the slave having the message"""
    hang: bool = False
    """read requests, answer none (what is asked meanwhile is never answered)"""
    delay_s: float = 0.0
    """answer sends so much later"""
    unreadable_s: float = 0.0
    """a message can be looked up by its id so long after it was stored"""
    answers: dict[int, tuple[int, str]] = field(default_factory=dict)
    """by request code: the code and remark to answer; sends answered 0, 10, 11 or 12 are stored all the same"""
    dispatch_behind: str | None = "0"
    """what the broker says of its index; None: nothing"""


class FakeBroker(FakeServer):
    """One replica. `store` may be looked into and changed by a test while no load runs."""

    def __init__(self, name: str, broker_id: int = 0, replicas: tuple[FakeBroker, ...] = ()) -> None:
        super().__init__()
        self.name = name
        self.broker_id = broker_id
        self.replicas = replicas
        self.store = FakeStore()
        self.misbehaviour = Misbehaviour()
        self.topics: dict[str, Registration] = {}
        self.nameservers: list[FakeNameServer] = []
        self.groups: dict[str, dict[str, FakeConnection]] = defaultdict(dict)
        self.producers: dict[str, dict[str, FakeConnection]] = defaultdict(dict)
        self.offsets: dict[tuple[str, str, int], int] = {}
        self.config: dict[str, str] = {"brokerName": name, "brokerPermission": "6"}
        self.indexes = True
        self.finds_anything = False
        self.sends = 0
        self.stored: Counter[str] = Counter()
        self.planted: list[tuple[str, str]] = []
        """What was done wrong, in order: (switch, KEYS of the message)."""

    def handle(self, connection: FakeConnection, frame: Frame) -> None:
        wrong = self.misbehaviour
        if wrong.hang:
            return
        forced = wrong.answers.get(frame.code)
        if frame.code in _SENDS:
            self._send(connection, frame, forced)
        elif forced is not None:
            connection.reply(frame, forced[0], remark=forced[1])
        else:
            handler = _HANDLERS.get(frame.code)
            if handler is None:
                connection.reply(frame, ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark="fake: not supported")
            else:
                handler(self, connection, frame)

    def on_disconnect(self, connection: FakeConnection) -> None:
        for members in self.groups.values():
            for client in [client for client, at in members.items() if at is connection]:
                del members[client]

    # sends

    def _send(self, connection: FakeConnection, frame: Frame, forced: tuple[int, str] | None) -> None:
        if self.broker_id != 0:
            connection.reply(frame, ResponseCode.SERVICE_NOT_AVAILABLE, remark="messages are put to the slave")
            return
        code, remark = forced or (0, "")
        if code not in STORED:
            connection.reply(frame, code, remark=remark)
            return
        v2 = frame.code == RequestCode.SEND_MESSAGE_V2
        topic, queue = frame.ext["b" if v2 else "topic"], int(frame.ext["e" if v2 else "queueId"])
        properties = frame.ext["i" if v2 else "properties"]
        born = int(frame.ext["g" if v2 else "bornTimestamp"])
        if topic not in self.topics:
            connection.reply(frame, ResponseCode.TOPIC_NOT_EXIST, remark=f"topic[{topic}] not exist")
            return
        self.sends += 1
        message = (topic, queue, frame.body, properties, born)
        offset, position = self._store(message)
        if self._hit("disconnect", properties):
            connection.drop()
            return
        ext = {
            "msgId": f"7F000001{self.port:08X}{position:016X}",
            "queueId": str(queue),
            "queueOffset": str(offset),
        }
        if self.misbehaviour.delay_s:
            self.later(self.misbehaviour.delay_s, connection.reply, frame, code, ext, b"", remark)
        else:
            connection.reply(frame, code, ext, remark=remark or None)

    def _store(self, message: tuple[str, int, bytes, str, int]) -> tuple[int, int]:
        topic, queue, body, properties, born = message
        offset, position = self.store.queue(topic, queue).end, self.store.log_end
        if self._hit("lose", properties):
            return offset, position
        if self._hit("corrupt", properties):
            body = b"corrupted " + body
        crc = stored_crc(body) if self._hit("rot", properties) else None
        body, properties = self._altered(body, properties, rot=crc is not None)
        raws = [self.store.append(topic, queue, body, properties, born_ts_ms=born, crc=crc)]
        if self._hit("duplicate", properties):
            raws.append(self.store.append(topic, queue, body, properties, born_ts_ms=born))
        reorder = self._hit("reorder", properties)
        stores = [] if self._hit("skip_replica", properties) else [slave.store for slave in self.replicas]
        for store in stores:
            for raw in raws:
                store.append_raw(topic, queue, raw)
        if reorder:
            for store in (self.store, *stores):
                store.swap_tail(topic, queue)
        self.stored[topic] += len(raws)
        return offset, position

    def _altered(self, body: bytes, properties: str, *, rot: bool) -> tuple[bytes, str]:
        if rot:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if self._hit("zero", properties):
            body = bytes(len(body))
        if self._hit("truncate", properties):
            body = body[:-1]
        if self._hit("lengthen", properties):
            body += body[-1:]
        if self._hit("swap_key", properties):
            properties = properties.replace("KEYS\x01", "KEYS\x01not-")
        return body, properties

    def _hit(self, switch: str, properties: str) -> bool:
        every = getattr(self.misbehaviour, f"{switch}_every")
        if not every or self.sends % every:
            return False
        key = dict(item.split("\x01") for item in properties.split("\x02") if item).get("KEYS", "")
        self.planted.append((switch, key))
        return True

    def lose_tail(self, topic: str, count: int) -> None:
        """Un-stores the newest acknowledged messages of every queue of a topic here, as a power cut would."""
        for name, number in list(self.store.queues):
            if name == topic:
                self.store.drop_tail(topic, number, count)

    # reads

    def _pull(self, connection: FakeConnection, frame: Frame) -> None:
        topic, number, at = frame.ext["topic"], int(frame.ext["queueId"]), int(frame.ext["queueOffset"])
        if topic not in self.topics:
            connection.reply(frame, ResponseCode.TOPIC_NOT_EXIST, remark=f"topic[{topic}] not exist")
            return
        suspended_ms = int(frame.ext["suspendTimeoutMillis"]) if int(frame.ext["sysFlag"]) & 2 else 0
        if at == self.store.queue(topic, number).end and suspended_ms:
            self.later(suspended_ms / 1000, self._pull_now, connection, frame)
        else:
            self._pull_now(connection, frame)

    def _pull_now(self, connection: FakeConnection, frame: Frame) -> None:
        queue = self.store.queue(frame.ext["topic"], int(frame.ext["queueId"]))
        at, most = int(frame.ext["queueOffset"]), int(frame.ext["maxMsgNums"])
        found: list[bytes] = []
        code, reached = ResponseCode.PULL_NOT_FOUND, at
        if at < queue.first:
            code, reached = ResponseCode.PULL_OFFSET_MOVED, queue.first
        elif at > queue.end:
            code, reached = ResponseCode.PULL_OFFSET_MOVED, queue.end
        elif at < queue.end and queue.at(at) is None:
            code, reached = ResponseCode.PULL_RETRY_IMMEDIATELY, at + 1
        else:
            while reached < queue.end and len(found) < most and (raw := queue.at(reached)) is not None:
                found.append(raw)
                reached += 1
            code = ResponseCode.SUCCESS if found else code
        ext = {
            "suggestWhichBrokerId": "0", "nextBeginOffset": str(reached),
            "minOffset": str(queue.first), "maxOffset": str(queue.end),
        }  # fmt: skip
        connection.reply(frame, code, ext, b"".join(found))

    def _max_offset(self, connection: FakeConnection, frame: Frame) -> None:
        queue = self.store.queue(frame.ext["topic"], int(frame.ext["queueId"]))
        connection.reply(frame, 0, {"offset": str(queue.end)})

    def _min_offset(self, connection: FakeConnection, frame: Frame) -> None:
        queue = self.store.queue(frame.ext["topic"], int(frame.ext["queueId"]))
        connection.reply(frame, 0, {"offset": str(queue.first)})

    def _offset_at(self, connection: FakeConnection, frame: Frame) -> None:
        queue = self.store.queue(frame.ext["topic"], int(frame.ext["queueId"]))
        wanted, offset = int(frame.ext["timestamp"]), queue.first
        for raw in queue.entries:
            if raw is not None and decode_message(raw).store_ts_ms >= wanted:
                break
            offset += 1
        connection.reply(frame, 0, {"offset": str(offset)})

    def _view(self, connection: FakeConnection, frame: Frame) -> None:
        raw = self.store.by_position.get(int(frame.ext["offset"]))
        committed_ms = time.time_ns() // 1_000_000 - self.misbehaviour.unreadable_s * 1000
        if raw is None or decode_message(raw).store_ts_ms > committed_ms:
            connection.reply(frame, ResponseCode.SYSTEM_ERROR, remark="can not find message by the offset")
        else:
            connection.reply(frame, 0, body=raw)

    def _query(self, connection: FakeConnection, frame: Frame) -> None:
        if not self.indexes:
            connection.reply(frame, ResponseCode.QUERY_NOT_FOUND, remark="can not find message, maybe time range")
            return
        entries = (e for (name, _), q in self.store.queues.items() if name == frame.ext["topic"] for e in q.entries)
        wanted = (
            (lambda _raw: True) if self.finds_anything else (lambda raw: frame.ext["key"] in decode_message(raw).keys)
        )
        found = [raw for raw in entries if raw is not None and wanted(raw)]
        if found:
            connection.reply(frame, 0, body=b"".join(found[: int(frame.ext["maxNum"])]))
        else:
            connection.reply(frame, ResponseCode.QUERY_NOT_FOUND, remark="can not find message, maybe time range")

    # offsets, groups

    def _consumer_offset(self, connection: FakeConnection, frame: Frame) -> None:
        offset = self.offsets.get(_group_queue(frame))
        if offset is None:
            connection.reply(frame, ResponseCode.QUERY_NOT_FOUND, remark="Not found")
        else:
            connection.reply(frame, 0, {"offset": str(offset)})

    def _commit(self, connection: FakeConnection, frame: Frame) -> None:
        self.offsets[_group_queue(frame)] = int(frame.ext["commitOffset"])
        connection.reply(frame, 0)

    def _heartbeat(self, connection: FakeConnection, frame: Frame) -> None:
        fields = json.loads(frame.body)
        for group in fields.get("consumerDataSet", ()):
            self.groups[group["groupName"]][fields["clientID"]] = connection
        for group in fields.get("producerDataSet", ()):
            self.producers[group["groupName"]][fields["clientID"]] = connection
        connection.reply(frame, 0)

    def _unregister(self, connection: FakeConnection, frame: Frame) -> None:
        self.groups[frame.ext.get("consumerGroup", "")].pop(frame.ext["clientID"], None)
        connection.reply(frame, 0)

    def _consumers(self, connection: FakeConnection, frame: Frame) -> None:
        members = self.groups.get(frame.ext["consumerGroup"])
        if not members:
            connection.reply(frame, ResponseCode.SYSTEM_ERROR, remark="no consumer for this group")
        else:
            connection.reply(frame, 0, body=json.dumps({"consumerIdList": list(members)}).encode())

    def _producers(self, connection: FakeConnection, frame: Frame) -> None:
        group = frame.ext["producerGroup"]
        members = self.producers.get(group)
        if not members:
            connection.reply(frame, ResponseCode.SYSTEM_ERROR, remark=f"the producer group[{group}] not exist")
        else:
            held = [{"clientId": name, "clientAddr": "198.18.0.9:4711"} for name in members]
            connection.reply(frame, 0, body=json.dumps({"connectionSet": held}).encode())

    # administration

    def create_topic(self, topic: str, queues: int, perm: int = 6, write_queues: int | None = None) -> None:
        self.topics[topic] = Registration(queues, queues if write_queues is None else write_queues, perm)
        self.register()

    def register(self) -> None:
        for nameserver in self.nameservers:
            nameserver.register(self.name, self.broker_id, self.address, self.topics)

    def _create_topic(self, connection: FakeConnection, frame: Frame) -> None:
        ext = frame.ext
        self.create_topic(ext["topic"], int(ext["readQueueNums"]), int(ext["perm"]), int(ext["writeQueueNums"]))
        for slave in self.replicas:
            slave.topics = dict(self.topics)
        connection.reply(frame, 0)

    def _delete_topic(self, connection: FakeConnection, frame: Frame) -> None:
        self.topics.pop(frame.ext["topic"], None)
        for key in [key for key in self.store.queues if key[0] == frame.ext["topic"]]:
            del self.store.queues[key]
        connection.reply(frame, 0)

    def _ok(self, connection: FakeConnection, frame: Frame) -> None:
        connection.reply(frame, 0)

    def _get_config(self, connection: FakeConnection, frame: Frame) -> None:
        text = "".join(f"{key}={value}\n" for key, value in self.config.items())
        connection.reply(frame, 0, {"version": "{}"}, text.encode())

    def _set_config(self, connection: FakeConnection, frame: Frame) -> None:
        for line in frame.body.decode().splitlines():
            key, _, value = line.partition("=")
            self.config[key] = value.replace("\\\\", "\\")
        if "brokerPermission" in frame.body.decode():
            for nameserver in self.nameservers:
                nameserver.forget_wipe(self.name)
            self.register()
        connection.reply(frame, 0)

    def _runtime(self, connection: FakeConnection, frame: Frame) -> None:
        table = {
            "commitLogMinOffset": "0", "commitLogMaxOffset": str(self.store.log_end),
            "bootTimestamp": "1",
        }  # fmt: skip
        if self.misbehaviour.dispatch_behind is not None:
            table["dispatchBehindBytes"] = self.misbehaviour.dispatch_behind
        connection.reply(frame, 0, body=json.dumps({"table": table}).encode())

    def _ha_status(self, connection: FakeConnection, frame: Frame) -> None:
        links = [
            {"addr": slave.address, "slaveAckOffset": slave.store.log_end,
             "diff": self.store.log_end - slave.store.log_end,
             "inSync": slave.store.log_end == self.store.log_end}
            for slave in self.replicas
        ]  # fmt: skip
        master = self.broker_id == 0
        fields = {
            "master": master, "masterCommitLogMaxOffset": self.store.log_end if master else 0,
            "inSyncSlaveNums": sum(link["inSync"] is True for link in links), "haConnectionInfo": links,
            "haClientRuntimeInfo": {"maxOffset": 0 if master else self.store.log_end},
        }  # fmt: skip
        connection.reply(frame, 0, body=json.dumps(fields).encode())


def _group_queue(frame: Frame) -> tuple[str, str, int]:
    return frame.ext["consumerGroup"], frame.ext["topic"], int(frame.ext["queueId"])


_HANDLERS = {
    RequestCode.PULL_MESSAGE: FakeBroker._pull,
    RequestCode.GET_MAX_OFFSET: FakeBroker._max_offset,
    RequestCode.GET_MIN_OFFSET: FakeBroker._min_offset,
    RequestCode.SEARCH_OFFSET_BY_TIMESTAMP: FakeBroker._offset_at,
    RequestCode.VIEW_MESSAGE_BY_ID: FakeBroker._view,
    RequestCode.QUERY_MESSAGE: FakeBroker._query,
    RequestCode.QUERY_CONSUMER_OFFSET: FakeBroker._consumer_offset,
    RequestCode.UPDATE_CONSUMER_OFFSET: FakeBroker._commit,
    RequestCode.HEART_BEAT: FakeBroker._heartbeat,
    RequestCode.UNREGISTER_CLIENT: FakeBroker._unregister,
    RequestCode.GET_CONSUMER_LIST_BY_GROUP: FakeBroker._consumers,
    RequestCode.GET_PRODUCER_CONNECTION_LIST: FakeBroker._producers,
    RequestCode.UPDATE_AND_CREATE_TOPIC: FakeBroker._create_topic,
    RequestCode.DELETE_TOPIC_IN_BROKER: FakeBroker._delete_topic,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: FakeBroker._ok,
    RequestCode.DELETE_SUBSCRIPTIONGROUP: FakeBroker._ok,
    RequestCode.DELETE_EXPIRED_COMMITLOG: FakeBroker._ok,
    RequestCode.GET_BROKER_CONFIG: FakeBroker._get_config,
    RequestCode.UPDATE_BROKER_CONFIG: FakeBroker._set_config,
    RequestCode.GET_BROKER_RUNTIME_INFO: FakeBroker._runtime,
    RequestCode.GET_BROKER_HA_STATUS: FakeBroker._ha_status,
}


class FakeCluster:
    """Name servers and brokers that know each other; `slaves=True` gives each broker a replica with id 1."""

    def __init__(self, brokers: list[str] | None = None, *, slaves: bool = False, nameservers: int = 1) -> None:
        self.nameservers = [FakeNameServer() for _ in range(nameservers)]
        self.brokers: dict[tuple[str, int], FakeBroker] = {}
        for name in brokers or ["broker-a"]:
            replicas = (FakeBroker(name, 1),) if slaves else ()
            for broker in (FakeBroker(name, 0, replicas), *replicas):
                broker.nameservers = self.nameservers
                self.brokers[name, broker.broker_id] = broker

    def broker(self, name: str = "broker-a", broker_id: int = 0) -> FakeBroker:
        return self.brokers[name, broker_id]

    @property
    def nameserver(self) -> str:
        """The address of the first name server."""
        return self.nameservers[0].address

    @property
    def nameserver_list(self) -> str:
        """All of them, as clients are told: joined by semicolons."""
        return ";".join(nameserver.address for nameserver in self.nameservers)

    def create_topic(self, topic: str, queues: int = 4) -> None:
        """A topic on every broker, slaves included."""
        for broker in self.brokers.values():
            broker.create_topic(topic, queues)

    def stop_broker(self, name: str, broker_id: int = 0) -> None:
        """As kill -9: its connections end and its route entries go."""
        self.brokers[name, broker_id].stop()
        for nameserver in self.nameservers:
            nameserver.unregister(name, broker_id)

    def __enter__(self) -> FakeCluster:
        for server in (*self.nameservers, *self.brokers.values()):
            server.start()
        for broker in self.brokers.values():
            broker.store.port = broker.port
            broker.register()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (*self.brokers.values(), *self.nameservers):
            server.stop()
