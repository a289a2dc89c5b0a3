"""Acknowledgements that a fault should have prevented, and the evidence that it was put to the test at all."""

from __future__ import annotations

import polars as pl

from harness.checkers import narrow
from harness.checkers.narrow import FOREVER_NS, Since, Until
from harness.core.errors import MetricUnavailable
from harness.core.history import History

IN_FLIGHT_S = 2.0
"""Longer than an acknowledgement given before the fault takes to be written down, shorter than any replication wait.

The shortest wait is slaveTimeout, 3 s: a SEND_OK in place of a FLUSH_SLAVE_TIMEOUT comes later than this. Honest ones
were seen to come up to 31 ms after the fault on two cores with a load of 28.
"""


def ok_despite(
    history: History,
    *,
    window: str,
    broker: str | None = None,
    since: Since = "observed",
    until: Until = "heal",
    margin_s: float = IN_FLIGHT_S,
    process: str | None = None,
) -> float:
    """SEND_OK (of that broker name) that the fault should have prevented: for demands that there are none.

    One completed in the window counts if it was begun in it: no slave or broker that is gone can have taken part. Begun
    before, it counts if it completed more than `margin_s` after the window's begin, for by then whatever had been
    acknowledged in time is written down. What completes within the margin proves nothing and is not counted: a
    broker that acknowledges all that waits at the very moment its slave dies is not found out by this. A client or
    broker that stands still for longer than the margin at just that moment would be accused wrongly.

    Ends with the heal: what is answered later may have been copied by then. Raises MetricUnavailable if no send was
    under way in the window; `answered_in` shows whether there were enough.
    """
    begin, end = narrow.span(history, window, since, until)
    sends = narrow.sends_of(history, process)
    done = pl.col("complete_ns").fill_null(FOREVER_NS)
    if not sends.filter((pl.col("invoke_ns") <= end) & (done >= begin)).height:
        raise MetricUnavailable(f"no send of {process or 'anyone'} was under way in the window: it shows nothing")
    begun = (pl.col("invoke_ns") >= begin) & (pl.col("complete_ns") >= begin)
    late = pl.col("complete_ns") >= begin + int(margin_s * 1e9)
    within = (begun | late) & (pl.col("complete_ns") <= end)
    return narrow.acked_of(history, process, broker=broker).filter(within).height


def answered_in(
    history: History,
    *,
    window: str,
    broker: str | None = None,
    since: Since = "observed",
    until: Until = "heal",
    process: str | None = None,
) -> float:
    """Sends begun in the window and answered in it by that broker name, in whatever way: what it decided under a fault.

    A send that nobody answered has no broker and is not counted, nor one that was refused without naming one. For a
    gate beside `ok_despite`: none acknowledged of none answered shows nothing.
    """
    begin, end = narrow.span(history, window, since, until)
    within = (pl.col("invoke_ns") >= begin) & (pl.col("complete_ns") <= end) & pl.col("broker").is_not_null()
    return narrow.sends_of(history, process, broker=broker).filter(within).height
