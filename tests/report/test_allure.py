from __future__ import annotations

import json

import pytest

from harness.core.verdict import Verdict
from harness.report.allure import write_allure
from harness.report.rows import Control


@pytest.fixture
def results(sample, tmp_path):
    count = write_allure(tmp_path, sample.run(), sample.rows(), sample.scenarios(), sample.promises())
    read = [json.loads(path.read_text()) for path in tmp_path.glob("*-result.json")]
    assert count == len(read) == len(sample.rows())
    return {result["name"].split("[")[0]: result for result in read}


def test_statuses(results):
    assert results["master-outage-leaves-sends-working"]["status"] == "passed"
    assert results["sync-master-ack-means-two-copies"]["status"] == "failed"
    assert results["sync-master-survives-disk-loss"]["status"] == "broken"
    assert results["eio-is-never-acknowledged"]["status"] == "skipped"
    known = results["misnamed-slave-is-noticed"]
    assert known["status"] == "skipped"
    assert known["statusDetails"]["known"] is True


def test_known_broken_fails_under_strict(sample, tmp_path):
    (row,) = [r for r in sample.rows() if r.known]
    write_allure(tmp_path, sample.run(), [row], strict=True)
    (path,) = tmp_path.glob("*-result.json")
    assert json.loads(path.read_text())["status"] == "failed"


def test_infrastructure_is_not_a_skip(sample, tmp_path):
    write_allure(tmp_path, sample.run(), [sample.row("a", Verdict.NOT_TESTED, infrastructure=True)])
    (path,) = tmp_path.glob("*-result.json")
    assert json.loads(path.read_text())["status"] == "broken"


def test_labels_parameters_and_steps(results):
    result = results["master-outage-leaves-sends-working"]
    labels = {label["name"]: label["value"] for label in result["labels"]}
    assert labels["guarantee"] == "master-outage-leaves-sends-working"
    assert labels["topology"] == "2m-2s-sync"
    assert labels["version"] == "5.3.4"
    parameters = {p["name"]: p["value"] for p in result["parameters"]}
    assert parameters["seed"] == "41"
    assert parameters["figure acked"] == "23,811"
    assert [s["name"] for s in result["steps"]] == [
        "load",
        "fault kill-a: kill on broker-a-master",
        "restart broker-a-master",
        "drain",
    ]
    assert result["steps"][1]["stop"] - result["steps"][1]["start"] == 24_200
    assert result["stop"] > result["start"]
    assert "outage of one" in result["description"]


def test_the_control_is_a_parameter_and_stays_short(sample, tmp_path):
    control = Control(kind="product", expected="broken", observed="broken", ok=True, reason="48 lost of 5,077")
    long = control.model_copy(update={"reason": "x" * 10_000})
    rows = [sample.row("a", control=control), sample.row("b", control=long), sample.row("c")]
    write_allure(tmp_path, sample.run(), rows)
    read = [json.loads(path.read_text()) for path in tmp_path.glob("*-result.json")]
    seen = {r["name"].split("[")[0]: {p["name"]: p["value"] for p in r["parameters"]} for r in read}
    assert seen["a"]["control"] == "product: broken, 48 lost of 5,077"
    assert len(seen["b"]["control"]) == 120
    assert "control" not in seen["c"]


def test_attachments_exist_and_log_tails_come_only_with_trouble(results, tmp_path):
    def names(key):
        return {a["name"] for a in results[key]["attachments"]}

    for result in results.values():
        for attachment in result["attachments"]:
            assert (tmp_path / attachment["source"]).stat().st_size > 0
    held = names("master-outage-leaves-sends-working")
    assert held == {"why this verdict", "fault timeline.json", "history sample"}
    assert names("sync-master-ack-means-two-copies") - held == {"log tail broker-a-master/broker.log"}


def test_identities_are_stable_between_runs_and_unique_within(sample, tmp_path):
    def identities(directory, run):
        write_allure(directory, run, sample.rows())
        read = [json.loads(path.read_text()) for path in directory.glob("*-result.json")]
        return {r["historyId"] for r in read}, {r["uuid"] for r in read}

    one = identities(tmp_path / "1", sample.run())
    two = identities(tmp_path / "2", sample.run().model_copy(update={"id": "another"}))
    assert one[0] == two[0]
    assert len(one[0]) == len(sample.rows())
    assert not one[1] & two[1]


def test_what_was_there_stays_and_an_empty_run_writes_no_result(sample, tmp_path):
    (tmp_path / "other-result.json").write_text("{}")
    assert write_allure(tmp_path, sample.run(), []) == 0
    assert [p.name for p in tmp_path.glob("*-result.json")] == ["other-result.json"]
    assert "seed=20260314" in (tmp_path / "environment.properties").read_text()


def test_any_text_can_be_written(sample, tmp_path):
    row = sample.row("a", Verdict.BROKEN, reason="\ud800\x00" + "x" * 100_000)
    assert write_allure(tmp_path, sample.run(), [row]) == 1
