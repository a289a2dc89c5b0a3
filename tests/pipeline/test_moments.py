"""When a fault comes is drawn from the run's seed: other moments in every run, and the same ones in a replay."""

from __future__ import annotations

from pathlib import Path

from harness.prover import Prover, SuiteFunction
from harness.session import Session
from harness.settings import Settings
from harness.topology import load_topology
from tests.pipeline.loopback import Machines


def moments(root: Path, *, seed: int, suite: str = "s", topology: str = "1m") -> list[float]:
    settings = Settings(load_topology(topology), rocketmq="4.9.7", client="remoting", cache=root / "cache")
    session = Session(
        run_id="r",
        directory=root / "run",
        seed=seed,
        command="pytest",
        settings={topology: settings},
        equipment=Machines(load_topology("1m"), root).equipment,
    )
    prover = Prover(SuiteFunction(suite, "", ()), session, settings, print)
    return [prover.moment(0.5, 4.0) for _ in range(50)]


def test_a_seed_draws_the_same_again(tmp_path: Path) -> None:
    assert moments(tmp_path, seed=7) == moments(tmp_path, seed=7)


def test_another_seed_suite_or_topology_draws_others(tmp_path: Path) -> None:
    first = moments(tmp_path, seed=7)
    assert first != moments(tmp_path, seed=8)
    assert first != moments(tmp_path, seed=7, suite="t"), "two suites of a run do not hit in step"
    assert first != moments(tmp_path, seed=7, topology="2m-noslave")


def test_they_are_spread_between_the_bounds(tmp_path: Path) -> None:
    drawn = moments(tmp_path, seed=7)
    assert all(0.5 <= moment <= 4.0 for moment in drawn)
    assert len(set(drawn)) > 40
    assert min(drawn) < 1.0
    assert max(drawn) > 3.5
