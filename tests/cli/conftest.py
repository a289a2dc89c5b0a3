"""A stored run made from golden histories, as the plugin would have left it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.catalogue import load_catalogue
from harness.core.expectation import Rules
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.evidence import write_json
from harness.judging import ControlResult, ScenarioResult, judge_directory, result_json
from harness.outcome import Outcome
from harness.publish import publish
from harness.scenario import Control, Scenario
from harness.session import Session, Subject
from harness.settings import Settings
from harness.topology import load_topology

HISTORIES = Path(__file__).resolve().parents[1] / "histories"
GUARANTEE = "process-kill-loses-nothing"


def scenario_from(golden: str, directory: Path, rules_of: str | None = None) -> ScenarioResult:
    rules = Rules.model_validate(json.loads((HISTORIES / f"{rules_of or golden}.json").read_text())["rules"])
    scenario = Scenario(name=directory.name, rules=rules)
    (directory / "history").mkdir(parents=True)
    for text in (HISTORIES / f"{golden}.jsonl").read_text().splitlines():
        record = json.loads(text)
        with (directory / "history" / f"{record.pop('p')}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
    write_json(directory / "scenario.json", scenario.model_dump(mode="json"))
    judgement, planted = judge_directory(directory, rules, "")
    result = ScenarioResult(scenario, directory, judgement, planted)
    write_json(directory / "judgement.json", asdict(judgement))
    write_json(directory / "result.json", result_json(result))
    return result


@pytest.fixture
def stored_run(tmp_path: Path, original_run: Path) -> Path:
    """One row on 1m that held, with a product control that came out broken; a copy, times included."""
    return Path(shutil.copytree(original_run, tmp_path / "a-run", symlinks=True))


@pytest.fixture(scope="session")
def original_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("original") / "a-run"
    settings = Settings(topology=load_topology("1m"), rocketmq="4.9.7", seed=7)
    session = Session(
        run_id="a-run",
        directory=directory,
        seed=7,
        command="pytest suites --topology=1m",
        settings={"1m": settings},
        promised={"1m": (load_catalogue().get(GUARANTEE),)},
        subject=Subject(Version.parse("4.9.7"), 25),
    )
    result = scenario_from("master-killed-nothing-lost", directory / "scenarios/1m/kill")
    seen = scenario_from("one-acknowledged-message-lost", directory / "scenarios/1m/kill--control")
    control = Control(scenario=seen.scenario, expect=Verdict.BROKEN)
    session.add("1m", Outcome((GUARANTEE,), result, (ControlResult(control, seen),)))
    publish(session, session.rows())
    return directory
