"""NodeSpec -> the configuration file it is started with, per release, and every way it differs from the defaults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.topology import election, keys, layout, stock
from harness.topology.model import NodeSpec, Role, Topology
from harness.topology.tuning import Setting, bring_up, documented_promise, roomy, shortened_timers, small_files

Timers = Literal["documented", "fast"]

ASKED_FOR = "asked for by the caller"
CLUSTER_NAME = "DefaultCluster"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One key that is not what the product, or the release's own file, says."""

    key: str
    ours: str
    default: str
    why: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A node's configuration file.

    `deviations` are the keys whose value differs from the product's default and that change how it behaves.
    `differences` are, for a stock topology, all keys that the release's own file does not have, or has otherwise:
    addresses, ports and paths, and what the caller asked for. `warnings` are for people, one line each.
    """

    path: str
    conf: Mapping[str, str]
    deviations: tuple[Deviation, ...] = ()
    differences: tuple[Deviation, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The file: one `key=value` a line, in the order of `conf`; of a proxy an object of JSON."""
        if self.path.endswith(".json"):
            return json.dumps(dict(self.conf), indent=2) + "\n"
        return "".join(f"{key}={value}\n" for key, value in self.conf.items())


@dataclass(slots=True)
class _Draft:
    """Collects settings; the last word on a key wins, also among deviations."""

    server: keys.Server
    version: Version
    conf: dict[str, str] = field(default_factory=dict)
    deviations: dict[str, Deviation] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def declare(self, settings: Mapping[str, str]) -> None:
        self.conf.update(settings)

    def deviate(self, settings: Iterable[Setting]) -> None:
        for setting in settings:
            if not keys.knows(self.server, setting.key, self.version):
                continue
            self.conf[setting.key] = setting.value
            self.deviations[setting.key] = Deviation(setting.key, setting.value, setting.default, setting.why)

    def override(self, overrides: Mapping[str, str]) -> None:
        for asked, value in overrides.items():
            key = keys.spelled(self.server, asked, self.version)
            before = self.conf.pop(key, None)
            earlier = self.deviations.pop(key, None)
            default = earlier.default if earlier else before if before is not None else "not set"
            if value:
                self.conf[key] = value
            if value and value != default:
                self.deviations[key] = Deviation(key, value, default, ASKED_FOR)
            if not keys.knows(self.server, key, self.version):
                self.warnings.append(
                    f"{key}={value}: RocketMQ {self.version} does not know the key {key} and will ignore it"
                )


def render_broker(
    node: NodeSpec,
    topology: Topology,
    version: Version,
    addresses: Mapping[str, str],
    timers: Timers = "fast",
    overrides: Mapping[str, str] | None = None,
    advertised: Iterable[Setting] = (),
) -> Rendered:
    """The broker.conf of one master, slave or member. `addresses` maps every node's name to its IP.

    `advertised` are other addresses for keys that the file has (see `links`). `overrides` have the last word; an empty
    value takes the key out, so that the product's default is in force.
    Raises `UsageError` when the release's own files are asked for and there are none for this node.
    """
    draft = _Draft("broker", version)
    place = _place(node, topology, addresses)
    shipped: Mapping[str, str] = {}
    if topology.stock:
        release = stock.load(topology.base or "")
        shipped = release.of(node)
        draft.declare({**shipped, **place})
        draft.warnings.extend(release.doubts(version))
    else:
        draft.declare({**_identity(node, topology), **place, **election.in_broker(node, topology, addresses)})
        draft.deviate(documented_promise(node, topology, version))
        draft.deviate(small_files())
        draft.deviate(roomy())
        draft.deviate(bring_up(node, topology, version, addresses))
        if timers == "fast":
            draft.deviate(shortened_timers(version))
    draft.deviate(setting for setting in advertised if setting.key in draft.conf)
    draft.override({**_varied(shipped, _identity(node, topology)), **(overrides or {})})
    differences = _differences(shipped, draft) if topology.stock else ()
    return _finish(node, draft, differences)


