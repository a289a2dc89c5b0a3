"""Calls about messages, offsets and clients of one broker; replicas answer them from their own store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from harness.wire.calls import Calls, ext_int, json_body, texts
from harness.wire.codes import RequestCode, ResponseCode
from harness.wire.errors import Malformed, Refused
from harness.wire.frame import Frame
from harness.wire.message import StoredMessage, decode_message, decode_messages
from harness.wire.remoting import DEFAULT_TIMEOUT_S
from harness.wire.replies import PullReply, QueueRef, SendReply
from harness.wire.sending import DEFAULT_PRODUCER_GROUP, send_fields, send_reply

TOOLS_GROUP = "TOOLS_CONSUMER"
"""A consumer group that every broker of every release knows without being told."""

_SUSPEND, _SUBSCRIPTION_INLINE = 2, 4
_FAR_MS = 1 << 62


class MessageCalls(Calls):
    """Sending, pulling, offsets, and being a member of groups."""

    async def send(
        self,
        address: str,
        queue: QueueRef | tuple[str, int],
        body: bytes,
        properties: Mapping[str, str] | None = None,
        *,
        group: str = DEFAULT_PRODUCER_GROUP,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> SendReply:
        """One message to one queue of one broker, tried once. Any code is an answer, never an exception.

        `queue` is (topic, queue id). Raises `Unreachable` where nothing was sent, `ReplyTimeout` or
        `ConnectionLost` where the message may be stored.
        """
        topic, number = (queue.topic, queue.queue) if isinstance(queue, QueueRef) else queue
        fields = send_fields(topic, number, properties or {}, group)
        code = RequestCode.SEND_MESSAGE_V2
        answer = await self.remoting.call(address, code, fields, body, timeout_s=timeout_s)
        return send_reply(address, answer)

    async def pull(
        self,
        queue: QueueRef,
        offset: int,
        *,
        max_messages: int = 32,
        suspend_s: float = 0.0,
        group: str = TOOLS_GROUP,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> PullReply:
        """What a replica delivers from `offset` on, whatever its code; commits nothing.

        With `suspend_s` the broker holds the answer that long for a message to arrive. It looks for held
        pulls that have expired only every 5 s: `timeout_s` must exceed `suspend_s` by that. Raises `WireError`.
        """
        sys_flag = _SUBSCRIPTION_INLINE | (_SUSPEND if suspend_s > 0 else 0)
        ext = {
            "consumerGroup": group,
            "topic": queue.topic,
            "queueId": queue.queue,
            "queueOffset": offset,
            "maxMsgNums": max_messages,
            "sysFlag": sys_flag,
            "commitOffset": 0,
            "suspendTimeoutMillis": int(suspend_s * 1000),
            "subscription": "*",
            "subVersion": 0,
            "expressionType": "TAG",
        }
        code = RequestCode.PULL_MESSAGE
        answer = await self.remoting.call(queue.address, code, texts(ext), timeout_s=timeout_s)
        return _pull_reply(queue.address, answer, offset)

    async def max_offset(self, queue: QueueRef, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """One past the last queue offset of the replica's index. Does not prove what is stored there."""
        return await self._offset(RequestCode.GET_MAX_OFFSET, queue, timeout_s)

    async def min_offset(self, queue: QueueRef, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """The first queue offset the replica still has."""
        return await self._offset(RequestCode.GET_MIN_OFFSET, queue, timeout_s)

    async def offset_at(self, queue: QueueRef, wall_time_ms: int, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """The queue offset the replica finds for a store time (milliseconds of wall time)."""
        code = RequestCode.SEARCH_OFFSET_BY_TIMESTAMP
        return await self._offset(code, queue, timeout_s, timestamp=wall_time_ms)

    async def consumer_offset(self, queue: QueueRef, group: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> int | None:
        """The group's committed offset on this replica, or None.

        A broker answers 0 for a group that never committed while the queue's first message is in memory.
        """
        try:
            return await self._offset(RequestCode.QUERY_CONSUMER_OFFSET, queue, timeout_s, consumerGroup=group)
        except Refused as refused:
            if refused.code == ResponseCode.QUERY_NOT_FOUND:
                return None
            raise

    async def commit_offset(
        self, queue: QueueRef, group: str, offset: int, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Commits an offset on this replica: in memory, written by a timer, never sent from slave to master.

        Raises `Refused`: 5.x knows the codes 26 (no such group) and 17 (no such topic), 4.x accepts anything.
        """
        ext = {
            "consumerGroup": group,
            "topic": queue.topic,
            "queueId": queue.queue,
            "commitOffset": offset,
        }
        await self.ask(queue.address, RequestCode.UPDATE_CONSUMER_OFFSET, ext, timeout_s=timeout_s)

    async def view_message(self, address: str, msg_id: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> StoredMessage:
        """The message at the log offset in a broker's message id. Raises `Refused` if there is none."""
        offset = physical_offset_of(msg_id)
        answer = await self.ask(address, RequestCode.VIEW_MESSAGE_BY_ID, {"offset": offset}, timeout_s=timeout_s)
        return decode_message(answer.body)

    async def query_by_key(
        self,
        address: str,
        topic: str,
        key: str,
        *,
        most: int = 32,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> tuple[StoredMessage, ...]:
        """What the broker's index finds for a key, of any age: also messages whose key merely has the same hash."""
        ext = {"topic": topic, "key": key, "maxNum": most, "beginTimestamp": 0, "endTimestamp": _FAR_MS}
        try:
            answer = await self.ask(address, RequestCode.QUERY_MESSAGE, ext, timeout_s=timeout_s)
        except Refused as refused:
            if refused.code == ResponseCode.QUERY_NOT_FOUND:
                return ()
            raise
        return tuple(decode_messages(answer.body))

    async def consumer_ids(self, address: str, group: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> tuple[str, ...]:
        """Client ids of the group's members connected to this broker; empty if there are none."""
        code = RequestCode.GET_CONSUMER_LIST_BY_GROUP
        ext = {"consumerGroup": group}
        try:
            answer = await self.ask(address, code, ext, timeout_s=timeout_s)
        except Refused as refused:
            if refused.code == ResponseCode.SYSTEM_ERROR:
                return ()
            raise
        return tuple(sorted(json_body(address, code, answer).get("consumerIdList") or ()))

    async def producers(
        self, address: str, group: str, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> tuple[tuple[str, str], ...]:
        """Client id and address (`host:port`) of each connection that this broker holds for a producer group.

        Empty if there is none: 4.x forgets the group with its last connection, and refuses one it does not know.
        """
        code = RequestCode.GET_PRODUCER_CONNECTION_LIST
        try:
            answer = await self.ask(address, code, {"producerGroup": group}, timeout_s=timeout_s)
        except Refused as refused:
            if refused.code == ResponseCode.SYSTEM_ERROR:
                return ()
            raise
        held = json_body(address, code, answer).get("connectionSet") or ()
        try:
            return tuple(sorted((str(each["clientId"]), str(each["clientAddr"])) for each in held))
        except (KeyError, TypeError) as error:
            raise Malformed(f"{address} answered a list of producers without a usable {error}") from None

    async def heartbeat(
        self,
        address: str,
        client_id: str,
        *,
        consumes: Mapping[str, Iterable[str]] | None = None,
        produces: Iterable[str] = (),
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Makes the kept connection to this broker a member of groups, for two minutes from now.

        `consumes` maps groups to their topics; the broker creates group and retry topic as it needs.
        Membership ends at once when the connection does.
        """
        fields = {
            "clientID": client_id,
            "producerDataSet": [{"groupName": group} for group in produces],
            "consumerDataSet": [_consumer(group, topics) for group, topics in (consumes or {}).items()],
        }
        body = json.dumps(fields).encode()
        await self.ask(address, RequestCode.HEART_BEAT, body=body, timeout_s=timeout_s)

    async def unregister(
        self,
        address: str,
        client_id: str,
        *,
        consumer_group: str | None = None,
        producer_group: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Ends a client's membership of groups on this broker."""
        ext = {"clientID": client_id, "consumerGroup": consumer_group, "producerGroup": producer_group}
        await self.ask(address, RequestCode.UNREGISTER_CLIENT, ext, timeout_s=timeout_s)

    async def _offset(self, code: RequestCode, queue: QueueRef, timeout_s: float, **more: str | int) -> int:
        ext = {"topic": queue.topic, "queueId": queue.queue, **more}
        answer = await self.ask(queue.address, code, ext, timeout_s=timeout_s)
        return ext_int(queue.address, answer, "offset")


def physical_offset_of(msg_id: str) -> int:
    """The log offset in a message id that a broker gave (its last 16 digits). Raises `Malformed`."""
    try:
        if len(msg_id) not in (32, 56):
            raise ValueError
        return int(msg_id[-16:], 16)
    except ValueError:
        raise Malformed(f"{msg_id!r} is not a message id given by a broker") from None


def _pull_reply(address: str, answer: Frame, asked: int) -> PullReply:
    found = answer.code == ResponseCode.SUCCESS
    return PullReply(
        code=answer.code,
        remark=answer.remark or "",
        next_offset=ext_int(address, answer, "nextBeginOffset", None if found else asked),
        min_offset=ext_int(address, answer, "minOffset", -1),
        max_offset=ext_int(address, answer, "maxOffset", -1),
        messages=tuple(decode_messages(answer.body)) if found else (),
        suggested_broker_id=ext_int(address, answer, "suggestWhichBrokerId", 0),
    )


def _consumer(group: str, topics: Iterable[str]) -> dict[str, object]:
    subscriptions = [
        {
            "topic": topic,
            "subString": "*",
            "tagsSet": [],
            "codeSet": [],
            "subVersion": 0,
            "expressionType": "TAG",
        }
        for topic in topics
    ]
    return {
        "groupName": group,
        "consumeType": "CONSUME_PASSIVELY",
        "messageModel": "CLUSTERING",
        "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET",
        "subscriptionDataSet": subscriptions,
        "unitMode": False,
    }
