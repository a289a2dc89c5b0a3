"""What the Java consumer makes of a message, without a JVM: the message is a stand-in with the same getters."""

import json

import pytest

from harness.clients.config import ConsumerConfig
from harness.clients.java_consumer import JavaConsumer
from harness.clients.record import Recorder
from harness.core.content import body_of
from harness.wire.message import SYS_COMPRESSED, stored_crc

BODY = body_of("p1-7", 60)


class Message:
    def __init__(self, body=BODY, keys="p1-7", crc=None, sys_flag=0):
        self.values = {
            "Body": body,
            "Keys": keys,
            "BodyCRC": stored_crc(body or b"") if crc is None else crc,
            "SysFlag": sys_flag,
            "Topic": "%RETRY%g",
            "QueueOffset": 5,
            "CommitLogOffset": 4096,
            "ReconsumeTimes": 2,
            "BrokerName": "broker-a",
            "QueueId": 3,
        }

    def __getattr__(self, name):
        return lambda: self.values[name.removeprefix("get")]


@pytest.mark.parametrize(
    ("message", "found", "altered"),
    [
        (Message(), "p1-7", None),
        (Message(bytearray(BODY)), "p1-7", None),
        (Message(bytes(60)), "p1-7", "body"),
        (Message(None), "p1-7", "body"),
        (Message(BODY[:-1]), "p1-7", "body"),
        (Message(BODY + b"x"), "p1-7", "body"),
        (Message(keys="p1-8"), "p1-7", "key"),
        (Message(keys=None), "p1-7", "key"),
        (Message(crc=1), "p1-7", "checksum"),
        (Message(crc=1, sys_flag=SYS_COMPRESSED), "p1-7", None),
        (Message(bytes(60), keys=None), "unidentified@4096", "body+key"),
    ],
)
def test_a_delivery_says_in_what_it_differs_from_what_was_sent(tmp_path, message, found, altered):
    consumer = JavaConsumer(ConsumerConfig("c1", "ns", ("T",), group="g"), Recorder(str(tmp_path / "c1.jsonl")))
    assert consumer.take([message], message)
    (line,) = map(json.loads, (tmp_path / "c1.jsonl").read_text().splitlines())
    assert (line["id"], line.get("a")) == (found, altered)
    assert (line["tp"], line["b"], line["q"], line["o"], line["k"]) == ("%RETRY%g", "broker-a", 3, 5, 2)
