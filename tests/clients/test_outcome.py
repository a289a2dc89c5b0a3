from __future__ import annotations

import pytest

from harness.clients.outcome import TABLE, of_code, of_error, of_status
from harness.wire.codes import ResponseCode

STATUSES = {
    "SEND_OK": "ok",
    "FLUSH_DISK_TIMEOUT": "info",
    "FLUSH_SLAVE_TIMEOUT": "info",
    "SLAVE_NOT_AVAILABLE": "info",
    "ONEWAY": "info",
    "SOMETHING_NEW": "info",
    "": "info",
}
REFUSALS = {2, 3, 13, 14, 15, 16, 17, 26, 29, 215, 1500}


@pytest.mark.parametrize(("status", "expected"), STATUSES.items())
def test_statuses(status, expected):
    assert of_status(status) == expected


@pytest.mark.parametrize("code", [*ResponseCode, 9999, -1])
def test_every_code_that_has_a_name(code):
    expected = "ok" if code == 0 else "fail" if code in REFUSALS else "info"
    assert of_code(int(code), only_attempt=True) == expected
    # After another attempt no refusal proves anything, and an acknowledgement still does.
    assert of_code(int(code), only_attempt=False) == ("ok" if code == 0 else "info")


@pytest.mark.parametrize("remark", ["NullPointerException", "in-sync replicas not enough, current: 1"])
def test_a_system_error_is_no_refusal_whatever_it_says(remark):
    """A DLedger leader of 5.x says that replicas are not enough of what it has appended and may yet commit."""
    assert of_code(1, remark, only_attempt=True) == "info"
    assert of_code(1, remark, only_attempt=False) == "info"


ERRORS = [
    # name, code, text, only attempt, with retries
    ("MQBrokerException", 16, "CODE: 16 DESC: no permission", "fail", "info"),
    ("MQBrokerException", 1, "CODE: 1", "info", "info"),
    ("MQBrokerException", 0, "an exception is no acknowledgement", "info", "info"),
    ("MQBrokerException", None, "", "info", "info"),
    ("MQClientException", 10005, "No route info of this topic: T", "fail", "fail"),
    ("MQClientException", 10004, "No name server address", "fail", "fail"),
    ("IllegalStateException", None, "IllegalStateException: <- RemotingConnectException: connect to", "fail", "fail"),
    ("IllegalStateException", None, "of another kind", "info", "info"),
    ("MQClientException", 13, "the message body size over max value", "fail", "fail"),
    ("MQClientException", 13, "Send [3] times, still failed", "fail", "info"),
    ("MQClientException", 14, "Send [1] times, still failed", "fail", "info"),
    ("MQClientException", 0, "Send [1] times, still failed", "info", "info"),
    ("MQClientException", 10001, "Send [1] times, still failed <- connect to x failed", "fail", "info"),
    ("MQClientException", 10002, "Send [1] times, still failed", "info", "info"),
    ("MQClientException", 10003, "Send [1] times, still failed", "fail", "info"),
    ("MQClientException", -1, "The broker[broker-a] not exist", "fail", "info"),
    ("MQClientException", -1, "Send [1] times, still failed", "info", "info"),
    ("MQClientException", -1, "unknown reason", "info", "info"),
    ("RemotingConnectException", None, "connect to x failed", "fail", "info"),
    ("RemotingSendRequestException", None, "", "info", "info"),
    ("RemotingTimeoutException", None, "", "info", "info"),
    ("RemotingTooMuchRequestException", None, "sendDefaultImpl call timeout", "info", "info"),
    ("RemotingCommandException", None, "", "info", "info"),
    ("RequestTimeoutException", None, "", "info", "info"),
    ("InterruptedException", None, "", "info", "info"),
    ("NullPointerException", None, "", "info", "info"),
    ("NoRoute", None, "", "fail", "fail"),
    ("Unreachable", None, "", "fail", "info"),
    ("ConnectionLost", None, "", "info", "info"),
    ("ReplyTimeout", None, "", "info", "info"),
    ("Malformed", None, "", "info", "info"),
    ("WireError", None, "", "info", "info"),
    ("ProducerSendSyncFailed", None, "No route info of this topic: T,error:-1,in file x.cpp", "info", "info"),
    ("ProducerSendSyncFailed", None, "the message body size over max value, MAX: 131072", "fail", "fail"),
    ("ProducerSendOrderlyFailed", None, "No route info of this topic, ,error:-1", "info", "info"),
    ("ProducerSendOrderlyFailed", None, "the message body size over max value", "fail", "fail"),
    ("ProducerSendOnewayFailed", None, "the message body size over max value", "info", "info"),
    ("RocketMQException", None, "the message body size over max value", "info", "info"),
    ("Exception", None, "failed to fetch topic:T route.", "fail", "fail"),
    ("Exception", None, "RpcClient is not running.", "info", "info"),
    (
        "IllegalArgumentException",
        None,
        "current message type not match with queue accept message types",
        "fail",
        "fail",
    ),
    ("IllegalArgumentException", None, "no available message queues for selection.", "info", "info"),
    ("ProxyTimeoutException", 50402, "SLAVE_PERSISTENCE_TIMEOUT", "info", "info"),
    ("InternalErrorException", 50004, "HA_NOT_AVAILABLE", "info", "info"),
    ("TooManyRequestsException", 42900, "TOO_MANY_REQUESTS", "info", "info"),
    ("ForbiddenException", 40300, "FORBIDDEN", "info", "info"),
    ("AioRpcError", 14, "failed to connect to all addresses", "info", "info"),
    ("AioRpcError", 4, "Deadline Exceeded", "info", "info"),
]


@pytest.mark.parametrize(("name", "code", "text", "once", "retried"), ERRORS)
def test_errors(name, code, text, once, retried):
    assert of_error(name, code, text, only_attempt=True) == once
    assert of_error(name, code, text, only_attempt=False) == retried


def test_every_error_of_the_table_is_in_this_test():
    assert {rule.name for rule in TABLE if rule.kind == "error"} <= {error[0] for error in ERRORS}


def test_no_error_is_ever_an_acknowledgement_and_only_the_unsent_survive_retries():
    assert all(rule.outcome != "ok" for rule in TABLE if rule.kind == "error")
    assert [rule.name for rule in TABLE if rule.outcome == "ok"] == ["SEND_OK", "COMMIT_MESSAGE", "0"]
