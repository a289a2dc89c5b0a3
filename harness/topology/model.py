"""What a cluster is declared to be: nameservers, masters, slaves, replication and flush."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Replication = Literal["none", "async", "sync"]
Flush = Literal["async", "sync"]
Election = Literal["none", "dledger", "controller"]

MOST_NAMESERVERS = 9
MOST_PROXIES = 9

BrokerName = str
NodeName = str


class Role(StrEnum):
    """What a node is in the cluster."""

    NAMESERVER = "nameserver"
    MASTER = "master"
    SLAVE = "slave"
    MEMBER = "member"
    """One of a group that elects which of them is the master."""
    PROXY = "proxy"
    """Stands between gRPC clients and the brokers, and stores nothing (5.x)."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One process of the cluster, as declared. Nameservers and proxies have no broker name and no broker id.

    The id of a member is its place in its group and not what it registers with: that changes with its role.
    """

    name: NodeName
    role: Role
    broker_name: BrokerName | None = None
    broker_id: int | None = None

    @property
    def is_broker(self) -> bool:
        """A master, a slave or a member of a group that elects."""
        return self.role not in (Role.NAMESERVER, Role.PROXY)


class Replica(BaseModel):
    """One copy of a broker's messages: the master (id 0), a slave (id above 0) or a member (ids from 0)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    role: Literal["master", "slave", "member"]
    id: int = Field(ge=0)

    @model_validator(mode="after")
    def _id_says_role(self) -> Self:
        if self.role != "member" and (self.id == 0) != (self.role == "master"):
            raise ValueError(f"a {self.role} has id {self.id}: a master has id 0, a slave an id above 0")
        return self

    @property
    def called(self) -> str:
        """What tells its node from the others of its name: the id, or of a member the place."""
        return f"n{self.id}" if self.role == "member" else str(self.id)


