"""A run that is told to end, by whomever: what had ended is published, and nothing is left running."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def end_as_by_hand() -> Callable[[], None]:
    """SIGTERM ends the run as Ctrl-C does: CI, systemd and timeout(1) send that one. Returns what undoes it.

    A second one while the first is being obeyed changes nothing: what it would break off is the removal of the cluster.
    Where another thread than the main one runs pytest, signals are not ours.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    def obey(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, obey)

    def undo() -> None:
        signal.signal(signal.SIGTERM, before)

    return undo
