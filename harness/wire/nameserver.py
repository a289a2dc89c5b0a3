"""Calls to one name server. Name servers share nothing: whatever must hold on all is asked of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.wire.calls import Calls, ext_int, json_body
from harness.wire.codes import RequestCode, ResponseCode
from harness.wire.errors import Malformed, Refused
from harness.wire.remoting import DEFAULT_TIMEOUT_S
from harness.wire.replies import ClusterInfo, QueueData, Route


class NameServerCalls(Calls):
    """Routes, the cluster table and write permission, each as one name server holds it in memory."""

    async def route(self, nameserver: str, topic: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Route | None:
        """The topic's route, or None if this name server has none. Raises `WireError`.

        A route proves registration, not life: a dead master's queues stay listed as writable while another
        replica of its name lives, and a silent broker stays for two minutes.
        """
        code = RequestCode.GET_ROUTEINFO_BY_TOPIC
        ext = {"topic": topic, "acceptStandardJsonOnly": True}
        try:
            answer = await self.ask(nameserver, code, ext, timeout_s=timeout_s)
        except Refused as refused:
            if refused.code == ResponseCode.TOPIC_NOT_EXIST:
                return None
            raise
        fields = json_body(nameserver, code, answer)
        try:
            queues = tuple(_queue_data(queue) for queue in fields.get("queueDatas") or ())
            brokers = {
                str(broker["brokerName"]): _by_id(broker["brokerAddrs"]) for broker in fields.get("brokerDatas") or ()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Malformed(f"{nameserver} answered a route without a usable {error}") from None
        return Route(topic, queues, brokers)

    async def cluster_info(self, nameserver: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> ClusterInfo:
        """Every broker registered with this name server. Raises `WireError`."""
        code = RequestCode.GET_BROKER_CLUSTER_INFO
        fields = json_body(nameserver, code, await self.ask(nameserver, code, timeout_s=timeout_s))
        try:
            brokers = {
                str(name): _by_id(broker["brokerAddrs"])
                for name, broker in (fields.get("brokerAddrTable") or {}).items()
            }
            clusters = {
                str(name): tuple(sorted(names)) for name, names in (fields.get("clusterAddrTable") or {}).items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Malformed(f"{nameserver} answered a cluster table without a usable {error}") from None
        return ClusterInfo(brokers, clusters)

    async def topics(self, nameserver: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> frozenset[str]:
        """Every topic this name server knows, the product's own included. Raises `WireError`."""
        code = RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER
        answer = await self.ask(nameserver, code, timeout_s=timeout_s)
        return frozenset(json_body(nameserver, code, answer).get("topicList") or ())

    async def wipe_write_perm(self, nameserver: str, broker: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """Takes write permission from a broker name on this name server; returns how many topics it changed.

        The broker goes on accepting sends, clients learn of it at their next poll, and many events undo it
        (a restart of the broker or the name server; on 4.x the first appearance of a retry topic).
        Raises `WireError`.
        """
        answer = await self.ask(
            nameserver,
            RequestCode.WIPE_WRITE_PERM_OF_BROKER,
            {"brokerName": broker},
            timeout_s=timeout_s,
        )
        return ext_int(nameserver, answer, "wipeTopicCount", 0)

    async def add_write_perm(self, nameserver: str, broker: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """Gives all topics of a broker name permission 6 on this name server; returns how many.

        Exists since 4.9.2; before, `Refused` with REQUEST_CODE_NOT_SUPPORTED.
        """
        answer = await self.ask(
            nameserver, RequestCode.ADD_WRITE_PERM_OF_BROKER, {"brokerName": broker}, timeout_s=timeout_s
        )
        return ext_int(nameserver, answer, "addTopicCount", 0)

    async def delete_route(self, nameserver: str, topic: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Forgets a topic on this name server. A broker that still has it brings it back. Raises `WireError`."""
        await self.ask(nameserver, RequestCode.DELETE_TOPIC_IN_NAMESRV, {"topic": topic}, timeout_s=timeout_s)


def _queue_data(fields: Mapping[str, Any]) -> QueueData:
    return QueueData(
        broker=str(fields["brokerName"]),
        read_queues=int(fields["readQueueNums"]),
        write_queues=int(fields["writeQueueNums"]),
        perm=int(fields["perm"]),
    )


def _by_id(addresses: Mapping[str, str]) -> dict[int, str]:
    return {int(broker_id): address for broker_id, address in sorted(addresses.items())}
