"""A cluster that somebody else runs, as it was found: its shape, its release, where its nodes are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from harness.core.version import Version
from harness.topology.model import NodeName, Topology


@dataclass(frozen=True)
class Found:
    """What the nameservers and the brokers said of themselves. `places` maps every node to its `host:port`.

    `closed` are slaves that refuse reads (5.x without slaveReadEnable), each with the reason: nobody but the owner may
    change that. `otherwise` maps what suites take for granted, by its word in `REACH`, to how its owner has it.
    """

    topology: Topology
    version: Version
    places: Mapping[NodeName, str]
    closed: Mapping[NodeName, str] = field(default_factory=lambda: MappingProxyType({}))
    otherwise: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    waits_for_nobody: bool = False
    """Its masters are SYNC_MASTERs in name: as shipped those of 5.x acknowledge what no slave has."""

    def nameless(self, text: str) -> str:
        """The text with nodes in place of their addresses, and no host: for what is shown on pages."""
        for node, place in sorted(self.places.items(), key=lambda each: -len(each[1])):
            text = _word(place).sub(node, text)
        for host in sorted({place.rpartition(":")[0] for place in self.places.values()}, key=len, reverse=True):
            text = _word(host).sub("(host)", text)
        return text


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)")
