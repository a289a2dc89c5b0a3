"""Which cluster `--keep` keeps: the last scenario's, whatever runs as its control."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import CapabilityMissing
from harness.core.expectation import Gates
from harness.core.verdict import Verdict
from harness.keep import Keeper
from harness.prover import Inconclusive, Prover, SuiteFunction
from harness.scenario import forbid
from harness.session import Session
from harness.settings import Settings
from harness.topology import load_topology
from harness.workloads.load import produce
from tests.pipeline.loopback import Machines

pytestmark = pytest.mark.real  # many scenarios in turn
GUARANTEE = "process-kill-loses-nothing"
QUIET = Gates(min_acked=1, min_acked_before_fault=0, in_flight_at_fault=False, faults_bite=False, faults_heal=False)
SHORT: dict[str, Any] = {"load": [produce(2, rate=400)], "duration_s": 0.5}


class RecordingKeeper(Keeper):
    """Says which scenario's cluster is kept; machines that are no namespaces cannot really be left up."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def keep(self, _cluster: Any, _runtime: Any, _run_id: str, logs: Path) -> None:
        self.kept.append(logs.name)

    def release(self) -> None:
        self.kept.clear()


@pytest.fixture
def prove(tmp_path: Path) -> Any:
    machines = Machines(load_topology("1m"), tmp_path)
    keeper = RecordingKeeper()
    settings = Settings(load_topology("1m"), rocketmq="4.9.7", client="remoting", cache=tmp_path / "cache")
    session = Session(
        run_id="r",
        directory=tmp_path / "run",
        seed=1,
        command="pytest",
        settings={"1m": settings},
        promised={"1m": (load_catalogue().get(GUARANTEE),)},
        equipment=replace(machines.equipment, keeper=keeper),
    )

    def run(name: str, *, controlled: bool = False, **more: Any) -> tuple[Prover, list[str]]:
        prover = Prover(SuiteFunction(name, "", (GUARANTEE,)), session, settings, print)
        parts = SHORT | more
        # Nothing is lost under it either: how it comes out is not what is looked at here.
        control = (
            prover.control("worse", demand=[forbid("lost")], expect=Verdict.HELD, gates=QUIET, **SHORT)
            if controlled
            else None
        )
        prover(demand=[forbid("lost")], gates=QUIET, control=control, **parts)
        return prover, list(keeper.kept)

    run.kept = keeper.kept  # type: ignore[attr-defined]
    return run


def test_a_control_is_not_kept_and_ends_nothing(prove: Any) -> None:
    prover, kept = prove("first", controlled=True)
    assert len(prover.outcome.controls) == 1
    assert prover.outcome.controls[0].as_expected
    assert kept == ["first"]


def test_the_last_scenario_is_kept(prove: Any) -> None:
    prove("first", controlled=True)
    assert prove("second")[1] == ["second"]


def test_an_inconclusive_scenario_is_kept_too(prove: Any) -> None:
    with pytest.raises(Inconclusive):
        prove("short", duration_s=0, load=[])
    assert prove.kept == ["short"]


def test_the_kept_one_stays_while_nothing_new_is_started(prove: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prove("first")
    monkeypatch.setattr(
        "harness.prover.run_scenario", lambda *_: (_ for _ in ()).throw(CapabilityMissing("power-cut", "no root"))
    )
    with pytest.raises(Exception, match="power-cut"):
        prove("second")
    assert prove.kept == ["first"]
