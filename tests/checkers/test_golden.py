import json
from pathlib import Path

import polars as pl
import pytest

from harness.checkers.judge import judge
from harness.core.expectation import Rules
from harness.core.history import RAW_SCHEMA, History

HISTORIES = Path(__file__).resolve().parent.parent / "histories"
NAMES = sorted(path.stem for path in HISTORIES.glob("*.jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_golden_history(name):
    expected = json.loads((HISTORIES / f"{name}.json").read_text())
    raw = pl.read_ndjson(HISTORIES / f"{name}.jsonl", schema=RAW_SCHEMA)
    judged = judge(History.from_raw(raw), Rules.model_validate(expected["rules"]))
    assert judged.verdict.value == expected["verdict"], judged.reason
    assert expected["reason"] in judged.reason


def test_there_are_some_of_each_verdict():
    verdicts = {json.loads((HISTORIES / f"{name}.json").read_text())["verdict"] for name in NAMES}
    assert verdicts == {"held", "broken", "inconclusive"}
