"""What needs no look at the cluster: time that passes, and earlier observations compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.waiting import pause_s
from harness.workloads.probes.base import Probe

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class Same(Probe):
    """Whether two earlier observations are equal."""

    kind: Literal["same"] = "same"
    first: str
    second: str

    def run(self, stage: Stage) -> bool:
        """True if they are."""
        return bool(stage.recall(self.first) == stage.recall(self.second))


class Elapse(Probe):
    """Lets a stated time pass while the load goes on."""

    kind: Literal["elapse"] = "elapse"
    seconds: float

    def waits_for_product(self) -> bool:
        """What is waited for is a timer of the product's."""
        return True

    def run(self, stage: Stage) -> float:
        """The seconds that were asked for."""
        stage.wait(self.seconds, pause_s)
        return self.seconds
