from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from harness.core.errors import EvidenceError
from harness.core.verdict import Verdict
from harness.report.rows import Control, Row, Standing, exit_code, parse_verdicts, standing, verdicts_json

KNOWN = {"known": "it never worked", "expected": Verdict.BROKEN}
BAD_CONTROL = Control(kind="product", expected="loss", observed="none", ok=False)


@pytest.fixture
def row(sample):
    return sample.row


def test_the_document_survives_a_round_trip(sample):
    run, rows = sample.run(), tuple(sample.rows())
    assert parse_verdicts(verdicts_json(run, rows)) == (run, rows)


def test_the_document_has_the_promised_keys(sample):
    document = json.loads(verdicts_json(sample.run(), sample.rows()))
    assert list(document) == ["schema", "run", "guarantees"]
    assert document["schema"] == 1
    promised = {"id", "topology", "rocketmq", "java", "client", "runtime", "timers", "known", "verdict", "reason"}
    for entry in document["guarantees"]:
        assert promised | {"figures", "control", "scenarios"} <= set(entry)
    assert {entry["verdict"] for entry in document["guarantees"]} == {"held", "broken", "inconclusive", "not-tested"}
    assert {"name", "seed", "history", "acked", "lost"} <= set(document["guarantees"][0]["scenarios"][0])
    assert {"expected", "observed"} <= set(document["guarantees"][0]["control"])


def test_the_control_carries_its_evidence_and_older_documents_without_it_are_read(sample, row):
    control = {"kind": "product", "expected": "broken", "observed": "broken", "ok": True}
    full = Control(**control, scenarios=("1m/kill--worse",), why="it must lose", reason="48 lost of 5,077")
    document = json.loads(verdicts_json(sample.run(), [row("a", control=full)]))
    entry = document["guarantees"][0]
    assert entry["control"]["scenarios"] == ["1m/kill--worse"]
    assert (entry["control"]["why"], entry["control"]["reason"]) == ("it must lose", "48 lost of 5,077")
    assert parse_verdicts(json.dumps(document))[1][0].control == full
    for name in ("scenarios", "why", "reason"):
        del entry["control"][name]
    assert parse_verdicts(json.dumps(document))[1][0].control == Control(**control)


@pytest.mark.parametrize("name", ["/root/x", "../../x", "~/x"])
def test_a_control_lies_below_the_run(name):
    with pytest.raises(ValidationError, match="relative"):
        Control(kind="product", expected="broken", observed="broken", ok=True, scenarios=(name,))


def test_an_empty_run_is_a_document(sample):
    assert parse_verdicts(verdicts_json(sample.run(), []))[1] == ()


def test_figures_that_are_no_numbers_become_null(sample, row):
    text = verdicts_json(sample.run(), [row("a", figures={"rto_s": float("inf"), "p": [float("nan")]})])
    assert json.loads(text)["guarantees"][0]["figures"] == {"rto_s": None, "p": [None]}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d.update(schema=2), "schema 2"),
        (lambda d: d.update(schema=True), "schema True"),
        (lambda d: d.update(more=1), "exactly the keys"),
        (lambda d: d.pop("run"), "exactly the keys"),
        (lambda d: d.update(guarantees={}), "list of rows"),
        (lambda d: d["guarantees"][0].update(surprise=1), "surprise"),
        (lambda d: d["guarantees"][0].update(verdict="fine"), "verdict"),
        (lambda d: d["guarantees"][0].update(known=True), "known"),
        (lambda d: d["guarantees"][0].update(java=25), "java"),
        (lambda d: d["guarantees"][0].pop("topology"), "topology"),
        (lambda d: d["guarantees"][0]["scenarios"][0].update(history="/root/h"), "relative"),
        (lambda d: d["guarantees"][0]["scenarios"][0].update(history="../../h"), "relative"),
        (lambda d: d["guarantees"].append(d["guarantees"][0]), "two rows"),
        (lambda d: d["run"].update(seed="1"), "seed"),
    ],
)
def test_anything_else_is_refused(sample, damage, message):
    document = json.loads(verdicts_json(sample.run(), sample.rows()))
    damage(document)
    with pytest.raises(EvidenceError, match=message):
        parse_verdicts(json.dumps(document))


def test_a_document_cut_short_is_refused(sample):
    with pytest.raises(EvidenceError, match="not JSON"):
        parse_verdicts(verdicts_json(sample.run(), sample.rows())[:500])


def test_two_rows_of_one_guarantee_are_not_written(sample, row):
    with pytest.raises(EvidenceError, match="two rows"):
        verdicts_json(sample.run(), [row("a"), row("a")])
    assert verdicts_json(sample.run(), [row("a"), row("a", timers="documented")])


@pytest.mark.parametrize(
    "given",
    [
        {"known": ""},
        {"known": "why"},
        {"expected": Verdict.BROKEN},
        {"expected": Verdict.INCONCLUSIVE},
        {"verdict": Verdict.BROKEN},
        {"timers": "slow"},
    ],
)
def test_rows_that_contradict_themselves_are_refused(given):
    base = {"id": "a", "topology": "t", "rocketmq": "5", "java": "25", "client": "java", "runtime": "local"}
    with pytest.raises(ValidationError):
        Row(**{**base, "timers": "fast", "verdict": Verdict.HELD, **given})


