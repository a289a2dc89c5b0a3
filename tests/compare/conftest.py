"""Stored runs to be compared, made from golden histories."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import load_catalogue
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.judging import ControlResult
from harness.outcome import Outcome
from harness.publish import publish
from harness.scenario import Control
from harness.session import Session, Subject
from harness.settings import Settings
from harness.topology import load_topology
from tests.cli.conftest import GUARANTEE, scenario_from

HELD, BROKEN = "master-killed-nothing-lost", "one-acknowledged-message-lost"
Make = Callable[..., Path]


def run(directory: Path, golden: str, release: str, java: str = "25", *, control: bool = True) -> Path:
    """A run of one row on 1m that came out as the golden history does."""
    settings = Settings(topology=load_topology("1m"), rocketmq=release, java=java, seed=7)
    session = Session(
        run_id=directory.name,
        directory=directory,
        seed=7,
        command="pytest suites --topology=1m",
        settings={"1m": settings},
        promised={"1m": (load_catalogue().get(GUARANTEE), load_catalogue().get("at-least-once"))},
        subject=Subject(Version.parse(release), int(java)),
    )
    result = scenario_from(golden, directory / "scenarios/1m/kill", rules_of=HELD)
    seen = scenario_from(BROKEN if control else HELD, directory / "scenarios/1m/kill--control")
    controls = (ControlResult(Control(scenario=seen.scenario, expect=Verdict.BROKEN), seen),)
    session.add("1m", Outcome((GUARANTEE,), result, controls if golden == HELD else ()))
    publish(session, session.rows())
    return directory


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str, bool], Path]:
    """One of each kind, made when it is first wanted."""
    root = tmp_path_factory.mktemp("originals")

    def original(golden: str, release: str, java: str, control: bool) -> Path:
        directory = root / f"{golden}-{release}-{java}-{control}"
        return directory if directory.exists() else run(directory, golden, release, java, control=control)

    return original


@pytest.fixture
def make(tmp_path: Path, originals: Callable[[str, str, str, bool], Path]) -> Make:
    """`make(name, golden, release)`: a run at that name below the test's own directory."""

    def one(name: str, golden: str = HELD, release: str = "4.9.7", java: str = "25", *, control: bool = True) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        made = Path(shutil.copytree(originals(golden, release, java, control), tmp_path / name, symlinks=True))
        run_id = name.replace("/", "-")
        # As if runs of one number were made in turn.
        minute = int(name[-1]) if name[-1].isdigit() else 0
        told = {"id": run_id, "started_utc": f"2026-11-30T10:{2 * minute + (release != '4.9.7'):02}:00+00:00"}
        edited(made, lambda verdicts: verdicts["run"].update(told))
        document = json.loads((made / "run.json").read_text())
        (made / "run.json").write_text(json.dumps(document | told))
        return made

    return one


def edited(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes `verdicts.json`, and the checksum that `run.json` has of it, as a run with other figures would."""
    from harness.stored import sha256_of

    verdicts = json.loads((run / "verdicts.json").read_text())
    change(verdicts)
    (run / "verdicts.json").write_text(json.dumps(verdicts))
    document = json.loads((run / "run.json").read_text())
    document["session"]["verdicts_sha256"] = sha256_of(run / "verdicts.json")
    (run / "run.json").write_text(json.dumps(document))
