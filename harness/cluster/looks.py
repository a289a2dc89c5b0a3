"""Looking at a running cluster: every answer is one node's own, asked for now.

Three things are told apart everywhere: an answer that says there, an answer that says absent, and no answer, which is
None and nothing else. Silence is never absence.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.cluster.plan import PROBE_TOPIC, TopicSpec
from harness.cluster.roster import Roster
from harness.core.errors import WaitTimeout, WireError
from harness.runtime.base import HUB, Runtime
from harness.topology import Role
from harness.waiting import wait_for
from harness.wire import fastjson
from harness.wire.codes import ResponseCode, response_name
from harness.wire.errors import Malformed, Refused
from harness.wire.message import StoredMessage
from harness.wire.remoting import split_address
from harness.wire.replies import MASTER_ID, HaStatus, QueueRef
from harness.wire.sync import Admin

LOOK_TIMEOUT_S: Final = 5.0
RUNTIME_INFO_TIMEOUT_S: Final = 30.0
"""A 5.x broker goes through its whole timer wheel for it, and does not stop when nobody waits for the answer any more.

Asked again and again it would be kept busy by what it is asked: 22 threads of one were seen at it on a busy machine.
"""
PROBE_TIMEOUT_S: Final = 8.0
"""Longer than any broker waits for its slaves (5 s before 4.9.3), so that its own answer is seen."""
READ_BACK_S: Final = 8.0
"""What is in the transient store pool is read once it is committed: with what suites set, within 5.5 s."""
_GET_ALL_TOPIC_CONFIG = 21
_GET_ALL_GROUP_CONFIG = 201


class HubDialer:
    """Dials from the harness's place in the cluster's network."""

    def __init__(self, runtime: Runtime, timeout_s: float = 3.0) -> None:
        self._runtime = runtime
        self._timeout_s = timeout_s

    def dial(self, address: str) -> socket.socket:
        """A connected socket. Raises `OSError`."""
        host, port = split_address(address)
        return self._runtime.dial(HUB, host, port, self._timeout_s)


@dataclass(frozen=True, slots=True)
class ProbeWrite:
    """One message written to a master: its answer, and what was read back there by its id (None: nothing)."""

    node: str
    code: int | None
    text: str
    msg_id: str = ""
    stored: StoredMessage | None = None

    @property
    def ok(self) -> bool:
        """Acknowledged with SEND_OK and read back."""
        return self.code == ResponseCode.SUCCESS and self.stored is not None


class Looks:
    """Single looks, no waiting. `WireError` never leaves this class: what cannot be seen is None."""

    def __init__(self, admin: Admin, roster: Roster, probe: TopicSpec = PROBE_TOPIC) -> None:
        self._admin = admin
        self._roster = roster
        self._probe = probe.name

    def roles(self, nameserver: str) -> dict[str, dict[int, str]] | None:
        """Broker name -> broker id -> address, as this nameserver has it registered."""
        try:
            info = self._admin.cluster_info(self._roster.address(nameserver), timeout_s=LOOK_TIMEOUT_S)
        except WireError:
            return None
        return {name: dict(ids) for name, ids in info.brokers.items()}

    def registered(self, nameserver: str, node: str) -> bool | None:
        """Whether this nameserver has the node under its name, id and address; None if it does not answer.

        The id of a member changes with its role: there its name and address are all.
        """
        roles = self.roles(nameserver)
        if roles is None:
            return None
        spec = self._roster.spec(node)
        ids = roles.get(str(spec.broker_name), {})
        if spec.role is Role.MEMBER:
            return self._roster.address(node) in ids.values()
        return ids.get(int(spec.broker_id or 0)) == self._roster.registered_at(node)

    def leader(self, broker: str) -> str | None:
        """The member that some nameserver has for the master of its group and that says so itself; None if none is.

        One that was deposed and cannot be reached, or does not know it yet, is not it as soon as another one is: the
        nameservers then have that one. Asked of each nameserver until one has a leader that answers.
        """
        members = {self._roster.address(node.name): node.name for node in self._roster.topology.group(broker)}
        for nameserver in self._roster.nameservers():
            address = (self.roles(nameserver) or {}).get(broker, {}).get(MASTER_ID)
            node = members.get(address or "")
            if node is not None and (self.config(node) or {}).get("brokerId") == str(MASTER_ID):
                return node
        return None

    def unelected(self, broker: str) -> list[str]:
        """What keeps a group of members from having one master that all agree on, one line each."""
        group = [node.name for node in self._roster.topology.group(broker)]
        leader = self.leader(broker)
        if leader is None:
            return [f"{broker} has no master by its own word and a nameserver's"]
        wanted = self._roster.address(leader)
        lines = []
        for nameserver in self._roster.nameservers():
            ids = (self.roles(nameserver) or {}).get(broker, {})
            if ids.get(MASTER_ID) != wanted:
                lines.append(f"{nameserver} has {ids.get(MASTER_ID) or 'no master'} and not {leader} at {wanted}")
            lines += [f"{nameserver} has no {node}" for node in group if self._roster.address(node) not in ids.values()]
        return lines

    def routed(self, nameserver: str, topic: str) -> bool | None:
        """Whether this nameserver has a route for the topic; None if it does not answer."""
        queues = self.queues(nameserver, topic)
        return None if queues is None else bool(queues)

    def queues(self, nameserver: str, topic: str) -> dict[str, int] | None:
        """Broker name -> queues of the topic that may be written there, by this nameserver; None without an answer.

        A broker whose queues may not be written has 0; a topic without a route has no brokers.
        """
        try:
            route = self._admin.route(self._roster.address(nameserver), topic, timeout_s=LOOK_TIMEOUT_S)
        except WireError:
            return None
        return {} if route is None else {q.broker: q.write_queues if q.writable else 0 for q in route.queues}

    def permissions(self, nameserver: str, broker: str, topics: tuple[str, ...]) -> dict[str, int] | None:
        """Topic -> permission of that broker's queues in this nameserver's routes.

        A topic that is absent has no route there, by the nameserver's own word; None if it did not answer for each.
        """
        found: dict[str, int] = {}
        for topic in topics:
            try:
                route = self._admin.route(self._roster.address(nameserver), topic, timeout_s=LOOK_TIMEOUT_S)
            except WireError:
                return None
            queues = route.of(broker) if route is not None else None
            if queues is not None:
                found[topic] = queues.perm
        return found

    def topics(self, node: str) -> dict[str, Mapping[str, Any]] | None:
        """Every topic this replica knows, with its configuration."""
        return self._table(node, _GET_ALL_TOPIC_CONFIG, "topicConfigTable")

    def groups(self, node: str) -> dict[str, Mapping[str, Any]] | None:
        """Every consumer group this replica knows, with its configuration."""
        return self._table(node, _GET_ALL_GROUP_CONFIG, "subscriptionGroupTable")

    def _table(self, node: str, code: int, key: str) -> dict[str, Mapping[str, Any]] | None:
        try:
            answer = self._admin.call(self._roster.address(node), code, timeout_s=LOOK_TIMEOUT_S)
            table = fastjson.loads(answer.body).get(key) if answer.code == ResponseCode.SUCCESS else None
        except WireError:
            return None
        return table if isinstance(table, dict) else None

    def runtime_info(self, node: str) -> dict[str, str] | None:
        """The broker's own figures; 4.x has none in its first second."""
        try:
            return self._admin.runtime_info(self._roster.address(node), timeout_s=RUNTIME_INFO_TIMEOUT_S)
        except WireError:
            return None

    def dispatch_behind(self, node: str) -> int | None:
        """How many bytes of its log a broker has not yet put into its queues' index; None if it does not tell."""
        return _figure(self.runtime_info(node), "dispatchBehindBytes")

    def indexed(self, node: str, written: ProbeWrite) -> bool:
        """Whether a replica serves that very message from its queue: it is in the index, and not only in the log."""
        if written.stored is None:
            return False
        queue = QueueRef(self._roster.address(node), self._probe, 0)
        try:
            reply = self._admin.pull(queue, written.stored.queue_offset, timeout_s=LOOK_TIMEOUT_S)
        except WireError:
            return False
        return any(message.digest == written.stored.digest for message in reply.messages)

    def log_end(self, node: str) -> int | None:
        """One past the last byte of the replica's commit log, asked at the least cost; None if it does not tell.

        5.x tells its HA status at once and works on its runtime info for a third of a second of CPU (see `ha_status` of
        `Admin`); 4.x has no HA status, refuses to tell it, and has its runtime info in a millisecond or two.
        """
        try:
            return self._admin.ha_status(self._roster.address(node), timeout_s=LOOK_TIMEOUT_S).max_offset
        except (Refused, Malformed):
            return self.log_end_of_runtime(node)
        except WireError:
            return None

    def log_end_of_runtime(self, node: str) -> int | None:
        """The same from the runtime info, which every release has; dear on 5.x, and not told in 4.x's first second."""
        return _figure(self.runtime_info(node), "commitLogMaxOffset")

    def ha_status(self, node: str) -> HaStatus | None:
        """A 5.x master's view of its slaves; None from 4.x, which has none."""
        try:
            return self._admin.ha_status(self._roster.address(node), timeout_s=LOOK_TIMEOUT_S)
        except WireError:
            return None

    def config(self, node: str) -> dict[str, str] | None:
        """The configuration the broker runs with."""
        try:
            return self._admin.broker_config(self._roster.address(node), timeout_s=LOOK_TIMEOUT_S)
        except WireError:
            return None

    def probe_write(self, master: str) -> ProbeWrite:
        """Writes one message to the master's probe topic and reads it back by its id."""
        address = self._roster.address(master)
        try:
            reply = self._admin.send(address, (self._probe, 0), b"probe|", timeout_s=PROBE_TIMEOUT_S)
        except WireError as error:
            return ProbeWrite(master, None, f"was not answered: {error}")
        text = f"was answered {reply.code} {response_name(reply.code)} {reply.remark}".rstrip()
        if not reply.acknowledged:
            return ProbeWrite(master, reply.code, text)
        stored = self._read_back(master, reply.msg_id)
        if stored is None:
            return ProbeWrite(master, reply.code, f"was acknowledged and cannot be read back in {READ_BACK_S:.0f} s")
        return ProbeWrite(master, reply.code, text, reply.msg_id, stored)

    def _read_back(self, master: str, msg_id: str) -> StoredMessage | None:
        def look() -> StoredMessage | None:
            found = self._message(master, msg_id)
            return found if found is not None and found.topic == self._probe else None

        try:
            return wait_for(look, what="the write to be readable", timeout_s=READ_BACK_S)
        except WaitTimeout:
            return None

    def holds(self, node: str, written: ProbeWrite) -> bool:
        """Whether a replica has that very message, byte for byte, at the same place of its log."""
        found = self._message(node, written.msg_id)
        return found is not None and written.stored is not None and found.digest == written.stored.digest

    def _message(self, node: str, msg_id: str) -> StoredMessage | None:
        try:
            return self._admin.view_message(self._roster.address(node), msg_id, timeout_s=LOOK_TIMEOUT_S)
        except WireError:
            return None


def _figure(table: Mapping[str, str] | None, name: str) -> int | None:
    """A figure of a broker's own; None where it is not told, which is not zero."""
    try:
        return None if table is None else int(table[name])
    except (KeyError, ValueError):
        return None
