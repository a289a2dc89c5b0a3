"""What a consumer's refusal of a message means: that it is owed again, or that it was given up."""

from __future__ import annotations

from collections.abc import Mapping

_ATTEMPTS = 16


def last_attempt(config: Mapping[str, object]) -> int | None:
    """The attempt (0 = the first) whose refusal ends the matter for such a consumer; None: none does.

    What a concurrent consumer refuses once more after `max_reconsume` attempts (16 unless it says otherwise) becomes a
    dead letter, by the limit of the consumer that refuses; one that broadcasts is never given again what it refused. An
    orderly one, also of those, is given it without end unless it sets a limit. Source:
    ConsumeMessageConcurrentlyService.processConsumeResult, ConsumeMessageOrderlyService.getMaxReconsumeTimes, 4.9.7 and
    5.3.3.
    """
    orderly = config.get("listener") == "orderly"
    if config.get("model") == "broadcasting" and not orderly:
        return 0
    said = config.get("max_reconsume")
    if isinstance(said, int) and said >= 0:
        return said
    return None if orderly else _ATTEMPTS
