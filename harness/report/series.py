"""A history reduced to what a chart shows: counts per bucket, latency, fault windows and steps, in seconds."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from harness.core.history import History
from harness.core.window import FaultWindow

_NS: Final = 1e9
_OUTCOMES: Final = {"ok": "acked", "fail": "failed", "info": "unknown"}


def series(history: History, bucket_s: float = 1.0) -> dict[str, Any]:
    """The JSON behind a scenario's chart (`series.json`).

    Second 0 is the first thing the history knows. A send counts in the bucket in which it completed, an unfinished
    one in that of its invoke; latency is of acknowledged sends only, null in buckets without one. Raises ValueError
    if `bucket_s` is not positive.
    """
    if bucket_s <= 0:
        raise ValueError(f"bucket_s must be positive, not {bucket_s}")
    origin = _origin_ns(history)
    sends = _bucketed(history.sends.with_columns(at=pl.coalesce("complete_ns", "invoke_ns")), origin, bucket_s)
    deliveries = _bucketed(history.deliveries.with_columns(at="time_ns"), origin, bucket_s)
    last = max((_last(frame) for frame in (sends, deliveries)), default=-1)
    buckets = pl.DataFrame({"bucket": range(last + 1)}, schema={"bucket": pl.Int64()})
    return {
        "bucket_s": bucket_s,
        "origin_ns": origin,
        "buckets": last + 1,
        **{name: _counts(sends.filter(pl.col("outcome") == key), buckets) for key, name in _OUTCOMES.items()},
        "delivered": _counts(deliveries, buckets),
        **_latency(sends, buckets),
        "totals": {name: sends.filter(pl.col("outcome") == key).height for key, name in _OUTCOMES.items()}
        | {"delivered": deliveries.height},
        "windows": [_window(window, origin) for window in history.windows],
        "steps": [
            {
                "name": step.name,
                "start_s": _seconds(step.start_ns, origin),
                "end_s": _seconds(step.end_ns, origin),
                "ok": step.ok,
            }
            for step in history.steps
        ],
    }


def _origin_ns(history: History) -> int:
    firsts = [history.sends["invoke_ns"].min(), history.deliveries["time_ns"].min()]
    firsts += [window.inject_ns for window in history.windows]
    firsts += [step.start_ns for step in history.steps]
    return min((first for first in firsts if isinstance(first, int)), default=0)


def _bucketed(frame: pl.DataFrame, origin: int, bucket_s: float) -> pl.DataFrame:
    width_ns = round(bucket_s * _NS)
    return frame.with_columns(bucket=((pl.col("at") - origin) // width_ns).cast(pl.Int64))


def _last(frame: pl.DataFrame) -> int:
    last = frame["bucket"].max()
    return last if isinstance(last, int) else -1


def _counts(frame: pl.DataFrame, buckets: pl.DataFrame) -> list[int]:
    counted = frame.group_by("bucket").len(name="n")
    return buckets.join(counted, on="bucket", how="left", maintain_order="left")["n"].fill_null(0).to_list()


def _latency(sends: pl.DataFrame, buckets: pl.DataFrame) -> dict[str, list[float | None]]:
    acked = sends.filter((pl.col("outcome") == "ok") & pl.col("complete_ns").is_not_null())
    took_ms = (pl.col("complete_ns") - pl.col("invoke_ns")) / 1e6
    grouped = acked.group_by("bucket").agg(
        p50_ms=took_ms.quantile(0.5, "nearest").round(3), p99_ms=took_ms.quantile(0.99, "nearest").round(3)
    )
    joined = buckets.join(grouped, on="bucket", how="left", maintain_order="left")
    return {name: joined[name].to_list() for name in ("p50_ms", "p99_ms")}


def _window(window: FaultWindow, origin: int) -> dict[str, Any]:
    return {
        "name": window.name,
        "fault": window.fault,
        "targets": list(window.targets),
        "inject_s": _seconds(window.inject_ns, origin),
        "observed_s": _seconds(window.observed_ns, origin),
        "heal_s": _seconds(window.heal_ns, origin),
        "recovered_s": _seconds(window.recovered_ns, origin),
        "lasting": window.lasting,
    }


def _seconds(time_ns: int | None, origin: int) -> float | None:
    return None if time_ns is None else round((time_ns - origin) / _NS, 3)
