"""Names and addresses of a cluster's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.core.errors import UsageError
from harness.topology import NodeSpec, Role, Topology, layout
from harness.topology.links import LinkKind, seen_at

BROKER_PORT: Final = layout.BROKER_PORT
HA_PORT: Final = layout.HA_PORT
VIP_PORT: Final = layout.VIP_PORT
NAMESERVER_PORT: Final = layout.NAMESERVER_PORT


class Roster:
    """Who is in the cluster and where. Names are those of the topology; addresses are the runtime's.

    Where masters are elected, who is one is asked for anew each time: what `master`, `slaves` and the like name is
    the group's own word of that instant, and the first member where it has none. Of a broker name that is `absent`,
    for it joins later, nothing is listed.
    """

    def __init__(
        self,
        topology: Topology,
        addresses: Mapping[str, str],
        absent: Iterable[str] = (),
        places: Mapping[str, str] | None = None,
        links: Iterable[LinkKind] = (),
    ) -> None:
        """`places` tells the `host:port` of nodes that do not listen where those of the harness do.

        Before nodes stand the `links` of these kinds; the addresses are then theirs as well.
        """
        self.topology = topology
        self._addresses = addresses
        self._places = places or {}
        self._absent = set(absent)
        self._links = frozenset(links)

    def leader(self, broker: str) -> str | None:
        """The member that its group now has for its master; None where it has none, or none can be seen."""
        del broker
        return None

    def spec(self, node: str) -> NodeSpec:
        """The declared node. Raises `UsageError` for a name the topology does not have."""
        try:
            return self.topology.node(node)
        except KeyError as error:
            raise UsageError(str(error.args[0])) from None

    def ip(self, node: str) -> str:
        """The node's IPv4 address. Raises `UsageError` before it has one."""
        if node not in self._addresses:
            raise UsageError(f"{self.spec(node).name} has no address yet: start the cluster first")
        return self._addresses[node]

    def address(self, node: str) -> str:
        """`ip:port` of the node's service port."""
        return f"{self.ip(node)}:{self.port(node)}"

    def registered_at(self, node: str) -> str:
        """`ip:port` under which nameservers have a broker and clients find it: of its link, if there is one."""
        if not self._links or not self.spec(node).is_broker:
            return self.address(node)
        return f"{seen_at('clients', node, self.topology, self._links, self._addresses)}:{self.port(node)}"

    def port(self, node: str) -> int:
        """The node's service port."""
        place = self._places.get(node)
        return layout.port(self.spec(node)) if place is None else int(place.rpartition(":")[2])

    def ha_address(self, node: str) -> str:
        """`ip:port` where slaves fetch the commit log."""
        return f"{self.ip(node)}:{HA_PORT}"

    def nameservers(self) -> tuple[str, ...]:
        """Names of the nameservers, in order."""
        return tuple(node.name for node in self.topology.of_role(Role.NAMESERVER))

    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies, in order."""
        return tuple(node.name for node in self.topology.of_role(Role.PROXY))

    def nodes(self) -> tuple[str, ...]:
        """Names of all there is: nameservers, brokers, proxies."""
        return (*self.nameservers(), *self.brokers(), *self.proxies())

    def brokers(self) -> tuple[str, ...]:
        """Names of all masters, slaves and members, in the order of the topology."""
        return tuple(n.name for n in self.topology.nodes if n.is_broker and n.broker_name not in self._absent)

    def masters(self) -> tuple[str, ...]:
        """Names of the masters, in the order of the topology."""
        return tuple(self.master(broker) for broker in self.broker_names())

    def slaves(self, broker: str | None = None) -> tuple[str, ...]:
        """Names of the slaves of one broker name (none of one there is not), or of all."""
        wanted = [name for name in self.broker_names() if broker in (None, name)]
        return tuple(node for name in wanted for node in self.replicas(name)[1:])

    def broker_names(self) -> tuple[str, ...]:
        """The broker names (not node names), in order."""
        return tuple(group.name for group in self.topology.brokers if group.name not in self._absent)

    def broker_name(self, node: str) -> str:
        """The broker name a master or slave belongs to. Raises `UsageError` for a nameserver."""
        name = self.spec(node).broker_name
        if name is None:
            raise UsageError(f"{node} is a {self.spec(node).role} and has no broker name: name a master or a slave")
        return name

    def master(self, broker: str) -> str:
        """Node name of a broker name's master. Raises `UsageError`."""
        return self.replicas(broker)[0]

    def replicas(self, broker: str) -> tuple[str, ...]:
        """The master and then the slaves of a broker name. Raises `UsageError`."""
        group = self.topology.group(broker)
        if not group:
            raise UsageError(f"no broker is named {broker!r}: there are {', '.join(self.broker_names())}")
        names = tuple(node.name for node in group)
        leader = self.leader(broker) if self.topology.elects else None
        return names if leader is None else (leader, *(name for name in names if name != leader))

    def nameserver_list(self) -> str:
        """What clients and brokers are told: every nameserver, `ip:port;ip:port`."""
        return ";".join(self.address(node) for node in self.nameservers())

    def proxy_list(self) -> str:
        """What gRPC clients are told: every proxy, `ip:port;ip:port`; empty where there is none."""
        return ";".join(self.address(node) for node in self.proxies())
