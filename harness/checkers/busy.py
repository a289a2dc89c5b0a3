"""Sends that a broker refused because they had waited for a moment in its queue: a busy machine makes them wait too."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from harness.checkers.metrics import measure
from harness.core.errors import HarnessError
from harness.core.expectation import COMPARE, Expectation, Require
from harness.core.history import History

MOMENT_MS: Final = 2000
"""As long as a machine with more to do than it can may keep a thread waiting. The product's own limit is 200 ms
(waitTimeMillsInSendQueue) where a topology leaves it as shipped, and ten seconds where it does not."""

_WAITED: Final = r"^.*\[(?:TIMEOUT|PCBUSY)_CLEAN_QUEUE\].*period in queue: (\d+)ms"


def busy_excuse(history: History, demand: Expectation) -> str:
    """Why a busy machine may have violated this demand: without the sends that were refused so it is met.

    Empty for a demand that is violated without them too, and for one that is not of sends. A broker that is slow for a
    reason of its own looks the same.
    """
    if not isinstance(demand, Require) or demand.metric in ("observed", "found"):
        return ""
    waited_ms = pl.col("error").cast(pl.String).str.extract(_WAITED).cast(pl.Int64, strict=False)
    refused = (pl.col("code") == 2) & (waited_ms < MOMENT_MS).fill_null(False)
    rest = history.sends.filter(~refused.fill_null(False))
    count = history.sends.height - rest.height
    if not count:
        return ""
    try:
        met = COMPARE[demand.op](measure(replace(history, sends=rest), demand.metric, demand.params), demand.bound)
    except HarnessError:
        return ""
    return f"{count} sends were refused because they had waited over 200 ms in a broker's queue" if met else ""
