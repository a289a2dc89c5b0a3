"""What a fast bring-up changed for its own sake, and what of it can be put back on a running broker."""

from __future__ import annotations

from typing import Final

from harness.cluster.looks import Looks
from harness.cluster.observed import Unrestored
from harness.cluster.provision import Provision
from harness.cluster.roster import Roster
from harness.core.errors import WireError
from harness.topology.render import ASKED_FOR, Deviation
from harness.topology.tuning import bring_up
from harness.wire.sync import Admin

RESTORABLE: Final = frozenset({"haSendHeartbeatInterval"})
"""Keys that a running broker reads anew each time. The others are read once, or cost a core when put back."""


class Restoring:
    """Puts accelerated keys back and remembers which are still in force."""

    def __init__(self, admin: Admin, roster: Roster, provision: Provision, looks: Looks) -> None:
        self._admin = admin
        self._roster = roster
        self._provision = provision
        self._looks = looks

    def restore(self) -> tuple[tuple[tuple[str, str, str], ...], tuple[Unrestored, ...]]:
        """(node, key, value) of each that was put back and read back, and those that were not."""
        done: list[tuple[str, str, str]] = []
        left: list[Unrestored] = []
        for node in self._roster.brokers():
            for deviation in self._hastened(node):
                if deviation.key in RESTORABLE and self._put_back(node, deviation):
                    done.append((node, deviation.key, deviation.default))
                else:
                    left.append(Unrestored(node, deviation.key, deviation.ours, deviation.default, deviation.why))
        return tuple(done), tuple(left)

    def _hastened(self, node: str) -> list[Deviation]:
        outfit = self._provision.outfits[node]
        addresses = {name: self._roster.ip(name) for name in self._roster.brokers()}
        spec = self._roster.spec(node)
        keys = {s.key for s in bring_up(spec, self._roster.topology, outfit.version, addresses)}
        return [d for d in outfit.rendered.deviations if d.key in keys and d.why != ASKED_FOR]

    def _put_back(self, node: str, deviation: Deviation) -> bool:
        wanted = {deviation.key: deviation.default}
        try:
            self._admin.update_broker_config(self._roster.address(node), wanted)
        except WireError:
            return False
        return (self._looks.config(node) or {}).get(deviation.key) == deviation.default
