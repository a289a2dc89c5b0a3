"""What a consumer's refusal of a message means: that it is owed again, or that it was given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_ATTEMPTS = 16


def last_attempt(configs: Iterable[Mapping[str, object]]) -> int | None:
    """The attempt (0 = the first) whose refusal ends the matter for a group of such consumers; None: none does.

    What a concurrent consumer refuses once more after `max_reconsume` attempts (16 unless it says otherwise) becomes a
    dead letter; a broadcasting one is never given again what it refused; an orderly one that sets no limit is given it
    without end. Source: ConsumeMessageConcurrentlyService.processConsumeResult,
    ConsumeMessageOrderlyService.getMaxReconsumeTimes, 4.9.7 and 5.3.3.
    """
    lasts = [_last_of(config) for config in configs]
    known = [last for last in lasts if last is not None]
    return max(known) if known and len(known) == len(lasts) else None


def _last_of(config: Mapping[str, object]) -> int | None:
    if config.get("model") == "broadcasting":
        return 0
    said = config.get("max_reconsume")
    if isinstance(said, int) and said >= 0:
        return said
    return None if config.get("listener") == "orderly" else _ATTEMPTS