class BrokerGroup(BaseModel):
    """One broker name: a master and its slaves, or members that elect their master."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: BrokerName = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)
    replicas: tuple[Replica, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        if re.fullmatch(r"(namesrv|nameserver)(-.*)?", self.name):
            raise ValueError(f"a broker group is named {self.name}, as nameservers are: give it another name")
        if re.fullmatch(r"proxy(-.*)?", self.name):
            raise ValueError(f"a broker group is named {self.name}, as proxies are: give it another name")
        return self

    @model_validator(mode="after")
    def _one_master(self) -> Self:
        members = [replica for replica in self.replicas if replica.role == "member"]
        if members:
            return self._all_are_members(len(members))
        masters = [replica for replica in self.replicas if replica.role == "master"]
        if not masters:
            raise ValueError(f"{self.name} has slaves but no master: give it a replica {{role: master, id: 0}}")
        if len(masters) > 1:
            raise ValueError(
                f"{self.name} has {len(masters)} masters: a broker name has one, give the other its own name"
            )
        return self._ids_differ()

    def _ids_differ(self) -> Self:
        repeated = [id_ for id_, times in Counter(r.id for r in self.replicas).items() if times > 1]
        if repeated:
            raise ValueError(f"{self.name} has two replicas with id {repeated[0]}: ids within a broker name differ")
        return self

    def _all_are_members(self, members: int) -> Self:
        if members < len(self.replicas):
            raise ValueError(f"{self.name} has members and others: where a group elects, every replica is a member")
        if members < 3:
            raise ValueError(f"{self.name} has {members} members: a majority that outlives one of them needs three")
        return self._ids_differ()

    @property
    def elects(self) -> bool:
        """Which replica is the master is for the group to say."""
        return self.replicas[0].role == "member"

    @property
    def slaves(self) -> int:
        """How many slaves follow the master."""
        return len(self.replicas) - 1


class Topology(BaseModel):
    """A whole cluster as declared: what is started, and which guarantees it can be held to.

    `election` says what chooses the master of a group of members: the group itself (DLedger) or the controller, which
    runs in the nameservers. Both acknowledge what more than one replica has: their replication is sync. `proxies` in
    cluster mode stand beside the brokers, for clients that speak gRPC (5.x).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)
    description: str = Field(min_length=1)
    nameservers: int = Field(ge=1, le=MOST_NAMESERVERS)
    brokers: tuple[BrokerGroup, ...] = Field(min_length=1, strict=False)
    proxies: int = Field(default=0, ge=0, le=MOST_PROXIES)
    replication: Replication
    flush: Flush = "async"
    election: Election = "none"
    stock: bool = False
    base: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        repeated = [name for name, times in Counter(b.name for b in self.brokers).items() if times > 1]
        if repeated:
            raise ValueError(f"two masters are named {repeated[0]}: every broker group has its own name")
        without = [broker.name for broker in self.brokers if not broker.slaves]
        if self.replication != "none" and without:
            raise ValueError(
                f"replication is {self.replication} but {without[0]} has no slave: add one or say replication: none"
            )
        if self.replication == "none" and self.slaves:
            raise ValueError("replication is none but there are slaves: say async or sync")
        return self._election_has_members()._stock_names_its_base()

    def _election_has_members(self) -> Self:
        electing = [broker.name for broker in self.brokers if broker.elects]
        if self.election == "none" and electing:
            raise ValueError(f"{electing[0]} has members but nothing elects: say election: dledger or controller")
        if self.election == "none":
            return self
        if len(electing) < len(self.brokers):
            raise ValueError(
                f"election is {self.election}, so every replica is a member: write {{role: member, id: 0}}"
            )
        if self.replication != "sync":
            raise ValueError(f"election is {self.election}, so replication is sync, not {self.replication}")
        if self.stock:
            raise ValueError(f"election is {self.election} but stock is true: no stock folder is known for it")
        return self

    def _stock_names_its_base(self) -> Self:
        if self.stock and self.base is None:
            raise ValueError(
                "stock is true but base is missing: name the release's own conf folder, such as 2m-2s-sync"
            )
        if self.base is not None and not self.stock:
            raise ValueError(f"base is {self.base} but stock is not true: only stock topologies have a base")
        if self.stock and self.proxies:
            raise ValueError(f"stock is true but proxies is {self.proxies}: no file of the release's own says where")
        if self.stock and self.flush != "async":
            raise ValueError("stock is true but flush is sync: the release's own files say ASYNC_FLUSH")
        return self

    @property
    def masters(self) -> int:
        """How many masters there are."""
        return len(self.brokers)

    @property
    def slaves(self) -> int:
        """How many slaves there are in all."""
        return sum(broker.slaves for broker in self.brokers)

    @cached_property
    def nodes(self) -> tuple[NodeSpec, ...]:
        """Every process: nameservers first, then each broker group with its master first, then the proxies."""
        nameservers = tuple(NodeSpec(f"namesrv-{n}", Role.NAMESERVER) for n in range(1, self.nameservers + 1))
        proxies = tuple(NodeSpec(f"proxy-{n}", Role.PROXY) for n in range(1, self.proxies + 1))
        brokers = tuple(
            NodeSpec(f"{broker.name}-{replica.called}", Role(replica.role), broker.name, replica.id)
            for broker in self.brokers
            for replica in sorted(broker.replicas, key=lambda replica: replica.id)
        )
        return nameservers + brokers + proxies

    def node(self, name: NodeName) -> NodeSpec:
        """The node of that name. Raises `KeyError` naming those there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name} in {self.name}: it has {', '.join(n.name for n in self.nodes)}")

    def of_role(self, *roles: Role) -> tuple[NodeSpec, ...]:
        """Every node with one of these roles."""
        return tuple(node for node in self.nodes if node.role in roles)

    def group(self, broker_name: BrokerName) -> tuple[NodeSpec, ...]:
        """The master and then the slaves of one broker name; empty when there is no such name."""
        return tuple(node for node in self.nodes if node.broker_name == broker_name)

    @cached_property
    def shapes(self) -> frozenset[str]:
        """The names it answers to where a guarantee says which topologies make it, taken from its nodes alone.

        `2m-2s-sync`, `2m-noslave`, `1m`; with several slaves for each master also the shape with one, for what
        2m-2s-sync promises, 2m-4s-sync does too. A group that elects is `dledger-3` or `controller-1m-2s`. Proxies
        take nothing from a shape: what brokers promise they promise also where some stand before them. What a file
        calls itself promises nothing.
        """
        if self.election != "none":
            return frozenset({self._electing_shape()})
        if not self.slaves:
            return frozenset({"1m" if self.masters == 1 else f"{self.masters}m-noslave"})
        return frozenset(f"{self.masters}m-{count}s-{self.replication}" for count in {self.slaves, self.masters})

    @property
    def elects(self) -> bool:
        """Its masters are elected and change."""
        return self.election != "none"

    @property
    def replicates_itself(self) -> bool:
        """Its replicas follow each other by DLedger and not over the HA link."""
        return self.election == "dledger"

    def _electing_shape(self) -> str:
        if self.election == "dledger":
            return f"dledger-{self.masters + self.slaves}"
        return f"controller-{self.masters}m-{self.slaves}s"
