"""What needs no look at the cluster: time that passes, and earlier observations compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.waiting import pause_s
from harness.workloads.probes.base import Probe

if TYPE_CHECKING:
    from harness.workloads.stage import Stage


class Same(Probe):
    """Whether two earlier observations are equal. Null if one of them is empty or partial: that proves neither."""

    SEEN: ClassVar[frozenset[str] | None] = frozenset()
    kind: Literal["same"] = "same"
    first: str
    second: str

    def run(self, stage: Stage) -> bool | None:
        """True if they are, None if it cannot be told: one of them saw nothing, or not everything (see `Snapshot`)."""
        first, second = stage.recall(self.first), stage.recall(self.second)
        if _partial(first) or _partial(second):
            return None
        if first == second:
            return True if _tells(first) else None
        return False


def _partial(value: Any) -> bool:
    """It is null or empty, or holds a null, or says who was silent, or has a table of nobody's answers."""
    if isinstance(value, Mapping):
        told = {key: part for key, part in value.items() if key != "silent"}
        return (
            not told
            or bool(value.get("silent"))
            or any(part in ({}, []) or _holds_null(part) for part in told.values())
        )
    return value is None or value in ([], "") or _holds_null(value)


def _holds_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_null, value.values()))
    if isinstance(value, list):
        return any(map(_holds_null, value))
    return value is None


def _tells(value: Any) -> bool:
    """There is a figure or a word anywhere in it."""
    if isinstance(value, Mapping):
        return any(map(_tells, value.values()))
    if isinstance(value, list):
        return any(map(_tells, value))
    return value is not None


class Elapse(Probe):
    """Lets a stated time pass while the load goes on."""

    WAITS: ClassVar[bool] = True
    SEEN: ClassVar[frozenset[str] | None] = frozenset()
    kind: Literal["elapse"] = "elapse"
    seconds: float

    def run(self, stage: Stage) -> float:
        """The seconds that were asked for."""
        stage.wait(self.seconds, pause_s)
        return self.seconds
