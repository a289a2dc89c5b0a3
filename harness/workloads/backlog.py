"""Something that is to become nothing, look by look: how much there was at the end, and whether it still got less."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.core.names import DRAIN, QUIET_S

__all__ = ["DRAIN", "QUIET_S", "Backlog"]


class Backlog:
    """Watches a count go down while nothing new is added to it. The first look is where it starts and no progress.

    It does not tell a product that is slow from a machine that is.
    """

    def __init__(self, timeout_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """`timeout_s` is how long one will look: of a short wait the last half must have been quiet."""
        self._quiet_s = min(QUIET_S, timeout_s / 2)
        self._now_s = now_s
        self._missing: int | None = None
        self._shrank_s: float | None = None

    def saw(self, missing: int) -> int:
        """Takes the next look, and returns what was seen."""
        if self._missing is not None and missing < self._missing:
            self._shrank_s = self._now_s()
        self._missing = missing
        return missing

    def seen(self) -> dict[str, Any]:
        """`{"all", "missing", "progressing", "quiet_s"}`: the last is how long it had not got less, null if never."""
        quiet_s = None if self._shrank_s is None else self._now_s() - self._shrank_s
        return {
            "all": self._missing == 0,
            "missing": self._missing,
            "progressing": bool(self._missing) and quiet_s is not None and quiet_s < self._quiet_s,
            "quiet_s": quiet_s,
        }
