"""What no order of events allows: a message that was there before anybody sent it.

All processes of a run stamp their lines with the one monotonic clock of the machine, so this is no matter of skew: an
instant or an id was recorded wrongly, and nothing that is computed from instants or ids can be trusted.
"""

from __future__ import annotations

import polars as pl

from harness.core.history import History


def before_their_send(history: History) -> list[str]:
    """How many deliveries and reads ended before their message's first send was invoked, in words; empty if none did.

    Nothing is said of messages that nobody sent (that is `phantom`), nor of one that came too early after its send was
    invoked: a message may be stored and delivered before its sender is answered.
    """
    begun = history.sends.group_by("m").agg(begun_ns=pl.col("invoke_ns").min())
    found = []
    for word, rows in (("delivered", history.deliveries), ("read", history.reads)):
        known = rows.filter(pl.col("m").is_not_null()).select("m", "time_ns")
        early = known.join(begun, on="m", how="inner").filter(pl.col("time_ns") < pl.col("begun_ns")).height
        if early:
            found.append(f"{early} messages were {word} before their send was invoked")
    return found
