"""The C++ client on real clusters: what it can do leaves a complete record, what it cannot is not begun."""

from __future__ import annotations

import json

import polars as pl
import pytest

from harness.checkers.narrow import sends_of
from harness.core.names import REFUSED
from harness.evidence import load_history
from tests.real.conftest import Start

pytestmark = pytest.mark.real


@pytest.mark.parametrize("version", ["4.9.7", "5.3.3"])
def test_every_way_of_the_cpp_client_leaves_a_complete_record(start: Start, version: str) -> None:
    """Sync, orderly, one-way and transactional sends, delays; groups that refuse, in order and not, and broadcasts."""
    run = start("--topology=1m", f"--rocketmq={version}", "--client=cpp", suite="tests/real/suite_cpp.py")
    assert run.wait() == 0, run.text
    history = load_history(run.run_dir / "scenarios" / "1m" / "cpp")
    said = {
        mode: set(sends_of(history, f"p{mode}").get_column("status").cast(pl.String)) for mode in ("sync", "oneway")
    }
    assert "SEND_OK" in said["sync"]
    assert said["oneway"] <= {"ONEWAY", "ProducerSendOnewayFailed"}
    ends = sends_of(history, "ptransaction").group_by("outcome").len()
    assert {"ok", "fail"} <= set(ends.get_column("outcome")), "half of them are rolled back"
    refused = history.deliveries.filter(pl.col("status").cast(pl.String) == REFUSED)
    assert set(refused.get_column("group").cast(pl.String)) == {"gs", "go"}
    assert history.deliveries.get_column("reconsume").max() > 0, "what was refused came again"
    run.assert_nothing_runs()


def test_what_the_cpp_client_cannot_do_is_not_tested_and_no_cluster_is_started(start: Start) -> None:
    run = start("--topology=1m", "--client=cpp", suite="tests/real/suite_modes.py")
    assert run.wait() == 6, run.text  # nothing at all was executed
    assert "listening broker-a-0" not in run.text
    assert "Traceback" not in run.text
    rows = json.loads((run.run_dir / "verdicts.json").read_text())["guarantees"]
    (row,) = [row for row in rows if row["id"] == "process-kill-loses-nothing"]
    assert row["verdict"] == "not-tested"
    assert "the cpp client's Python layer has no asynchronous send" in row["reason"]
    assert row["missing"] is None
    run.assert_nothing_runs()
