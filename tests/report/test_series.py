from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import polars as pl
import pytest

from harness.core.history import RAW_SCHEMA, History
from harness.core.op import OpName, OpType, line
from harness.report.chart import chart
from harness.report.series import series

S = 1_000_000_000


def history(*lines):
    return History.from_raw(pl.DataFrame([{"p": "p0"} | item for item in lines], schema=RAW_SCHEMA))


def send(call, at_s, outcome, took_s=0.01):
    begun = 100 * S + int(at_s * S)
    lines = [line(OpName.SEND, OpType.INVOKE, begun, c=call, id=str(call))]
    if outcome is not None:
        lines.append(line(OpName.SEND, outcome, begun + int(took_s * S), c=call, id=str(call)))
    return lines


def fault(action, at_s, extra=None):
    return line(OpName.FAULT, OpType.INFO, 100 * S + int(at_s * S), id="f", s=action, x=extra)


def test_every_send_is_counted_once_where_it_completed():
    data = series(
        history(
            *send(1, 0, OpType.OK),
            *send(2, 0.995, OpType.OK, took_s=0.5),
            *send(3, 1.1, OpType.FAIL),
            *send(4, 2.1, None),
            line(OpName.DELIVER, OpType.OK, 100 * S + int(3.5 * S), id="1"),
        )
    )
    assert data["buckets"] == 4
    assert data["acked"] == [1, 1, 0, 0]
    assert data["failed"] == [0, 1, 0, 0]
    assert data["unknown"] == [0, 0, 1, 0]
    assert data["delivered"] == [0, 0, 0, 1]
    assert data["totals"] == {"acked": 2, "failed": 1, "unknown": 1, "delivered": 1}
    assert data["p50_ms"] == [10.0, 500.0, None, None]
    assert json.loads(json.dumps(data)) == data


def test_counts_add_up_to_the_history(sample):
    made = sample.history(seconds=15, rate=100, failing=True)
    data = series(made, 0.5)
    for outcome, name in (("ok", "acked"), ("fail", "failed"), ("info", "unknown")):
        assert sum(data[name]) == made.sends.filter(pl.col("outcome") == outcome).height == data["totals"][name]
    assert data["failed"] != [0] * len(data["failed"])
    assert sum(data["delivered"]) == made.deliveries.height


def test_windows_and_steps_are_in_seconds_of_the_run():
    data = series(
        history(
            *send(1, 0, OpType.OK),
            fault("inject", 1, '{"fault": "kill", "targets": ["a"]}'),
            fault("observed", 1.25),
            line(OpName.STEP, OpType.INFO, 102 * S, id="restart", s="begin"),
        )
    )
    (window,) = data["windows"]
    assert (window["inject_s"], window["observed_s"], window["heal_s"]) == (1.0, 1.25, None)
    assert data["steps"] == [{"name": "restart", "start_s": 2.0, "end_s": None, "ok": False}]


def test_nothing_happened():
    data = series(History.empty())
    assert data["buckets"] == 0
    assert chart(data) == ""


def test_a_bucket_has_a_width():
    with pytest.raises(ValueError, match="positive"):
        series(History.empty(), 0)


def test_the_chart_is_wellformed_and_shows_each_phase(sample):
    svg = str(chart(series(sample.history(seconds=40, rate=50, failing=True)), title="t"))
    ET.fromstring(svg)
    for css in ("injected", "biting", "healing", "area acked", "area failed", "area unknown", "line delivered"):
        assert f'"{"fault " if css in ("injected", "biting", "healing") else ""}{css}"' in svg


def test_a_fault_never_seen_is_said_in_the_chart():
    data = series(history(*send(1, 0, OpType.OK), *send(2, 3, OpType.OK), fault("inject", 1, '{"fault": "cut"}')))
    svg = str(chart(data))
    assert "never seen to bite" in svg
    assert "fault biting" not in svg
    assert "fault injected" in svg


def test_names_are_escaped_and_scrubbed():
    evil = '{"fault": "<script>x</script>", "targets": ["/home/alice/x"]}'
    svg = str(
        chart(series(history(*send(1, 0, OpType.OK), *send(2, 3, OpType.OK), fault("inject", 1, evil))), title="<b>")
    )
    ET.fromstring(svg)
    assert "<script" not in svg
    assert "alice" not in svg


def test_long_runs_are_thinned_without_losing_a_send():
    n = 5000
    data = {
        "bucket_s": 1.0,
        "buckets": n,
        "acked": [10] * n,
        "unknown": [0] * n,
        "failed": [0] * (n - 1) + [7],
        "delivered": [10] * n,
        "p50_ms": [None] * n,
        "p99_ms": [None] * n,
        "windows": [],
    }
    svg = str(chart(data))
    assert "area failed" in svg
    (points,) = re.findall(r'line delivered" points="([^"]*)"', svg)
    assert len(points.split()) <= 400
    assert len(svg) < 60_000


def test_overlapping_faults_get_lanes_of_their_own(sample):
    def window(name, start, end):
        return {
            "name": name, "fault": name, "targets": [], "inject_s": start, "observed_s": start, "heal_s": end,
            "recovered_s": end, "lasting": False,
        }  # fmt: skip

    data = series(sample.history(seconds=30, rate=20, outage=None))
    data["windows"] = [window("one", 2, 12), window("two", 5, 9), window("three", 22, 25)]
    lanes = re.findall(r'class="faultname" x="[^"]*" y="(\d+)"', str(chart(data)))
    assert lanes == ["12", "12", "30"]
