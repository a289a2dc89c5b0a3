"""The remoting protocol: frames, codecs, admin calls and whole-queue reads. Starts no processes.

`Admin` (blocking) and `AsyncAdmin` ask name servers and brokers one by one; `Remoting` and `Connection` are
what the built-in producer stands on.
"""

from __future__ import annotations

from harness.wire.admin import AsyncAdmin
from harness.wire.codes import STORED, RequestCode, ResponseCode, request_name, response_name
from harness.wire.connection import Connection
from harness.wire.errors import ConnectionLost, Malformed, Refused, ReplyTimeout, Unreachable
from harness.wire.frame import Frame
from harness.wire.message import StoredMessage, encode_properties
from harness.wire.remoting import Dialer, PlainDialer, Remoting
from harness.wire.replies import (
    ClusterInfo,
    HaStatus,
    Jump,
    PullReply,
    QueueData,
    QueueRead,
    QueueRef,
    Route,
    SendReply,
)
from harness.wire.sending import SendTemplate, send_reply, wall_ms
from harness.wire.sync import Admin

__all__ = [
    "STORED",
    "Admin",
    "AsyncAdmin",
    "ClusterInfo",
    "Connection",
    "ConnectionLost",
    "Dialer",
    "Frame",
    "HaStatus",
    "Jump",
    "Malformed",
    "PlainDialer",
    "PullReply",
    "QueueData",
    "QueueRead",
    "QueueRef",
    "Refused",
    "Remoting",
    "ReplyTimeout",
    "RequestCode",
    "ResponseCode",
    "Route",
    "SendReply",
    "SendTemplate",
    "StoredMessage",
    "Unreachable",
    "encode_properties",
    "request_name",
    "response_name",
    "send_reply",
    "wall_ms",
]
