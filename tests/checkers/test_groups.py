"""How a group shares its queues: what counts as owning one, and as taking it over."""

import math
from typing import ClassVar

import pytest

from harness.checkers.metrics import measure
from harness.core.errors import MetricUnavailable
from harness.core.expectation import Require
from harness.core.history import History
from tests.builder import MS, HistoryBuilder
from tests.checkers.teeth import assert_can_break

LOOK = {"group": "g", "during": "look"}


def shared(owners: dict[int, tuple[str, ...]], *, model: str = "clustering", members: int = 2) -> HistoryBuilder:
    """Each queue has messages, before, during and after the step `look`, for its owners; before it c1 has them all."""
    h = HistoryBuilder()
    for n in range(1, members + 1):
        h.consumer(f"c{n}", model=model)

    def round_(name: str, of: dict[int, tuple[str, ...]]) -> None:
        for queue, names in of.items():
            h.send("p1", f"{name}-{queue}").ok(queue=queue)
            for member in names:
                h.deliver(member, f"{name}-{queue}")

    round_("before", {queue: ("c1",) for queue in owners})
    begin = h.time_ns
    h.step("look", took_s=10)
    end, h.time_ns = h.time_ns, begin + 2 * MS
    round_("during", owners)
    assert h.time_ns < end
    h.time_ns = end
    return h


TWO = {0: ("c1",), 1: ("c1",), 2: ("c1",), 3: ("c2",), 4: ("c2",), 5: ("c2",)}


def test_a_queue_belongs_to_who_is_given_its_messages_in_the_step():
    history = shared(TWO).history()
    for which in ("most", "least"):
        assert measure(history, "queues_per_member", LOOK | {"members": 2, "which": which}) == 3
    assert measure(history, "queues_in_use", LOOK) == 6
    assert measure(history, "owners_per_queue", LOOK) == 1


def test_a_member_that_is_given_nothing_has_none():
    history = shared(TWO, members=3).history()
    assert measure(history, "queues_per_member", LOOK | {"members": 3, "which": "least"}) == 0
    assert measure(history, "queues_per_member", LOOK | {"members": 3, "which": "most"}) == 3


def test_a_queue_that_changes_hands_in_the_step_has_two_owners():
    assert measure(shared(TWO | {3: ("c1", "c2")}).history(), "owners_per_queue", LOOK) == 2


@pytest.mark.parametrize("metric", ["queues_in_use", "owners_per_queue"])
def test_a_step_without_deliveries_shows_nothing(metric):
    with pytest.raises(MetricUnavailable, match="nothing"):
        measure(shared({}).history(), metric, LOOK)
    with pytest.raises(MetricUnavailable, match="did not end"):
        measure(shared(TWO).history(), metric, LOOK | {"during": "never"})


def test_the_least_share_is_of_all_that_was_acknowledged():
    everyone = {queue: ("c1", "c2") for queue in range(6)}
    history = shared(everyone, model="broadcasting").history()
    assert measure(history, "least_delivered_ratio", {"group": "g"}) == 0.5, "c2 came after the first half"
    assert measure(shared(TWO, members=3).history(), "least_delivered_ratio", {"group": "g"}) == 0
    with pytest.raises(MetricUnavailable):
        measure(History.empty(), "least_delivered_ratio", {"group": "g"})


def replaced(after_s: float | None = 3.0) -> HistoryBuilder:
    """c1 has queues 0 and 1, c2 has 2; c1 is killed at 10 s; c2 is given of queue 0 at 11 s and of 1 `after_s`."""
    h = HistoryBuilder()
    h.consumer("c1")
    h.consumer("c2")
    for n, (queue, member) in enumerate([(0, "c1"), (1, "c1"), (2, "c2")] * 2):
        h.send("p1", f"m{n}", at_s=8.0 + n / 10).ok(queue=queue)
        h.deliver(member, f"m{n}", at_s=8.05 + n / 10)
    h.fault("kill", "inject", targets=("c1",), lasting=True, at_s=10.0)
    h.fault("kill", "observed", at_s=10.0)
    for id, queue, at_s in (("x2", 2, 10.5), ("x0", 0, 11.0), ("x1", 1, None if after_s is None else 10 + after_s)):
        h.send("p1", id, at_s=10.2).ok(queue=queue)
        if at_s is not None:
            h.deliver("c2", id, at_s=at_s)
    return h


class TestTakenOver:
    KILL: ClassVar = {"group": "g", "window": "kill"}

    def test_the_last_of_its_queues_counts(self):
        assert measure(replaced().history(), "taken_over_s", self.KILL) == pytest.approx(3.0, abs=0.01)

    def test_the_first_of_them_shows_until_when_it_kept_all(self):
        assert measure(replaced().history(), "taken_over_s", self.KILL | {"which": "first"}) == pytest.approx(
            1.0, abs=0.01
        )
        assert measure(replaced(None).history(), "taken_over_s", self.KILL | {"which": "first"}) < 2

    def test_a_queue_that_nobody_takes_is_never_taken(self):
        assert measure(replaced(None).history(), "taken_over_s", self.KILL) == math.inf

    def test_who_had_none_has_none_to_be_taken(self):
        with pytest.raises(MetricUnavailable, match="had no queue"):
            measure(replaced().history(), "taken_over_s", self.KILL | {"looked_back_s": 0.5})

    def test_it_is_about_one_member(self):
        h = replaced()
        h.fault("all", "inject", "observed", targets=("c1", "c2"))
        with pytest.raises(MetricUnavailable, match="hit 2 members"):
            measure(h.history(), "taken_over_s", {"group": "g", "window": "all"})


@pytest.mark.parametrize(
    ("metric", "op", "bound", "params"),
    [
        ("queues_per_member", "==", 3, LOOK | {"members": 2, "which": "most"}),
        ("queues_per_member", "==", 3, LOOK | {"members": 2, "which": "least"}),
        ("owners_per_queue", "==", 1, LOOK),
        ("queues_in_use", "==", 6, LOOK),
        ("least_delivered_ratio", ">=", 0.2, {"group": "g"}),
        ("taken_over_s", "<=", 5, {"group": "g", "window": "kill"}),
        ("taken_over_s", ">=", 1, {"group": "g", "window": "kill"}),
    ],
)
def test_each_can_be_made_to_break(metric, op, bound, params):
    history = (replaced() if "window" in params else shared(TWO)).history()
    assert_can_break(history, Require(metric=metric, op=op, bound=bound, params=params))