@pytest.mark.parametrize(
    ("verdict", "given", "stand", "code", "strict_code"),
    [
        (Verdict.HELD, {}, Standing.HELD, 0, 0),
        (Verdict.HELD, KNOWN, Standing.HELD_UNEXPECTEDLY, 1, 1),
        (Verdict.HELD, {"figure": True}, Standing.MEASURED, 0, 0),
        (Verdict.HELD, {"figure": True, "control": BAD_CONTROL}, Standing.INCONCLUSIVE, 6, 6),
        (Verdict.BROKEN, {"figure": True}, Standing.BROKEN, 1, 1),
        (Verdict.BROKEN, {}, Standing.BROKEN, 1, 1),
        (Verdict.BROKEN, KNOWN, Standing.KNOWN_BROKEN, 0, 1),
        (Verdict.INCONCLUSIVE, {}, Standing.INCONCLUSIVE, 6, 6),
        (Verdict.INCONCLUSIVE, KNOWN, Standing.INCONCLUSIVE, 6, 6),
        (Verdict.NOT_TESTED, {}, Standing.NOT_TESTED, 0, 1),
        (Verdict.NOT_TESTED, KNOWN, Standing.NOT_TESTED, 0, 1),
        (Verdict.NOT_TESTED, {"missing": "loop-device"}, Standing.NOT_TESTED, 6, 1),
        (Verdict.NOT_TESTED, {"infrastructure": True}, Standing.NOT_TESTED, 6, 1),
        (Verdict.HELD, {"missing": "loop-device"}, Standing.HELD, 6, 6),
        (Verdict.HELD, {"infrastructure": True}, Standing.HELD, 6, 6),
        (Verdict.HELD, {"scenarios": ()}, Standing.INCONCLUSIVE, 6, 6),
        (Verdict.HELD, {"control": BAD_CONTROL}, Standing.INCONCLUSIVE, 6, 6),
        (Verdict.HELD, {"scenarios": (), **KNOWN}, Standing.INCONCLUSIVE, 6, 6),
        (Verdict.BROKEN, {"control": BAD_CONTROL}, Standing.BROKEN, 1, 1),
        (Verdict.BROKEN, {"scenarios": ()}, Standing.BROKEN, 1, 1),
    ],
)
def test_standing_and_exit_code_of_one_row_beside_a_good_one(row, verdict, given, stand, code, strict_code):
    judged = row("judged", verdict, **given)
    assert standing(judged) is stand
    assert exit_code([row("good"), judged])[0] == code
    assert exit_code([judged, row("good")], strict=True)[0] == strict_code


def test_a_known_broken_row_that_violates_another_demand_is_broken(row):
    known = row("judged", Verdict.BROKEN, **KNOWN)
    scenario = known.scenarios[0]
    assert standing(known) is Standing.KNOWN_BROKEN
    other = known.model_copy(update={"scenarios": (scenario.model_copy(update={"unexpected": ("0 lost",)}),)})
    assert standing(other) is Standing.BROKEN
    assert exit_code((other,))[0] == 1
    assert "0 lost" in other.known_text


def test_a_tolerated_capability_is_no_trouble_unless_strict(row):
    rows = [row("good"), row("eio", Verdict.NOT_TESTED, missing="loop-device")]
    assert exit_code(rows, allow_missing=["loop-device"])[0] == 0
    assert exit_code(rows, allow_missing=["docker"])[0] == 6
    assert exit_code(rows, allow_missing=["loop-device"], strict=True)[0] == 1


def test_broken_outranks_inconclusive(row):
    assert exit_code([row("a", Verdict.INCONCLUSIVE), row("b", Verdict.BROKEN)])[0] == 1


@pytest.mark.parametrize("strict", [False, True])
def test_nothing_executed_is_an_error(row, strict):
    for rows in ([], [row("a", Verdict.NOT_TESTED)]):
        code, line = exit_code(rows, strict=strict)
        assert code == 6
        assert line.startswith("no scenario was executed")


def test_the_last_line_of_the_design(row):
    rows = [row(f"h{n}") for n in range(37)]
    rows += [row(f"k{n}", Verdict.BROKEN, **KNOWN) for n in range(2)]
    rows += [row(f"n{n}", Verdict.NOT_TESTED) for n in range(5)]
    assert exit_code(rows) == (0, "37 held, 2 known broken, 5 not tested of 44 promised")


def test_the_last_line_names_the_unusual_only_when_it_happened(row):
    rows = [row("a"), row("b", Verdict.HELD, **KNOWN), row("c", Verdict.BROKEN), row("d", Verdict.INCONCLUSIVE)]
    expected = (
        "1 held, 1 held though expected broken, 1 broken, 0 known broken, 1 inconclusive, 0 not tested of 4 promised"
    )
    assert exit_code(rows) == (1, expected)
