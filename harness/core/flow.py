"""What a broker says when it refuses a send because it waited too long in its queue, and what that is worth."""

from __future__ import annotations

import re
from typing import Final

SYSTEM_BUSY: Final = 2
MOMENT_MS: Final = 2000
"""As long as a machine with more to do than it can may keep a thread waiting. The product's own limit is 200 ms
(waitTimeMillsInSendQueue) where a topology leaves it as shipped, and ten seconds where it does not."""

WAITED: Final = r"\[(?:TIMEOUT|PCBUSY)_CLEAN_QUEUE\].*period in queue: (\d+)ms"
"""In the remark or the exception's text; the group is how long it waited, ms."""


def waited_a_moment(code: int, text: str | None) -> bool:
    """The broker refused it for a wait so short that a busy machine explains it as well as a busy broker."""
    found = re.search(WAITED, text or "")
    return code == SYSTEM_BUSY and found is not None and int(found[1]) < MOMENT_MS
