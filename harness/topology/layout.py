"""Where things are inside a node, and on which ports it listens: the same in every node and every run."""

from __future__ import annotations

from harness.core.version import Version
from harness.topology.model import NodeSpec, Role

BROKER_PORT = 10911
"""Clients and other brokers (`listenPort`)."""
VIP_PORT = BROKER_PORT - 2
"""The second port for clients: 4.4's producers prefer it."""
HA_PORT = BROKER_PORT + 1
"""Where a master is asked for its commit log. 4.x takes it from listenPort whatever the file says."""
NAMESERVER_PORT = 9876
PEER_PORT = 40911
"""Where the members of a DLedger group talk to each other."""
PROXY_PORT = 8081
"""Where a proxy takes gRPC."""
PROXY_REMOTING_PORT = 8080
"""Where a proxy takes the remoting protocol."""
CONTROLLER_PORT = 9878
"""Where brokers, and other controllers, find the controller that runs in a nameserver."""


def home(node: NodeSpec) -> str:
    """`rocketmq.home.dir` and `user.home` of the node: everything it writes is under it."""
    return f"/rmq/{node.name}"


def conf_path(node: NodeSpec) -> str:
    """The file that the node is started with."""
    file_name = {Role.NAMESERVER: "namesrv.conf", Role.PROXY: "rmq-proxy.json"}.get(node.role, "broker.conf")
    return f"{home(node)}/conf/{file_name}"


def store_path(node: NodeSpec) -> str:
    """`storePathRootDir` of a broker."""
    return f"{home(node)}/store"


def logs_path(node: NodeSpec) -> str:
    """The directory of broker.log and its like."""
    return f"{home(node)}/logs/rocketmqlogs"


def port(node: NodeSpec) -> int:
    """The port that clients use."""
    return {Role.NAMESERVER: NAMESERVER_PORT, Role.PROXY: PROXY_PORT}.get(node.role, BROKER_PORT)


def main_class(role: Role, version: Version) -> str:
    """The class to start a node with."""
    names = {Role.NAMESERVER: "namesrv.NamesrvStartup", Role.PROXY: "proxy.ProxyStartup"}
    return f"{_package(version)}.{names.get(role, 'broker.BrokerStartup')}"


def mqadmin_class(version: Version) -> str:
    """The class of the release's own `mqadmin`."""
    return f"{_package(version)}.tools.command.MQAdminStartup"


def _package(version: Version) -> str:
    """Releases before 4.0 are not yet Apache's."""
    return f"{'com.alibaba' if version.major < 4 else 'org.apache'}.rocketmq"
