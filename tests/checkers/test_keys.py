"""Order of a key without places: what is late is seen, what may be so is not."""

from __future__ import annotations

import pytest

from harness.checkers.finders import find
from harness.checkers.planting import plant
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Forbid
from tests.builder import HistoryBuilder


def ordered(given: str, *, sent: int = 6, unknown: tuple[int, ...] = (), listener: str = "orderly"):
    """A producer with two keys; its messages count from 1, so that the odd ones are one key and the even the other."""
    h = HistoryBuilder()
    h.hello("p-1", role="producer", mode="orderly", keys=2)
    h.consumer("c-1", "g", listener=listener)
    for n in range(1, sent + 1):
        send = h.send("p-1", f"p-1-{n}")
        if n in unknown:
            send.info()
        else:
            send.ok()
    for word in given.split():
        h.deliver("c-1", f"p-1-{word}")
    return h.history()


@pytest.mark.parametrize(
    ("given", "late"),
    [
        ("1 2 3 4 5 6", 0),
        ("2 4 6 1 3 5", 0),
        ("1 1 2 3 1 2 4 5 6", 0),
        ("3 1 2 4 5 6", 1),
        ("5 3 1 6 2 4", 4),
        ("1 2 5 6", 0),
        ("1 2 5 3 4 6", 1),
    ],
)
def test_what_came_after_a_later_one_of_its_key_is_late(given: str, late: int) -> None:
    found = find(ordered(given), "reordered-key", {"group": "g"})
    assert found.count == late
    assert found.of == len(set(given.split()))


def test_what_was_not_acknowledged_may_have_been_stored_whenever() -> None:
    assert find(ordered("3 1 2 4 5 6", unknown=(1,)), "reordered-key", {}).count == 0
    assert find(ordered("3 1 2 4 5 6", unknown=(3,)), "reordered-key", {}).count == 0


def test_producers_do_not_wait_for_each_other() -> None:
    h = HistoryBuilder()
    h.consumer("c-1", "g", listener="orderly")
    for name in ("p-1", "p-2"):
        h.hello(name, role="producer", mode="orderly", keys=1)
        h.send(name, f"{name}-1").ok()
    for name in ("p-2-1", "p-1-1"):
        h.deliver("c-1", name)
    assert find(h.history(), "reordered-key", {}).count == 0


def test_without_order_there_is_nothing_to_judge() -> None:
    with pytest.raises(MetricUnavailable, match="no producer sent in order"):
        find(ordered("1 2", listener="concurrent"), "reordered-key", {})
    assert find(ordered("3 1", listener="concurrent"), "reordered-key", {"group": "g"}).count == 1


@pytest.mark.parametrize("params", [{}, {"group": "g"}])
def test_the_planted_defect_is_one(params) -> None:
    history = ordered("1 2 3 4 5 6 1 2")
    bad = plant(history, Forbid(anomaly="reordered-key", params=params))
    assert bad is not None
    assert find(bad, "reordered-key", params).count == 1
    quiet = ("undelivered", "phantom", "redelivered")
    assert [find(bad, kind, {}).count for kind in quiet] == [find(history, kind, {}).count for kind in quiet]
    assert plant(ordered("1 2"), Forbid(anomaly="reordered-key", params=params)) is None
