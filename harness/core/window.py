"""When a fault was in force, and whether it was seen to bite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One fault from its injection to its observed recovery. Instants are monotonic nanoseconds, None = never.

    `observed_ns` is set only when the damage itself was seen (the port refused, the datagram missing), never
    from an exit code. A fault that is meant to last (a kill without restart) has `heal_ns` None.
    """

    name: str
    fault: str
    targets: tuple[str, ...]
    inject_ns: int
    observed_ns: int | None = None
    heal_ns: int | None = None
    recovered_ns: int | None = None
    lasting: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bit(self) -> bool:
        """The damage was observed."""
        return self.observed_ns is not None

    @property
    def recovered(self) -> bool:
        """The heal was observed, or the fault was meant to last."""
        return self.recovered_ns is not None or self.lasting
