"""That a demand holds of a history, is broken by a planted defect, and says nothing of an empty one."""

from __future__ import annotations

from harness.checkers.judge import judge
from harness.checkers.metrics import measure
from harness.checkers.planting import plant
from harness.core.expectation import COMPARE, Gates, Require, Rules
from harness.core.history import History
from harness.core.verdict import Verdict

UNHURT = Gates.model_validate(
    {
        "min_acked": 5,
        "min_acked_before_fault": 0,
        **dict.fromkeys(("drained", "healthy", "in_flight_at_fault", "faults_bite", "faults_heal"), False),
    }
)
"""Of a history without faults, that nobody read back."""


def assert_can_break(history: History, demand: Require) -> None:
    """The demand is met, a planted defect breaks it, and of nothing it is inconclusive."""
    rules = Rules(gates=UNHURT, expectations=(demand,))
    assert COMPARE[demand.op](measure(history, demand.metric, demand.params), demand.bound)
    held = judge(history, rules)
    assert held.verdict is Verdict.HELD, held.reason
    bad = plant(history, demand)
    assert bad is not None, "nothing could be planted"
    judged = judge(bad, rules)
    assert judged.verdict is Verdict.BROKEN, judged.reason
    assert judge(History.empty(), rules).verdict is Verdict.INCONCLUSIVE
