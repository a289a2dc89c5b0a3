"""Sends: the header of SEND_MESSAGE_V2, once at leisure or pre-encoded for tens of thousands a second."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii

from harness.wire.calls import texts
from harness.wire.codes import STORED, RequestCode
from harness.wire.errors import Malformed
from harness.wire.frame import CLIENT_VERSION, Frame
from harness.wire.message import SYS_TRANSACTION_PREPARED, encode_properties
from harness.wire.replies import SendReply

DEFAULT_PRODUCER_GROUP = "rmq-harness-producer"


def send_fields(
    topic: str, queue: int, properties: Mapping[str, str], group: str, broker: str | None = None
) -> dict[str, str]:
    """The header fields of one SEND_MESSAGE_V2."""
    prepared = properties.get("TRAN_MSG") == "true"
    return texts(
        {
            "a": group,
            "b": topic,
            "c": "TBW102",
            "d": 4,
            "e": queue,
            "f": SYS_TRANSACTION_PREPARED if prepared else 0,
            "g": wall_ms(),
            "h": 0,
            "i": encode_properties(properties),
            "j": 0,
            "k": False,
            "l": None,
            "m": False,
            "n": broker,
        }
    )


class SendTemplate:
    """Headers of sends that differ in queue, birth and properties alone.

    `opened` gives what `Connection.submit_opened` takes. No retry, no choice of broker: that is a client's.
    """

    def __init__(self, topic: str, group: str = DEFAULT_PRODUCER_GROUP, broker: str | None = None) -> None:
        fixed = send_fields(topic, 0, {}, group, broker)
        for varying in "egi":
            del fixed[varying]
        self._before = b'{"code":%d,"language":"PYTHON","version":%d,"flag":0,"extFields":%b,"e":"' % (
            RequestCode.SEND_MESSAGE_V2,
            CLIENT_VERSION,
            json.dumps(fixed, separators=(",", ":")).encode()[:-1],
        )

    def opened(self, queue: int, properties: str, born_ts_ms: int) -> bytes:
        """The header up to its opaque; `properties` as `encode_properties` makes it."""
        return b'%b%d","g":"%d","i":%b},"opaque":' % (
            self._before,
            queue,
            born_ts_ms,
            encode_basestring_ascii(properties).encode(),
        )


def send_reply(broker: str, answer: Frame) -> SendReply:
    """The answer to a send. Raises `Malformed` if it claims to have stored and does not say where."""
    remark = answer.remark or ""
    if answer.code not in STORED:
        return SendReply(answer.code, remark, broker, -1, -1, "")
    ext = answer.ext
    try:
        return SendReply(answer.code, remark, broker, int(ext["queueId"]), int(ext["queueOffset"]), ext["msgId"])
    except (KeyError, ValueError) as error:
        raise Malformed(f"{broker} acknowledged a send without a usable {error}") from None


def wall_ms() -> int:
    """Now as messages carry it: milliseconds of wall time. Never for durations."""
    return time.time_ns() // 1_000_000
