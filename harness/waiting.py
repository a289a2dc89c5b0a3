"""Waiting for what must be seen, with a deadline and a message: the only place where the harness sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.core.errors import WaitTimeout

T = TypeVar("T")


def wait_for(
    probe: Callable[[], T | None],
    *,
    what: str,
    timeout_s: float,
    poll_s: float = 0.05,
    last_seen: Callable[[], str] | None = None,
) -> T:
    """Calls `probe` until it returns something truthy, and returns that.

    Exceptions of the probe are the caller's: a probe that may fail transiently returns None itself.
    Raises `WaitTimeout` naming `what`, the time waited and what was last seen.
    """
    retrying = Retrying(
        stop=stop_after_delay(timeout_s),
        wait=wait_fixed(poll_s),
        retry=retry_if_result(lambda seen: not seen),
    )
    started = time.monotonic()
    try:
        seen = retrying(probe)
    except RetryError:
        waited = time.monotonic() - started
        seen_text = last_seen() if last_seen is not None else "nothing"
        raise WaitTimeout(f"waited {waited:.1f} s for {what}; last seen: {seen_text}") from None
    assert seen is not None
    return seen


def pause_s(seconds: float) -> None:
    """Lets a stated time pass: for schedules (a fault at second 10), never to be safe."""
    if seconds > 0:
        time.sleep(seconds)  # noqa: TID251
