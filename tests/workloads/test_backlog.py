import pytest

from harness.workloads.backlog import Backlog


def looks(timeout_s: float, *seen: tuple[float, int], end_s: float) -> dict[str, object]:
    now = [0.0]
    backlog = Backlog(timeout_s, lambda: now[0])
    for at_s, missing in seen:
        now[0] = at_s
        assert backlog.saw(missing) == missing
    now[0] = end_s
    return backlog.seen()


@pytest.mark.parametrize(
    ("timeout_s", "seen", "end_s", "progressing"),
    [
        (60, [(0, 90), (30, 50), (59, 10)], 60, True),
        (60, [(0, 90), (30, 50), (41, 10), (59, 10)], 60, True),
        (60, [(0, 90), (30, 10), (59, 10)], 60, False),
        (60, [(0, 10), (59, 10)], 60, False),
        (60, [(0, 10), (59, 12)], 60, False),
        (8, [(0, 10), (3, 2), (7, 2)], 8, False),
        (8, [(0, 10), (5, 2), (7, 2)], 8, True),
        (60, [(0, 90), (59, 0)], 60, False),
        (60, [], 60, False),
    ],
)
def test_progress_is_getting_less_of_late(timeout_s, seen, end_s, progressing) -> None:
    assert looks(timeout_s, *seen, end_s=end_s)["progressing"] is progressing


def test_what_is_recorded() -> None:
    assert looks(60, (0, 9), (10, 2), end_s=60) == {"all": False, "missing": 2, "progressing": False, "quiet_s": 50}
    assert looks(60, (0, 0), end_s=1) == {"all": True, "missing": 0, "progressing": False, "quiet_s": None}
