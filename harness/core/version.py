"""A product version that can be compared: `5.3.3 < 5.10.0`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from harness.core.errors import UsageError

_SHAPE = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[-.]([0-9A-Za-z][0-9A-Za-z.-]*))?")


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """A RocketMQ version: three numbers and, for a candidate, what follows them (`5.4.0-SNAPSHOT`).

    Ordering is by the numbers; a version with a suffix comes before the release of the same numbers.
    Also compares with a tuple of numbers: `version >= (5, 2)`.
    """

    major: int
    minor: int
    patch: int
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Reads `5.3.3` or `5.4.0-SNAPSHOT`. Raises `UsageError` for anything else."""
        match = _SHAPE.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"{text!r} is not a version: write three numbers, such as 5.3.3")
        major, minor, patch, suffix = match.groups()
        return cls(int(major), int(minor), int(patch), suffix or "")

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The three numbers alone."""
        return (self.major, self.minor, self.patch)

    def __str__(self) -> str:
        dotted = f"{self.major}.{self.minor}.{self.patch}"
        return f"{dotted}-{self.suffix}" if self.suffix else dotted

    def _key(self) -> tuple[tuple[int, int, int], bool, str]:
        return (self.numbers, not self.suffix, self.suffix)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Version):
            return self._key() == other._key()
        if isinstance(other, tuple):
            return self.numbers[: len(other)] == other
        return NotImplemented

    def __lt__(self, other: object) -> bool:
        if isinstance(other, Version):
            return self._key() < other._key()
        if isinstance(other, tuple):
            return self.numbers[: len(other)] < other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())
