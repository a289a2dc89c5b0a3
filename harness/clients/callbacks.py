"""What a client library calls of ours, and what becomes of what is raised there."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def answering(answer: Callable[[], T]) -> T:
    """What a callback answers the library. What is raised ends the process, for nobody above would hear of it.

    The C++ library would go on with whatever number it finds in place of an answer: that a message was consumed, or
    that a transaction commits. The gRPC client takes it for a refusal, or hides it in a future that nobody looks at.
    """
    try:
        return answer()
    except BaseException:  # noqa: BLE001  the process ends of it
        traceback.print_exc()
        os._exit(70)
