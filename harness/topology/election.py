"""What groups that elect their master are configured with: a DLedger group by itself, others by the controller.

The keys are those of conf/dledger and conf/controller of the release and of its docs/en/dledger/deploy_guide.md and
docs/en/controller/deploy.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.topology import layout
from harness.topology.model import NodeSpec, Role, Topology

PROXY_SINCE: Final = Version(5, 1, 0)
"""5.0 has a proxy that speaks gRPC alone: its route cannot be asked for as a nameserver's is."""
_SINCE: Final = MappingProxyType(
    {"controller": (Version(5, 0, 0), "controller"), "dledger": (Version(4, 8, 0), "DLedger commit log")}
)
"""What elects -> the first release that has it (4.5 began a DLedger with other keys)."""


def check_release(topology: Topology, version: Version) -> None:
    """Raises `UsageError` for a release that has no proxy, or cannot elect what the topology says: no coming up."""
    if topology.proxies and version < PROXY_SINCE:
        raise UsageError(
            f"{topology.name} has proxies, which RocketMQ has since {PROXY_SINCE}, and not {version}: "
            "take another topology, or a later release"
        )
    since, what = _SINCE.get(topology.election, (None, ""))
    if since is not None and version < since:
        raise UsageError(
            f"{topology.name} needs RocketMQ {since} or later, whose {what} elects its masters; "
            f"{version} has none: take another topology, or a later release"
        )


def in_broker(node: NodeSpec, topology: Topology, addresses: Mapping[str, str]) -> dict[str, str]:
    """The keys of a member; none for a master or slave."""
    if topology.election == "dledger":
        group = topology.group(str(node.broker_name))
        return {
            "enableDLegerCommitLog": "true",
            "dLegerGroup": str(node.broker_name),
            "dLegerPeers": _peers(group, addresses, layout.PEER_PORT),
            "dLegerSelfId": _self_id(node, group),
        }
    if topology.election == "controller":
        nameservers = topology.of_role(Role.NAMESERVER)
        return {
            "enableControllerMode": "true",
            "controllerAddr": ";".join(f"{addresses[n.name]}:{layout.CONTROLLER_PORT}" for n in nameservers),
            # Both as in the sample file: the controller gives out ids and roles.
            "brokerId": "-1",
            "brokerRole": "SLAVE",
        }
    return {}


def in_nameserver(node: NodeSpec, topology: Topology, addresses: Mapping[str, str]) -> dict[str, str]:
    """The keys of the controller in a nameserver: every nameserver has one, and they elect the one that acts."""
    nameservers = topology.of_role(Role.NAMESERVER)
    return {
        "enableControllerInNamesrv": "true",
        "controllerDLegerGroup": "controllers",
        "controllerDLegerPeers": _peers(nameservers, addresses, layout.CONTROLLER_PORT),
        "controllerDLegerSelfId": _self_id(node, nameservers),
        "controllerStorePath": f"{layout.home(node)}/controller",
        "mappedFileSize": str(16 << 20),
    }


def _self_id(node: NodeSpec, nodes: Sequence[NodeSpec]) -> str:
    """What one of a DLedger group is called in it: a letter and its place."""
    return f"n{nodes.index(node)}"


def _peers(nodes: Sequence[NodeSpec], addresses: Mapping[str, str], port: int) -> str:
    return ";".join(f"{_self_id(node, nodes)}-{addresses[node.name]}:{port}" for node in nodes)
