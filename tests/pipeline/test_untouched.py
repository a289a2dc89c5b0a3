"""What must run beside a fault that is meant to last."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.runner import _Run


@pytest.mark.parametrize(("ended", "runs"), [("broker-a-0", True), ("broker-b-0", False), ("link-broker-b-0", False)])
def test_what_a_lasting_fault_did_not_hit_runs_its_links_too(ended: str, runs: bool) -> None:
    cluster = SimpleNamespace(
        nodes=lambda: ("broker-a-0", "broker-b-0"),
        links=SimpleNamespace(nodes=("link-broker-b-0",)),
        runtime=SimpleNamespace(state=lambda node: SimpleNamespace(kind="exited" if node == ended else "running")),
    )
    stage: Any = SimpleNamespace(cluster=cluster)
    injector: Any = SimpleNamespace(in_force=[SimpleNamespace(targets=lambda _cluster: ("broker-a-0",))])
    assert _Run.__new__(_Run)._untouched_run(stage, injector) is runs
