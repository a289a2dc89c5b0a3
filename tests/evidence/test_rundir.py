import math

import pytest

from harness.core.errors import EvidenceError
from harness.core.verdict import Assumption, Check, Finding, Judgement, Verdict
from harness.evidence import RunDir, read_json, write_json


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path / "reports", "run-1")


def test_latest_points_to_the_newest(run):
    reports = run.path.parent
    assert (reports / "latest").resolve() == run.path
    second = RunDir.create(reports, "run-2")
    assert (reports / "latest").resolve() == second.path
    assert RunDir.open(reports / "latest").path == second.path


def test_evidence_is_never_overwritten(run):
    with pytest.raises(EvidenceError, match="never overwritten"):
        RunDir.create(run.path.parent, "run-1")


def test_a_run_in_which_nothing_was_begun_can_be_taken_back(run):
    reports = run.path.parent
    RunDir.create(reports, "run-2").discard()
    assert (reports / "latest").resolve() == run.path
    run.discard()
    assert not list(reports.iterdir())


def test_a_scenario_is_never_taken_back(run):
    run.scenario("s")
    with pytest.raises(EvidenceError, match="never removed"):
        run.discard()
    assert (run.path / "scenarios" / "s").is_dir()


def test_something_else_called_latest_is_not_removed(tmp_path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").touch()
    with pytest.raises(EvidenceError, match="latest"):
        RunDir.create(tmp_path, "run-1")
    assert (tmp_path / "latest" / "mine").exists()


def test_only_a_run_can_be_opened(tmp_path):
    with pytest.raises(EvidenceError, match="no run directory"):
        RunDir.open(tmp_path)


def test_documents_come_back(run):
    run.write_run({"seed": 7, "options": {"topology": ["1m"]}})
    assert run.read_run() == {"schema": 1, "seed": 7, "options": {"topology": ["1m"]}}
    run.write_verdicts({"run": {}, "guarantees": []})
    assert run.read_verdicts()["guarantees"] == []
    scenario = run.scenario("kill")
    scenario.write_scenario({"name": "kill"})
    assert scenario.read_scenario() == {"name": "kill"}
    assert [s.path.name for s in run.scenarios()] == ["kill"]


def test_a_judgement_is_stored_as_plain_data(run):
    finding = Finding("lost", 0, 5, figures={"upper_bound": 0.6})
    judgement = Judgement(
        Verdict.HELD,
        "0 lost of 5",
        (Assumption("load", True, "5"),),
        (Check("0 lost", True, "0 lost of 5", finding),),
        {"rto": math.inf},
    )
    scenario = run.scenario("kill")
    scenario.write_judgement({"judgement": judgement})
    read = scenario.read_judgement()["judgement"]
    assert read["verdict"] == "held"
    assert read["figures"]["rto"] is None
    assert read["checks"][0]["finding"]["of"] == 5


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_a_scenario_is_a_directory_of_the_run(run, name):
    with pytest.raises(EvidenceError):
        run.scenario(name)


def test_a_document_is_whole_or_not_there(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("[]", "no JSON object"), ('{"schema": 2}', "reads 1")]
)
def test_what_cannot_be_read_is_named(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=message):
        read_json(path, schema=1)
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_json(tmp_path / "y.json")
