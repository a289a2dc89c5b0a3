"""Which batches a consumer says it failed on: what its configuration asks for, the same for every client."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from harness.clients.config import ConsumerConfig


class Refusals:
    """Counts the batches of one consumer, from whichever threads they are given to it."""

    def __init__(self, config: ConsumerConfig) -> None:
        self._every = config.fail_every
        self._attempts = config.fail_attempts
        self._batches = itertools.count(1)

    def refuses(self, came_before: Iterable[int]) -> bool:
        """Whether this batch is to come again; `came_before` is how often each of its messages did, asked if need be.

        Each `fail_every`-th batch is refused, and with `fail_attempts` only one whose messages all came less often.
        """
        if not self._every or next(self._batches) % self._every:
            return False
        return not self._attempts or all(times < self._attempts for times in came_before)
