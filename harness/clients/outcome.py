"""The one table that says what every answer and every exception of a client means: ok, fail or info.

`ok` is SEND_OK and, of a half message that was answered so, the decision to commit it. `fail` means surely not stored,
or decided never to be seen. Whatever is not in the table, whatever may have been tried more than once, and whatever the
table's authors could not show to be refused before the append is `info`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Outcome = Literal["ok", "fail", "info"]
Kind = Literal["status", "code", "error"]

OK: Final = "ok"
FAIL: Final = "fail"
INFO: Final = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one status, response code or exception means.

    `name` is a SendStatus, a response code in decimal, or the simple name of an exception class; `code` and `needle`
    narrow an exception or a code to those that carry that number or text. `unsent` rules hold however often the client
    may have tried, for they say that no attempt left the client; other `fail` rules hold for an only attempt alone.
    """

    kind: Kind
    name: str
    outcome: Outcome
    why: str
    code: int | None = None
    needle: str = ""
    unsent: bool = False


def _status(name: str, outcome: Outcome, why: str) -> Rule:
    return Rule("status", name, outcome, why)


def _code(code: int, outcome: Outcome, why: str, needle: str = "") -> Rule:
    return Rule("code", str(code), outcome, why, needle=needle)


def _error(name: str, outcome: Outcome, why: str, code: int | None = None, needle: str = "") -> Rule:
    return Rule("error", name, outcome, why, code, needle)


def _unsent(name: str, why: str, code: int | None = None, needle: str = "") -> Rule:
    return Rule("error", name, FAIL, why, code, needle, unsent=True)


TABLE: Final[tuple[Rule, ...]] = (
    _status("SEND_OK", OK, "the only status that promises anything"),
    _status("FLUSH_DISK_TIMEOUT", INFO, "appended; not flushed in time"),
    _status("FLUSH_SLAVE_TIMEOUT", INFO, "appended; not replicated in time"),
    _status("SLAVE_NOT_AVAILABLE", INFO, "appended; no slave to replicate to"),
    _status("ONEWAY", INFO, "handed to the kernel; no answer will come"),
    _status("NO_RECEIPT", INFO, "the gRPC client returned, and without a receipt"),
    _status("COMMIT_MESSAGE", OK, "the half message is stored (SEND_OK) and its transaction commits: it must be seen"),
    _status("ROLLBACK_MESSAGE", FAIL, "its transaction rolls back: it must never be seen"),
    _code(0, OK, "SUCCESS"),
    # Also with the remark "in-sync replicas not enough": a 5.x DLedger leader says so of what it has appended.
    _code(1, INFO, "SYSTEM_ERROR: also for exceptions after the append"),
    _code(2, FAIL, "SYSTEM_BUSY: refused or taken out of the queue before the append"),
    _code(3, FAIL, "REQUEST_CODE_NOT_SUPPORTED: no processor took it"),
    _code(4, INFO, "TRANSACTION_FAILED: says nothing of the half message"),
    _code(10, INFO, "FLUSH_DISK_TIMEOUT: appended"),
    _code(11, INFO, "SLAVE_NOT_AVAILABLE: appended"),
    _code(12, INFO, "FLUSH_SLAVE_TIMEOUT: appended"),
    _code(13, FAIL, "MESSAGE_ILLEGAL: checked before the append"),
    _code(14, FAIL, "SERVICE_NOT_AVAILABLE: a slave, a full disk or a closed store refuses before the append"),
    _code(15, FAIL, "VERSION_NOT_SUPPORTED"),
    _code(16, FAIL, "NO_PERMISSION: checked before the append"),
    _code(17, FAIL, "TOPIC_NOT_EXIST: checked before the append"),
    _code(26, FAIL, "SUBSCRIPTION_GROUP_NOT_EXIST: checked before the append"),
    _code(29, FAIL, "INVALID_PARAMETER: checked before the append"),
    _code(215, FAIL, "FLOW_CONTROL: refused before the append"),
    _code(1500, FAIL, "GO_AWAY: a broker that shuts down refuses before it processes"),
    _unsent("MQClientException", "no route: no attempt was made", code=10005),
    _unsent("MQClientException", "no name server known: no attempt was made", code=10004),
    _unsent("IllegalStateException", "no name server answers for the route", needle="Remoting"),
    _unsent("MQClientException", "the client's own check of the message", code=13, needle="the message body"),
    _error("MQClientException", FAIL, "no connection to the broker", code=10001),
    _error("MQClientException", INFO, "no answer in time", code=10002),
    _error("MQClientException", FAIL, "the broker is in no route any more", code=10003),
    _error("MQClientException", FAIL, "the broker of an explicit queue is in no route", needle="] not exist"),
    _error("RemotingConnectException", FAIL, "no connection: nothing was sent"),
    _error("RemotingSendRequestException", INFO, "also for requests in flight when the connection closed"),
    _error("RemotingTimeoutException", INFO, "no answer in time"),
    _error("RemotingTooMuchRequestException", INFO, "the time of the call ran out, before or after an attempt"),
    _error("RemotingCommandException", INFO, "also for an answer that could not be read"),
    _error("RequestTimeoutException", INFO, "no answer in time"),
    _error("InterruptedException", INFO, "the answer was not waited for"),
    _unsent("NoRoute", "no writable queue with a known master: no attempt was made"),
    _error("Unreachable", FAIL, "no connection: nothing was sent"),
    _error("ConnectionLost", INFO, "the connection ended with the request pending"),
    _error("ReplyTimeout", INFO, "no answer in time"),
    _error("Malformed", INFO, "an answer that cannot be read"),
    # The C++ client tries up to five times, an ordered send up to four, and says "No route info" of whatever came of
    # it: also of what was answered SLAVE_NOT_AVAILABLE or FLUSH_SLAVE_TIMEOUT and stored once for each attempt.
    _unsent("ProducerSendSyncFailed", "the client's own check of the message", needle="the message body"),
    _unsent("ProducerSendOrderlyFailed", "the client's own check of the message", needle="the message body"),
    _error("ProducerSendSyncFailed", INFO, "after several attempts, whatever the text says"),
    _error("ProducerSendOrderlyFailed", INFO, "after several attempts, whatever the text says"),
    _error("ProducerSendOnewayFailed", INFO, "after several attempts, and without a text of its own"),
    _error("RocketMQException", INFO, "the C++ client: a half message failed, after several attempts"),
    # The gRPC client tries up to three times, as the proxy tells it, whatever the answer was but TooManyRequests, and
    # raises what the last attempt ended in: no refusal proves anything. What it raises of a weaker status is stored
    # once for each attempt.
    _unsent("Exception", "the gRPC client has no route: no attempt was made", needle="failed to fetch topic"),
    _unsent("IllegalArgumentException", "the gRPC client's own check of the message", needle="essage type not match"),
    _error("ProxyTimeoutException", INFO, "appended, not flushed or not replicated in time; or no answer in time"),
    _error("InternalErrorException", INFO, "also for no slave to replicate to: appended"),
    _error("TooManyRequestsException", INFO, "refused, but an earlier attempt may have been stored"),
    _error("AioRpcError", INFO, "no connection, or it was lost with the request pending, or no answer in time"),
)
"""First match wins. NoRoute is the remoting client's, `Producer...Failed` the C++ client's, AioRpcError the gRPC
client's, and so is every exception that ends in Exception and begins with no MQ or Remoting. `MQBrokerException` is
looked up by its response code, and so is the MQClientException ("Send [1] times, still failed") that relays one."""