def render_nameserver(
    node: NodeSpec,
    topology: Topology,
    version: Version,
    addresses: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
) -> Rendered:
    """The namesrv.conf of one nameserver: its port, the controller in it if there is one, what the caller asks for."""
    draft = _Draft("namesrv", version)
    draft.declare({"listenPort": str(layout.NAMESERVER_PORT)})
    if topology.election == "controller":
        draft.declare(election.in_nameserver(node, topology, addresses))
    draft.override(overrides or {})
    return _finish(node, draft, ())


def render_proxy(node: NodeSpec, topology: Topology, addresses: Mapping[str, str]) -> Rendered:
    """The rmq-proxy.json of one proxy in cluster mode: where it and the nameservers are, and nothing else."""
    conf = {
        "proxyMode": "CLUSTER",
        "rocketMQClusterName": CLUSTER_NAME,
        "namesrvAddr": nameserver_list(topology, addresses),
        # Of several on one machine each must be somebody: by default they are called what the machine is called.
        "proxyName": node.name,
        "localServeAddr": addresses[node.name],
        "grpcServerPort": str(layout.PROXY_PORT),
        "remotingListenPort": str(layout.PROXY_REMOTING_PORT),
    }
    return Rendered(layout.conf_path(node), conf)


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """Reads `K=V` options, the last word on a key winning. Raises `UsageError` for anything else."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip().isidentifier() or "\n" in value:
            raise UsageError(f"configuration {pair!r} is not KEY=VALUE: write it like slaveReadEnable=true")
        overrides[key.strip()] = value.strip()
    return overrides


def nameserver_list(topology: Topology, addresses: Mapping[str, str]) -> str:
    """What `namesrvAddr` of brokers and clients says: every nameserver, in order."""
    nameservers = topology.of_role(Role.NAMESERVER)
    return ";".join(f"{addresses[node.name]}:{layout.NAMESERVER_PORT}" for node in nameservers)


def _identity(node: NodeSpec, topology: Topology) -> dict[str, str]:
    shared = {
        "brokerClusterName": CLUSTER_NAME,
        "brokerName": str(node.broker_name),
        "flushDiskType": "SYNC_FLUSH" if topology.flush == "sync" else "ASYNC_FLUSH",
    }
    if node.role is Role.MEMBER:  # its id and role are what was elected
        return shared
    master = "SYNC_MASTER" if topology.replication == "sync" else "ASYNC_MASTER"
    return shared | {
        "brokerId": str(node.broker_id),
        "brokerRole": "SLAVE" if node.role is Role.SLAVE else master,
    }


def _varied(shipped: Mapping[str, str], identity: Mapping[str, str]) -> dict[str, str]:
    """What a stock cluster that a control varied says of itself otherwise than the release's own file."""
    return {
        key: identity[key]
        for key in ("brokerRole", "flushDiskType")
        if key in identity and shipped.get(key, identity[key]) != identity[key]
    }


def _place(node: NodeSpec, topology: Topology, addresses: Mapping[str, str]) -> dict[str, str]:
    own = addresses[node.name]
    store = layout.store_path(node)
    return {
        "namesrvAddr": nameserver_list(topology, addresses),
        "listenPort": str(layout.BROKER_PORT),
        "brokerIP1": own,
        "brokerIP2": own,
        "storePathRootDir": store,
        "storePathCommitLog": f"{store}/commitlog",  # 4.8 and older do not derive it from the root
    }


def _differences(shipped: Mapping[str, str], draft: _Draft) -> tuple[Deviation, ...]:
    place = "where this node is: address, port or path"
    return tuple(
        Deviation(key, value, shipped.get(key, "not set"), ASKED_FOR if key in draft.deviations else place)
        for key, value in draft.conf.items()
        if shipped.get(key) != value
    ) + tuple(Deviation(key, "not set", shipped[key], ASKED_FOR) for key in shipped if key not in draft.conf)


def _finish(node: NodeSpec, draft: _Draft, differences: tuple[Deviation, ...]) -> Rendered:
    return Rendered(
        path=layout.conf_path(node),
        conf=draft.conf,
        deviations=tuple(draft.deviations.values()),
        differences=differences,
        warnings=tuple(draft.warnings),
    )
