"""Calls that administer one broker: topics, groups, configuration, status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.wire.calls import Calls, json_body
from harness.wire.codes import RequestCode
from harness.wire.errors import Malformed
from harness.wire.remoting import DEFAULT_TIMEOUT_S
from harness.wire.replies import HaConnection, HaStatus


class BrokerAdminCalls(Calls):
    """Administration of the one replica that is addressed; nothing here fans out."""

    async def create_topic(
        self,
        address: str,
        topic: str,
        queues: int = 4,
        *,
        perm: int = 6,
        write_queues: int | None = None,
        attributes: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Creates or changes a topic on one master; routes and slaves learn of it later.

        `queues` counts the read queues, and the write queues unless `write_queues` says otherwise.
        `attributes` is 5.x's text, such as "+message.type=DELAY". Raises `Refused` (a 4.9.7 slave: code 1).
        """
        ext = {
            "topic": topic,
            "defaultTopic": "TBW102",
            "readQueueNums": queues,
            "writeQueueNums": queues if write_queues is None else write_queues,
            "perm": perm,
            "topicFilterType": "SINGLE_TAG",
            "topicSysFlag": 0,
            "order": False,
            "attributes": attributes,
        }
        await self.ask(address, RequestCode.UPDATE_AND_CREATE_TOPIC, ext, timeout_s=timeout_s)

    async def delete_topic(self, address: str, topic: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Deletes a topic with its queues on one broker; name servers are told by `delete_route`."""
        await self.ask(address, RequestCode.DELETE_TOPIC_IN_BROKER, {"topic": topic}, timeout_s=timeout_s)

    async def create_group(
        self,
        address: str,
        group: str,
        *,
        retry_max_times: int = 16,
        retry_queues: int = 1,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Creates or changes a consumer group on one broker. Raises `WireError`."""
        fields = {
            "groupName": group,
            "consumeEnable": True,
            "consumeFromMinEnable": True,
            "consumeBroadcastEnable": True,
            "retryQueueNums": retry_queues,
            "retryMaxTimes": retry_max_times,
            "brokerId": 0,
            "whichBrokerWhenConsumeSlowly": 1,
            "notifyConsumerIdsChangedEnable": True,
        }
        body = json.dumps(fields).encode()
        code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
        await self.ask(address, code, body=body, timeout_s=timeout_s)

    async def delete_group(
        self, address: str, group: str, *, offsets: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Deletes a consumer group on one broker, and what it had consumed if `offsets`. Raises `WireError`.

        4.x calls that removeOffset, 5.x cleanOffset; what a release does not know it passes over.
        """
        ext = {"groupName": group, **({"cleanOffset": True, "removeOffset": True} if offsets else {})}
        await self.ask(address, RequestCode.DELETE_SUBSCRIPTIONGROUP, ext, timeout_s=timeout_s)

    async def broker_config(self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, str]:
        """Every configuration key the broker runs with. Raises `WireError`."""
        answer = await self.ask(address, RequestCode.GET_BROKER_CONFIG, timeout_s=timeout_s)
        return decode_config(answer.body.decode("utf-8", "replace"))

    async def update_broker_config(
        self, address: str, changes: Mapping[str, str], *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Changes configuration of a running broker, and rewrites its configuration file with all keys.

        Unknown keys are ignored by the broker and not every key is looked at again: read back what matters.
        Raises `Refused`: 5.x protects some keys.
        """
        body = encode_config(changes).encode()
        await self.ask(address, RequestCode.UPDATE_BROKER_CONFIG, body=body, timeout_s=timeout_s)

    async def kick_registration(self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Makes a broker register with all its name servers now, by setting brokerPermission to 6.

        Side effects: the broker's configuration file is rewritten, and a wiped write permission comes back.
        A broker that has no name server yet registers with none: repeat until it is seen.
        """
        await self.update_broker_config(address, {"brokerPermission": "6"}, timeout_s=timeout_s)

    async def runtime_info(self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, str]:
        """The broker's own figures, as text by name (commitLogMaxOffset, dispatchBehindBytes...)."""
        code = RequestCode.GET_BROKER_RUNTIME_INFO
        answer = await self.ask(address, code, timeout_s=timeout_s)
        table = json_body(address, code, answer).get("table") or {}
        return {str(name): str(value) for name, value in table.items()}

    async def ha_status(self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> HaStatus:
        """A 5.x broker's view of its replication. Raises `Refused` (REQUEST_CODE_NOT_SUPPORTED) on 4.x.

        `max_offset` is of the log of the broker that is asked. Cheap, where the runtime info of 5.x is not: it takes a
        third of a second of CPU, for it works out percentiles of put latencies (StoreStatsService).
        """
        code = RequestCode.GET_BROKER_HA_STATUS
        fields = json_body(address, code, await self.ask(address, code, timeout_s=timeout_s))
        client = fields.get("haClientRuntimeInfo") or {}
        try:
            master = bool(fields["master"])
            return HaStatus(
                is_master=master,
                max_offset=int((fields.get("masterCommitLogMaxOffset") if master else client.get("maxOffset")) or 0),
                in_sync_slaves=int(fields.get("inSyncSlaveNums") or 0),
                connections=tuple(_ha_connection(link) for link in fields.get("haConnectionInfo") or ()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed(f"{address} answered an HA status without a usable {error}") from None

    async def delete_expired_files(self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Starts a sweep for expired log files, as at the configured hour.

        Raises `Refused` with REQUEST_CODE_NOT_SUPPORTED where the release does not know it (seen to work on
        4.9.7 and 5.3.3).
        """
        await self.ask(address, RequestCode.DELETE_EXPIRED_COMMITLOG, timeout_s=timeout_s)


def decode_config(text: str) -> dict[str, str]:
    """The keys of a properties text as brokers answer it: a line per key, nothing escaped."""
    config: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not key.startswith("#"):
            config[key.strip()] = value.strip()
    return config


def encode_config(changes: Mapping[str, str]) -> str:
    """A properties text as brokers read it. Raises `ValueError` for a key or value with a line break."""
    lines = []
    for key, value in changes.items():
        if "\n" in key + value or "\r" in key + value:
            raise ValueError(f"configuration {key!r} = {value!r} contains a line break")
        lines.append(f"{key}={value}".replace("\\", "\\\\") + "\n")
    return "".join(lines)


def _ha_connection(fields: Mapping[str, Any]) -> HaConnection:
    return HaConnection(
        address=str(fields["addr"]),
        acked_offset=int(fields["slaveAckOffset"]),
        behind_bytes=int(fields["diff"]),
        in_sync=bool(fields["inSync"]),
    )
