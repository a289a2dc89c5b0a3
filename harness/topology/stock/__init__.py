"""What the release's own configuration files say, restated as data with the release tags they were read at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.topology.model import NodeSpec

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class StockConf:
    """The files of one folder under the release's conf/."""

    conf: str
    first_tag: str
    last_tag: str
    by_role: dict[str, dict[str, str]]

    def of(self, node: NodeSpec) -> dict[str, str]:
        """What the file for this master or slave says. Raises `UsageError` when the folder has none."""
        if node.role not in self.by_role:
            raise UsageError(
                f"conf/{self.conf} of the releases has no file for a {node.role}: {node.name} cannot be stock"
            )
        identity = {"brokerName": str(node.broker_name), "brokerId": str(node.broker_id)}
        shipped = self.by_role[node.role]
        return {"brokerClusterName": shipped["brokerClusterName"], **identity, **shipped}

    def doubts(self, version: Version) -> tuple[str, ...]:
        """One line when this release is outside the tags that were read."""
        first, last = (Version.parse(tag.removeprefix("rocketmq-all-")) for tag in (self.first_tag, self.last_tag))
        if first <= version <= last:
            return ()
        return (f"conf/{self.conf} was read at {first} to {last}: what {version} ships may differ",)


@cache
def load(conf: str) -> StockConf:
    """The restated files of conf/`conf`. Raises `UsageError` naming the folders that are known."""
    path = _HERE / f"{conf}.yaml"
    known = sorted(found.stem for found in _HERE.glob("*.yaml"))
    if conf not in known:
        raise UsageError(f"base {conf!r} is no conf folder of a release: known are {', '.join(known)}")
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    by_role: dict[str, dict[str, str]] = {
        role: dict(document[role]) for role in ("master", "slave") if role in document
    }
    return StockConf(document["conf"], document["first_tag"], document["last_tag"], by_role)
