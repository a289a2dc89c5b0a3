"""What an owner has configured so that a row would fail by his choice, and not by the product's doing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from harness.runtime.base import NODE_KILL, SHIPPED_CHECKS, SHIPPED_DELAYS

SHIPPED_LEVELS: Final = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
_LEVELS: Final = "messageDelayLevel"
_CHECKS: Final = {
    "transactionTimeOut": (6_000, False),
    "transactionCheckInterval": (60_000, False),
    "transactionCheckMax": (15, True),
}
"""When a broker asks what became of a transaction: the shipped value (of 4.x, where 5.x has less), and which way is
worse: fewer or more."""


def otherwise(configs: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """What of this is so on any broker: the word of `REACH` that is missing for it, and why."""
    for config in configs:
        levels = config.get(_LEVELS, SHIPPED_LEVELS)
        if levels.split() != SHIPPED_LEVELS.split():
            yield SHIPPED_DELAYS, f"suites count on the shipped {_LEVELS}, and its owner has {levels!r}"
        if config.get("transientStorePoolEnable") == "true":
            yield (
                NODE_KILL,
                "its owner has transientStorePoolEnable=true, under which a kill loses what it acknowledged",
            )
        if config.get("rejectTransactionMessage") == "true":
            yield SHIPPED_CHECKS, "its owner has rejectTransactionMessage=true"
        for key, (as_shipped, least) in _CHECKS.items():
            value = config.get(key, "")
            if value.isdecimal() and (int(value) < as_shipped if least else int(value) > as_shipped):
                yield SHIPPED_CHECKS, f"suites count on {key} as it is shipped, and its owner has {value}"
