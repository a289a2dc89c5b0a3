"""The gRPC client through a real proxy: what it can do comes out, with a complete record."""

from __future__ import annotations

import json

import polars as pl
import pytest

from harness.checkers.narrow import sends_of
from harness.evidence import load_history
from tests.real.conftest import Start

pytestmark = pytest.mark.real


def test_every_way_of_the_grpc_client_comes_out(start: Start) -> None:
    """Sync, asynchronous, ordered, delayed and transactional sends; groups pushed to, in order, and one that asks."""
    run = start("--topology=tests/real/1m-1p.yaml", "--client=grpc", suite="tests/real/suite_grpc.py")
    assert run.wait() == 0, run.text
    directory = run.run_dir / "scenarios" / "1m-1p" / "grpc"
    judged = json.loads((directory / "judgement.json").read_text())
    assert [a["name"] for a in judged["assumptions"] if not a["met"]] == []
    history = load_history(directory)
    ends = sends_of(history, "ptransaction").group_by(pl.col("outcome").cast(pl.String)).len().to_dict(as_series=False)
    assert dict(zip(*ends.values(), strict=True)) == {"ok": 100, "fail": 100}, "half of them are rolled back"
    places = history.deliveries.select(pl.col("broker").cast(pl.String), "queue", "offset")
    assert places.null_count().row(0) == (0, 0, 0)
    assert set(places.get_column("broker")) == {"broker-a"}
    conf = (directory / "nodes" / "proxy-1" / "conf" / "rmq-proxy.json").read_text()
    assert json.loads(conf)["proxyMode"] == "CLUSTER"
    run.assert_nothing_runs()
