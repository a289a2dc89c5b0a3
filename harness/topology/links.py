"""Links: places of their own before a node, through which others reach it, so that the way alone can be hurt.

A link has an address in the cluster's network and listens on the ports of the node behind it. That address is what
the node advertises: whoever asks a nameserver, or is told where one is, goes through the link and does not know it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal, get_args

from harness.topology import layout
from harness.topology.model import NodeSpec, Role, Topology
from harness.topology.tuning import Setting

LinkKind = Literal["clients", "ha", "nameservers"]
"""`clients`: to a broker, from clients and other brokers; `ha`: to a master, from its slaves; `nameservers`: to a
nameserver, from the brokers alone."""

KINDS: Final[tuple[LinkKind, ...]] = get_args(LinkKind)
PORTS: Final[Mapping[LinkKind, tuple[int, ...]]] = {
    "clients": (layout.BROKER_PORT, layout.VIP_PORT),
    "ha": (layout.HA_PORT,),
    "nameservers": (layout.NAMESERVER_PORT,),
}
"""On which ports a link of that kind listens; the first is where it is looked at."""
_WHY: Final = "a link stands before it, through which it is reached"


def link_node(node: str) -> str:
    """How the place before a node is called; several kinds of link to one node share it."""
    return f"link-{node}"


def behind(kind: LinkKind, topology: Topology) -> tuple[str, ...]:
    """The nodes before which a link of that kind stands, in the order of the topology.

    Of the kind `ha` only masters that have a slave; where masters are elected there are none of brokers at all, for
    nobody is a master for long.
    """
    if kind == "nameservers":
        return tuple(node.name for node in topology.of_role(Role.NAMESERVER))
    if topology.elects:
        return ()
    if kind == "ha":
        masters = (node for node in topology.of_role(Role.MASTER) if len(topology.group(str(node.broker_name))) > 1)
        return tuple(node.name for node in masters)
    return tuple(node.name for node in topology.nodes if node.is_broker)


def places(kinds: Collection[LinkKind], topology: Topology) -> tuple[str, ...]:
    """The nodes that have a link of any of these kinds before them, each once."""
    return tuple(dict.fromkeys(node for kind in KINDS if kind in kinds for node in behind(kind, topology)))


def seen_at(
    kind: LinkKind, node: str, topology: Topology, kinds: Collection[LinkKind], addresses: Mapping[str, str]
) -> str:
    """The IP at which others find the node for that purpose: its link's if there is one, else its own."""
    return addresses[link_node(node) if kind in kinds and node in behind(kind, topology) else node]


def advertised(
    node: NodeSpec, topology: Topology, kinds: Collection[LinkKind], addresses: Mapping[str, str]
) -> tuple[Setting, ...]:
    """What a broker's file says otherwise because of links: where it is, and where nameservers and its master are."""
    if not kinds or not node.is_broker:
        return ()
    own = addresses[node.name]
    told = [
        ("brokerIP1", seen_at("clients", node.name, topology, kinds, addresses), own),
        ("brokerIP2", seen_at("ha", node.name, topology, kinds, addresses), own),
    ]
    nameservers = [spec.name for spec in topology.of_role(Role.NAMESERVER)]
    ways = ((seen_at("nameservers", name, topology, kinds, addresses), addresses[name]) for name in nameservers)
    through, direct = (";".join(f"{ip}:{layout.NAMESERVER_PORT}" for ip in ips) for ips in zip(*ways, strict=True))
    told.append(("namesrvAddr", through, direct))
    if node.role is Role.SLAVE:
        master = topology.group(str(node.broker_name))[0].name
        link = seen_at("ha", master, topology, kinds, addresses)
        told.append(("haMasterAddress", f"{link}:{layout.HA_PORT}", f"{addresses[master]}:{layout.HA_PORT}"))
    return tuple(Setting(key, ours, default, _WHY) for key, ours, default in told if ours != default)
