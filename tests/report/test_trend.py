from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest

from harness.core.verdict import Verdict
from harness.report.past import Past, courses
from harness.report.rows import Run, ScenarioRow
from harness.report.trend import trend, trend_words, values
from tests.report.nights import KILL, row

INF = math.inf


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ([], ""),
        ([None, None], ""),
        ([1.5], "once 1.5 s"),
        ([None, 1.5], "once 1.5 s; 1 without"),
        ([1.5, 0.25, 3.0], "min 0.25 s, max 3 s, last 3 s"),
        ([1.5, INF, 3.0], "min 1.5 s, max 3 s, last 3 s; 1 of 3: no end seen"),
        ([1.5, None, INF], "min 1.5 s, max 1.5 s, last no end seen; 1 of 2: no end seen; 1 without"),
        ([INF, INF], "last no end seen; 2 of 2: no end seen"),
    ],
)
def test_a_figure_in_words(of, words):
    assert trend_words("rto_max_s", of) == words
    assert (trend("rto_max_s", of) == "") == (words == "")


def test_throughput_is_per_second():
    assert trend_words("ok_per_s", [512.4, 480.0]) == "min 480/s, max 512/s, last 480/s"


@pytest.mark.parametrize("of", [[0.0], [0.0, 0.0], [INF], [1.0, INF, None, 2.0, 3.0, None, 4.0, 5.0]])
def test_the_drawing_is_wellformed_and_inside_its_box(of):
    drawn = ET.fromstring(trend("rto_max_s", of))
    assert len(drawn.findall("circle")) == sum(value is not None and math.isfinite(value) for value in of)
    assert len(drawn.findall("path")) == of.count(INF)
    for circle in drawn.findall("circle"):
        assert 0 <= float(circle.get("cx")) <= 150
        assert 0 <= float(circle.get("cy")) <= 34
    assert len(drawn.findall("polyline")) == (2 if len(of) == 8 else 1 if len(of) == 2 else 0)


def course(*rows):
    pasts = [
        Past(str(day), "", datetime(2026, 12, day, tzinfo=UTC), Run(id=str(day), seed=1, started_utc=""), (one,))
        for day, one in enumerate(rows, 1)
    ]
    (only,) = courses(pasts)
    return only


def scenario(name, rto_s, verdict=Verdict.HELD):
    return ScenarioRow(name=name, seed=1, history="h", verdict=verdict, figures={"rto_max_s": rto_s})


def test_a_line_is_of_one_scenario_and_of_verdicts():
    both = (scenario("a", 1.0), scenario("b", 9.0))
    of = course(
        row(KILL, scenarios=both),
        row(KILL, scenarios=both[1:]),
        row(KILL, "inconclusive", scenarios=(scenario("a", 7.0, Verdict.INCONCLUSIVE),)),
        row(KILL, scenarios=(scenario("a", "inf"),)),
        row(KILL, scenarios=(scenario("a", None),)),
        row(KILL, scenarios=(scenario("a", True),)),
        row(KILL, scenarios=(scenario("b", 9.0), scenario("a", 2))[::-1]),
    )
    assert values(of, "rto_max_s", 30) == (1.0, None, None, INF, None, None, 2.0)
    assert values(of, "rto_max_s", 2) == (None, 2.0)


def test_a_course_knows_what_lasts_and_what_was_last_sure():
    of = course(row(KILL), row(KILL, "inconclusive"), row(KILL, "broken"), row(KILL, "broken"))
    assert not of.changed
    assert of.sure is None
    assert [one.past.place for one in of.lasting] == ["3", "4"]
    assert course(row(KILL)).before is None
    assert course(row(KILL), row(KILL, "inconclusive"), row(KILL, "not-tested")).sure.past.place == "1"
