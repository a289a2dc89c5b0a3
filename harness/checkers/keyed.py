"""The defect that is planted against the order of a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from harness.checkers import edit, narrow
from harness.checkers.keys import swap
from harness.core.history import History


def reordered_key(history: History, params: Mapping[str, Any]) -> History | None:
    """Of two messages of a key the earlier one is given just after the later one, and not before."""
    group = params.get("group")
    pair = swap(history, group)
    if pair is None:
        return None
    before, after = pair
    given = history.deliveries
    wanted = pl.lit(True) if group is None else narrow.text("group") == group
    at = given.filter(wanted & (pl.col("m") == after)).get_column("time_ns").min()
    assert isinstance(at, int)
    early = wanted & (pl.col("m") == before) & (pl.col("time_ns") <= at)
    return edit.replace_deliveries(history, edit.set_rows(given, early, time_ns=at + 1))
