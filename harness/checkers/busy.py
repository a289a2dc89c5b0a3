"""Sends that a broker refused because they had waited for a moment in its queue: a busy machine makes them wait too."""

from __future__ import annotations

import polars as pl

from harness.core.flow import MOMENT_MS, SYSTEM_BUSY, WAITED


def waited() -> pl.Expr:
    """Of a table of sends, those that were refused for a moment's wait."""
    waited_ms = pl.col("error").cast(pl.String).str.extract(WAITED).cast(pl.Int64, strict=False)
    return ((pl.col("code") == SYSTEM_BUSY) & (waited_ms < MOMENT_MS)).fill_null(False)
