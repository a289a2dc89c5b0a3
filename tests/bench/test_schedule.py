"""The simulated schedule: what waits needs no processor, and what works shares them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.schedule import Job, curve, jobs_of, makespan_s
from harness.core.errors import EvidenceError
from tests.matrix.fakes import row

JOBS = tuple(Job(f"j{n}", 60.0, 30.0) for n in range(6))


def test_one_worker_does_one_after_the_other():
    assert makespan_s(JOBS, 1, 2) == pytest.approx(6 * 90)


def test_waiting_overlaps_and_work_shares_the_processors():
    assert makespan_s(JOBS, 6, 16) == pytest.approx(90)
    # Six times thirty seconds of work on one processor: nothing can be quicker.
    assert makespan_s(JOBS, 6, 1) >= 180
    waits = [Job("w", 100.0, 0.0)] * 5
    assert makespan_s(waits, 5, 1) == pytest.approx(100)
    works = [Job("w", 0.0, 100.0)] * 4
    assert makespan_s(works, 4, 2) == pytest.approx(200)


@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)), min_size=1, max_size=8),
    st.integers(1, 8),
    st.integers(1, 8),
)
def test_no_schedule_is_quicker_than_can_be(times, workers, processors):
    jobs = [Job("j", waits, works) for waits, works in times]
    took = makespan_s(jobs, workers, processors)
    total = sum(waits + works for waits, works in times)
    assert took >= max(waits + works for waits, works in times) - 1e-6
    assert took >= sum(works for _waits, works in times) / processors - 1e-6
    assert took >= total / workers - 1e-6
    assert took <= total + sum(works for _waits, works in times) * workers + 1e-6


@pytest.mark.parametrize(("workers", "processors"), [(0, 1), (1, 0)])
def test_nothing_is_done_by_nobody(workers, processors):
    with pytest.raises(ValueError, match="without a worker"):
        makespan_s(JOBS, workers, processors)


def test_a_function_that_judges_two_rows_is_one_job():
    rows = [row("a"), row("b"), row("c", "not-tested")]
    assert jobs_of(rows) == (Job("s", 2.0, 3.0),)


def test_a_run_without_suites_has_no_schedule(tmp_path):
    with pytest.raises(EvidenceError, match=r"no verdicts\.json"):
        curve(tmp_path)
    (tmp_path / "verdicts.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(EvidenceError):
        curve(tmp_path)
