"""A fake name server: routes in memory, written as fastjson writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from harness.wire.codes import RequestCode, ResponseCode
from harness.wire.frame import Frame
from tests.fakes.server import FakeConnection, FakeServer

CLUSTER = "fake-cluster"


@dataclass(frozen=True)
class Registration:
    """A topic on one broker name."""

    read_queues: int
    write_queues: int
    perm: int = 6


class FakeNameServer(FakeServer):
    """Keeps what fake brokers register; wipes and gives back write permission.

    `hang`: reads requests and answers none. `refuses`: request codes that it answers with an error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.addresses: dict[str, dict[int, str]] = {}
        self.topics: dict[str, dict[str, Registration]] = {}
        self.hang = False
        self.refuses: set[int] = set()

    def register(self, name: str, broker_id: int, address: str, topics: dict[str, Registration]) -> None:
        self.addresses.setdefault(name, {})[broker_id] = address
        if broker_id == 0:
            for topic, registration in topics.items():
                self.topics.setdefault(topic, {}).setdefault(name, registration)

    def unregister(self, name: str, broker_id: int) -> None:
        self.addresses.get(name, {}).pop(broker_id, None)
        if not self.addresses.get(name):
            self.addresses.pop(name, None)
            for brokers in self.topics.values():
                brokers.pop(name, None)

    def forget_wipe(self, name: str) -> None:
        for brokers in self.topics.values():
            brokers.pop(name, None)

    def handle(self, connection: FakeConnection, frame: Frame) -> None:
        if self.hang:
            return
        if frame.code in self.refuses:
            connection.reply(frame, ResponseCode.SYSTEM_ERROR, remark="name server not ready")
        elif frame.code == RequestCode.GET_ROUTEINFO_BY_TOPIC:
            self._route(connection, frame)
        elif frame.code == RequestCode.GET_BROKER_CLUSTER_INFO:
            connection.reply(frame, 0, body=self._cluster())
        elif frame.code == RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER:
            connection.reply(frame, 0, body=json.dumps({"topicList": list(self.topics)}).encode())
        elif frame.code == RequestCode.WIPE_WRITE_PERM_OF_BROKER:
            connection.reply(frame, 0, {"wipeTopicCount": str(self._permit(frame, add=False))})
        elif frame.code == RequestCode.ADD_WRITE_PERM_OF_BROKER:
            connection.reply(frame, 0, {"addTopicCount": str(self._permit(frame, add=True))})
        elif frame.code == RequestCode.DELETE_TOPIC_IN_NAMESRV:
            self.topics.pop(frame.ext["topic"], None)
            connection.reply(frame, 0)
        else:
            connection.reply(frame, ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark="fake: not supported")

    def _permit(self, frame: Frame, *, add: bool) -> int:
        name, count = frame.ext["brokerName"], 0
        for brokers in self.topics.values():
            if name in brokers:
                brokers[name] = replace(brokers[name], perm=6 if add else brokers[name].perm & ~2)
                count += 1
        return count

    def _route(self, connection: FakeConnection, frame: Frame) -> None:
        brokers = self.topics.get(frame.ext["topic"])
        if not brokers:
            connection.reply(frame, ResponseCode.TOPIC_NOT_EXIST, remark="No topic route info in name server")
            return
        queues = [
            {"brokerName": name, "readQueueNums": r.read_queues, "writeQueueNums": r.write_queues,
             "perm": r.perm, "topicSysFlag": 0}
            for name, r in brokers.items()
        ]  # fmt: skip
        datas = ",".join(self._broker_data(name) for name in brokers if name in self.addresses)
        body = f'{{"brokerDatas":[{datas}],"filterServerTable":{{}},"queueDatas":{json.dumps(queues)}}}'
        connection.reply(frame, 0, body=body.encode())

    def _broker_data(self, name: str) -> str:
        addresses = ",".join(f'{id_}:"{address}"' for id_, address in self.addresses[name].items())
        return f'{{"brokerAddrs":{{{addresses}}},"brokerName":"{name}","cluster":"{CLUSTER}"}}'

    def _cluster(self) -> bytes:
        table = ",".join(f'"{name}":{self._broker_data(name)}' for name in self.addresses)
        names = json.dumps(list(self.addresses))
        return f'{{"brokerAddrTable":{{{table}}},"clusterAddrTable":{{"{CLUSTER}":{names}}}}}'.encode()
