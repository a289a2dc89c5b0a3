"""What a run was asked to be: read once, from options, environment, topology file and defaults, in that order."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from harness.core.errors import UsageError
from harness.topology.found import Found
from harness.topology.model import Topology

RUNTIMES = ("local", "docker", "existing")
RUNTIMES_OF_OURS = ("local", "docker")
"""Those whose nodes the harness starts itself."""
CLIENTS = ("java", "remoting", "cpp", "grpc")
ALL_CLIENTS = "all"
_AT = "@"
TIMERS = ("fast", "documented")
FLUSHES = ("async", "sync")
ENV_PREFIX = "RMQ_HARNESS_"
_OF_THE_TOPOLOGY = "write a topology of your own (copy one of topologies/ and give --topology its path)"
_OF_THE_HARNESS = "each node gets a place of its own, which the harness gives it"
OWNED: Mapping[str, str] = MappingProxyType(
    {
        "flushDiskType": "use --flush sync or --flush async",
        **dict.fromkeys(("brokerRole", "brokerId", "brokerName", "brokerClusterName"), _OF_THE_TOPOLOGY),
        **dict.fromkeys(("enableDLegerCommitLog", "enableControllerMode"), _OF_THE_TOPOLOGY),
        **dict.fromkeys(("dLegerGroup", "dLegerPeers", "dLegerSelfId", "controllerAddr"), _OF_THE_HARNESS),
        **dict.fromkeys(("enableControllerInNamesrv", "controllerDLegerPeers"), _OF_THE_HARNESS),
        **dict.fromkeys(("namesrvAddr", "listenPort", "haListenPort", "brokerIP1", "brokerIP2"), _OF_THE_HARNESS),
        **dict.fromkeys(("storePathRootDir", "storePathCommitLog", "rocketmqHome"), _OF_THE_HARNESS),
    }
)
"""Keys that say what cluster it is, or where its nodes are: promises would be held against another one than it is."""
_EXAMPLE = {"broker-conf": "sendMessageThreadPoolNums=4", "namesrv-conf": "clusterTest=true"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run depends on besides the code. Stored in `run.json`.

    `jvm_opts` maps a role (`broker`, `namesrv`) to options; `seed` is the root of every random choice.
    """

    topology: Topology
    rocketmq: str = "5.3.3"
    java: str = "25"
    client: str = "java"
    runtime: Literal["local", "docker", "existing"] = "local"
    timers: Literal["fast", "documented"] = "fast"
    broker_conf: Mapping[str, str] = field(default_factory=dict)
    namesrv_conf: Mapping[str, str] = field(default_factory=dict)
    jvm_opts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seed: int = 0
    reports: Path = Path("reports")
    cache: Path = Path("cache")
    state: Path = Path("state")
    guarantees: tuple[str, ...] = ()
    allow_missing: frozenset[str] = frozenset()
    strict: bool = False
    keep: bool = False
    fresh_clusters: bool = False
    repeat: int = 1
    """How often every suite function is run."""
    upgrade_to: str | None = None
    """The release that nodes are moved to, from `rocketmq`; None where none is."""
    found: Found | None = None
    """With the runtime `existing`: the cluster that is there."""
    one_of_several: bool = False
    """The run has other clients as well: what this one's suites came to is filed apart."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """With --client all: the clients that cannot be had here, or for this cluster, and why."""
    hooks: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its owner's commands by name. They may hold secrets: nothing but the names is stored or shown."""

    @property
    def place(self) -> str:
        """What outcomes and scenarios are filed by: the topology, and where there are several clients the client."""
        if not self.one_of_several:
            return self.topology.name
        return f"{self.topology.name}{_AT}{self.client.replace(':', '-')}"

    @property
    def release_name(self) -> str:
        """`rocketmq` as reports name it: of a path, only the last part."""
        return _nameless(self.rocketmq)

    @property
    def upgrade_name(self) -> str | None:
        """`upgrade_to` as reports name it."""
        return None if self.upgrade_to is None else _nameless(self.upgrade_to)

    @property
    def java_name(self) -> str:
        """`java` as reports name it: of a path, only the last part."""
        return _nameless(self.java)


def topology_of(place: str) -> str:
    """The topology's name in a `Settings.place`."""
    return place.partition(_AT)[0]


def _nameless(spec: str) -> str:
    kind, colon, place = spec.partition(":")
    return f"path:{Path(place).name}" if colon and kind == "path" else spec


def environment_default(option: str, fallback: str | None = None) -> str | None:
    """The environment twin of an option (`--broker-conf` -> RMQ_HARNESS_BROKER_CONF), or the fallback."""
    return os.environ.get(environment_name(option), fallback)


def environment_name(option: str) -> str:
    """The variable that stands for an option."""
    return ENV_PREFIX + option.upper().replace("-", "_")


def key_values(option: str, items: list[str]) -> dict[str, str]:
    """Reads `K=V` items; the last word on a key wins. Raises UsageError for one that is none or of a key in `OWNED`."""
    pairs: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--{option} {item!r} is not K=V; write for example --{option} {_EXAMPLE[option]}")
        if (remedy := OWNED.get(key.strip())) is not None:
            raise UsageError(f"--{option} {item!r}: that follows from the topology; {remedy}")
        pairs[key.strip()] = value
    return pairs


def jvm_options(items: list[str]) -> dict[str, tuple[str, ...]]:
    """Reads `OPT`, `broker:OPT` or `namesrv:OPT`; an option without a role goes to both roles."""
    by_role: dict[str, list[str]] = {"broker": [], "namesrv": []}
    for item in items:
        role, colon, rest = item.partition(":")
        if colon and role in by_role:
            targets, option = [role], rest
        else:
            targets, option = list(by_role), item
        if not option.startswith("-"):
            raise UsageError(f"--jvm-opt {item!r}: a JVM option begins with '-'; write OPT, broker:OPT or namesrv:OPT")
        for target in targets:
            by_role[target].append(option)
    return {role: tuple(options) for role, options in by_role.items()}


def choice(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value if it is one of `allowed`. Raises UsageError otherwise."""
    if value not in allowed:
        raise UsageError(f"--{option} {value!r} is not supported; choose one of {', '.join(allowed)}")
    return value


def seed_of(text: str | None) -> int:
    """The seed as a number, or a fresh one. Raises UsageError for anything that is no whole number."""
    if text is None:
        return random.SystemRandom().randrange(2**31)
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--seed {text!r} is not a whole number") from None
