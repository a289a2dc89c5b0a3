"""What is known of each kind of fault: whether it ends processes, and whether it is over once it was seen."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Traits:
    """`ends_process`: what was hit is started again, or is gone; the log of a broker may go on at an older place.

    `goes_on`: it is not over once it was seen; a send that is begun while it is in force meets it just as well.
    """

    ends_process: bool
    goes_on: bool = False


KINDS: Final = MappingProxyType(
    {
        "kill": Traits(ends_process=True),
        "stop": Traits(ends_process=True),
        "cut-power": Traits(ends_process=True),
        "destroy-store": Traits(ends_process=True),
        "lose-files": Traits(ends_process=True),
        "flip-byte": Traits(ends_process=True),
        "misconfigure": Traits(ends_process=True),
        "change-release": Traits(ends_process=True),
        "fail-disk": Traits(ends_process=True, goes_on=True),
        "pause": Traits(ends_process=False, goes_on=True),
        "partition": Traits(ends_process=False, goes_on=True),
        "fill-disk": Traits(ends_process=False, goes_on=True),
        "slow-disk": Traits(ends_process=False, goes_on=True),
        "latency": Traits(ends_process=False, goes_on=True),
        "slow-link": Traits(ends_process=False, goes_on=True),
        "half-open": Traits(ends_process=False, goes_on=True),
        "reset": Traits(ends_process=False, goes_on=True),
        "slow-close": Traits(ends_process=False, goes_on=True),
        "limit-data": Traits(ends_process=False, goes_on=True),
        "wipe-write-permission": Traits(ends_process=False),
    }
)
"""Every kind there is. One that a stored history names and that is not here is taken for one that ends processes."""

_UNKNOWN: Final = Traits(ends_process=True)


def traits(kind: str) -> Traits:
    """Of a kind of fault, by its name."""
    return KINDS.get(kind, _UNKNOWN)
