"""A stored run of several repetitions, judged again: what was changed of them is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import load_catalogue
from harness.core.errors import EvidenceError
from harness.core.verdict import Verdict
from harness.core.version import Version
from harness.judging import ControlResult
from harness.outcome import Outcome
from harness.publish import publish
from harness.recheck import recheck
from harness.scenario import Control
from harness.session import Session, Subject
from harness.settings import Settings
from harness.stored import sha256_of
from harness.topology import load_topology
from tests.cli.conftest import GUARANTEE, scenario_from

HELD, BROKEN = "master-killed-nothing-lost", "one-acknowledged-message-lost"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three repetitions of one suite function that held; its control was run in the first."""
    directory = tmp_path / "a-run"
    session = Session(
        run_id="a-run",
        directory=directory,
        seed=7,
        command="pytest suites --topology=1m --repeat 3",
        settings={"1m": Settings(topology=load_topology("1m"), rocketmq="4.9.7", seed=7, repeat=3)},
        promised={"1m": (load_catalogue().get(GUARANTEE),)},
        subject=Subject(Version.parse("4.9.7"), 25),
    )
    seen = scenario_from(BROKEN, directory / "scenarios/1m/kill--control")
    control = ControlResult(Control(scenario=seen.scenario, expect=Verdict.BROKEN), seen)
    for n in (1, 2, 3):
        result = scenario_from(HELD, directory / f"scenarios/1m/kill{f'-repeat-{n}' * (n > 1)}")
        controls = (control,) if n == 1 else ()
        session.add("1m", Outcome((GUARANTEE,), result, controls, function="kill", repetition=n, borrows=n > 1))
    session.exit_code = 0
    publish(session, session.rows())
    return directory


def edit(run: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """With the checksum that goes with it: only judging the histories again can tell."""
    document = json.loads((run / name).read_text())
    change(document["session"] if name == "run.json" else document["guarantees"][0])
    (run / name).write_text(json.dumps(document))
    document = json.loads((run / "run.json").read_text())
    document["session"]["verdicts_sha256"] = sha256_of(run / "verdicts.json")
    (run / "run.json").write_text(json.dumps(document))


def test_it_comes_out_as_it_did(run: Path) -> None:
    text, code = recheck(run)
    assert code == 0, text
    assert "1 of 1 rows came out as stored" in text
    assert "held 3 of 3 times" in text


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("verdicts.json", lambda row: row["spread"]["latency_p99_ms"]["p95"].update(value=0.1), "ms spread"),
        ("verdicts.json", lambda row: row["spread"]["latency_p99_ms"].update(never=7), "ms spread"),
        ("verdicts.json", lambda row: row["repeats"].update(held=300), "held 300 of 300 times"),
        ("verdicts.json", lambda row: row["scenarios"][1]["figures"].update(latency_p50_ms=0.1), "kill-repeat-2: lat"),
        ("run.json", lambda session: session["outcomes"].pop(), "held 2 of 3 times, not tested 1 of 3 times"),
        ("run.json", lambda session: session["outcomes"][2].update(repetition=1), "not tested 1 of 3"),
        ("run.json", lambda session: session["outcomes"][1].update(function="other"), "inconclusive now"),
        ("run.json", lambda session: session["outcomes"][0].update(controls=[]), "inconclusive now"),
    ],
)
def test_what_was_changed_of_repetitions_is_noticed(run: Path, name: str, change: Any, told: str) -> None:
    edit(run, name, change)
    text, code = recheck(run)
    assert code == 6
    assert told in text.partition("This is not what is stored")[2]


def test_a_repetition_has_a_number_from_one_on(run: Path) -> None:
    edit(run, "run.json", lambda session: session["outcomes"][1].update(repetition=0))
    with pytest.raises(EvidenceError, match="repetition"):
        recheck(run)
