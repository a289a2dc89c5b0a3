"""The C++ client on real clusters: what it can do leaves a complete record, what it cannot is not begun."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from harness.checkers.narrow import sends_of
from harness.core.names import REFUSED
from harness.evidence import load_history
from tests.real.conftest import Start

pytestmark = pytest.mark.real


def test_every_way_of_the_cpp_client_leaves_a_complete_record(start: Start) -> None:
    """Sync, orderly, one-way and transactional sends, delays; groups that refuse, in order and not, and broadcasts.

    What is ours is the record. Whether this client's groups are given everything within two minutes of a kill is its
    own affair, and was not so in two runs of three (docs/clients.md).
    """
    run = start("--topology=1m", "--rocketmq=5.3.3", "--client=cpp", suite="tests/real/suite_cpp.py")
    assert run.wait() in (0, 6), run.text
    assert_record_is_whole(run.run_dir / "scenarios" / "1m" / "cpp")
    run.assert_nothing_runs()


def assert_record_is_whole(directory: Path) -> None:
    judged = json.loads((directory / "judgement.json").read_text())
    unmet = [a["name"] for a in judged["assumptions"] if not a["met"]]
    assert unmet == []
    others = [c for c in judged["checks"] if not c["met"] and "undelivered" not in c["demand"]]
    assert others == []
    history = load_history(directory)
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