_STATUSES: Final = {rule.name: rule for rule in TABLE if rule.kind == "status"}


def of_status(status: str) -> Outcome:
    """What a SendStatus means; one that is not known is info."""
    rule = _STATUSES.get(status)
    return rule.outcome if rule is not None else INFO


def of_code(code: int, remark: str = "", *, only_attempt: bool) -> Outcome:
    """What a broker's response code to a send means.

    With `only_attempt` False an earlier attempt may have stored the message, so that no refusal proves anything.
    """
    rule = next((r for r in TABLE if r.kind == "code" and r.name == str(code) and r.needle in remark), None)
    return INFO if rule is None else _weigh(rule, only_attempt)


def of_error(name: str, code: int | None, text: str, *, only_attempt: bool) -> Outcome:
    """What an exception means: `name` is its simple class name, `code` its response code if it carries one.

    With `only_attempt` True the exception is that of the one attempt that was made, if any.
    """
    relayed = name == "MQClientException" and "still failed" in text and code is not None and 0 <= code < 10_000
    if name == "MQBrokerException" or relayed:
        # An exception is never an acknowledgement, whatever number it carries.
        outcome = of_code(code if code is not None else -1, text, only_attempt=only_attempt)
        return INFO if outcome == OK else outcome
    for rule in TABLE:
        if rule.kind == "error" and rule.name == name and rule.code in (None, code) and rule.needle in text:
            return _weigh(rule, only_attempt)
    return INFO


def _weigh(rule: Rule, only_attempt: bool) -> Outcome:
    if rule.outcome == FAIL and not (only_attempt or rule.unsent):
        return INFO
    return rule.outcome
