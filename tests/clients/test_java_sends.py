"""What a send and its answer are made of, in a JVM of its own: there may be one in a process only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.clients.java_sends import read_told
from harness.distribution import obtain_client, obtain_jre
from harness.options import cache_dir

IN_A_JVM = """
import json, sys
import jpype
from harness.clients import java_sends
from harness.clients.config import JavaSetup
from harness.clients.jvm import start_jvm, thrown

libjvm, *jars = sys.argv[1:]
start_jvm(JavaSetup(tuple(jars), libjvm, ""))
client = "org.apache.rocketmq.client.producer."
message = "org.apache.rocketmq.common.message."
queue = jpype.JClass(message + "MessageQueue")("T", "broker-a", 3)
producer = jpype.JClass(client + "DefaultMQProducer")("never-started")
selector = jpype.JClass(client + "selector.SelectMessageQueueByHash")()

plain = java_sends.message("T", wait=True, delay_level=None, properties=())
rich = java_sends.message("T", wait=False, delay_level=4, properties=[("a", "b"), ("c", "d")])
seen = {}
for name, handle in (("plain", plain), ("rich", rich)):
    made = java_sends.made(handle)("p-1-7", "h\\u00e9llo\\x00")
    seen[name] = [
        made.getTopic(), made.getKeys(), bytes(made.getBody()).decode("latin-1"), made.getTags(), made.getFlag(),
        bool(made.isWaitStoreMsgOK()), int(made.getDelayTimeLevel()), made.getUserProperty("a"),
        made.getUserProperty("c"),
    ]
status = jpype.JClass(client + "SendStatus")
result = jpype.JClass(client + "SendResult")(status.FLUSH_SLAVE_TIMEOUT, "7F", "0A", queue, 5_000_000_000)
seen["told"] = java_sends.told()(result)
for name, send in {
    "send": java_sends.plain(producer, plain),
    "to a queue": java_sends.pinned(producer, plain, queue),
    "by a key": java_sends.selected(producer, plain, selector, jpype.JClass("java.lang.Integer").valueOf(1)),
}.items():
    try:
        send("p-1-7", "hello")
    except jpype.JException as error:
        seen[name] = thrown(error)
print(json.dumps(seen, default=str))
"""


def test_what_is_told_of_an_answer_is_read() -> None:
    assert read_told("SEND_OK\nbroker-a\n3\n12") == ("SEND_OK", ("broker-a", 3, 12))
    with pytest.raises(ValueError, match="unpack"):
        read_told("null")


@pytest.mark.real
@pytest.mark.parametrize("client", ["4.9.7", "5.3.3"])
@pytest.mark.parametrize("java", ["25", "17"])
def test_messages_and_answers_are_the_client_s_own(java: str, client: str, tmp_path: Path) -> None:
    jre = obtain_jre(java, cache_dir())
    words = [str(jre.libjvm), *map(str, obtain_client(client, cache_dir()))]
    # Its logs lie where it runs.
    done = subprocess.run(
        [sys.executable, "-c", IN_A_JVM, *words], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["plain"] == ["T", "p-1-7", "h\u00e9llo\x00", None, 0, True, 0, None, None]
    assert seen["rich"] == ["T", "p-1-7", "h\u00e9llo\x00", None, 0, False, 4, "b", "d"]
    assert read_told(seen["told"]) == ("FLUSH_SLAVE_TIMEOUT", ("broker-a", 3, 5_000_000_000))
    for way in ("send", "to a queue", "by a key"):
        name, _code, text = seen[way]
        assert name == "MQClientException", "a checked exception is told as what the client threw"
        assert "service state not OK" in text
