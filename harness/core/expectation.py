"""What a scenario demands of its history: plain data, so that a stored run can be judged again."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Op = Literal["==", "!=", "<", "<=", ">", ">="]
COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Data(BaseModel):
    """Base of everything that is stored and loaded again: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Forbid(Data):
    """No anomaly of this kind may be found (`params` narrow the finder: phase, replicas, window...)."""

    kind: Literal["forbid"] = "forbid"
    anomaly: str
    params: dict[str, Any] = Field(default_factory=dict)

    def text(self) -> str:
        """The demand in words."""
        return f"0 {self.anomaly}" + _params_text(self.params)

    def names(self) -> frozenset[str]:
        """What the catalogue may call it: the anomaly, with or without its parameters."""
        return frozenset({self.anomaly, self.anomaly + _params_text(self.params)})


class Require(Data):
    """A metric of the history must compare to a bound. One that cannot be computed is neither met nor violated."""

    kind: Literal["require"] = "require"
    metric: str
    op: Op
    bound: float
    params: dict[str, Any] = Field(default_factory=dict)

    def text(self) -> str:
        """The demand in words."""
        return f"{self.metric}{_params_text(self.params)} {self.op} {self.bound:g}"

    def names(self) -> frozenset[str]:
        """What the catalogue may call it: the metric, with or without its parameters, or what was observed."""
        whole = self.metric + _params_text(self.params)
        return frozenset({str(self.params["name"])} if self.metric == "observed" else {self.metric}) | {whole}


Expectation = Annotated[Forbid | Require, Field(discriminator="kind")]


class Gates(Data):
    """Assumptions of a scenario: what must be true before its verdict means anything.

    Lower `min_acked` only where the load is itself the point, and say so in the scenario's text. `also` are metrics
    that show that enough was looked at (sends did meet the fault): unmet, nothing is held, and a violation that was
    seen is one all the same. `preconditions` show that what is judged could be as it must at all: unmet, no violation
    is one either.
    """

    min_acked: int = 5000
    min_acked_before_fault: int = 200
    before_fault_s: float = 2.0
    in_flight_at_fault: bool = True
    faults_bite: bool = True
    faults_heal: bool = True
    drained: bool = True
    drained_phase: str = "final"
    healthy: bool = True
    deliveries: bool = False
    also: tuple[Require, ...] = ()
    preconditions: tuple[Require, ...] = ()


class Rules(Data):
    """Everything a judge needs besides the history."""

    gates: Gates = Field(default_factory=Gates)
    expectations: tuple[Expectation, ...] = ()


def _params_text(params: dict[str, Any]) -> str:
    if not params:
        return ""
    return "(" + ", ".join(f"{k}={v}" for k, v in sorted(params.items())) + ")"
