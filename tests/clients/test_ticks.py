import time

from harness.clients.ticks import Ticker
from harness.waiting import pause_s, wait_for


def test_a_process_that_gets_on_says_nothing() -> None:
    told: list[tuple[int, int]] = []
    ticker = Ticker(lambda *span: told.append(span), tick_s=0.01, late_s=20)
    pause_s(0.1)
    ticker.close()
    assert told == []


def test_a_late_tick_is_told_with_both_its_ends() -> None:
    told: list[tuple[int, int]] = []
    began_ns = time.monotonic_ns()
    ticker = Ticker(lambda *span: told.append(span), tick_s=0.05, late_s=-0.05)
    wait_for(lambda: len(told) > 1, what="late ticks", timeout_s=5)
    ticker.close()
    assert began_ns <= told[0][0] < told[0][1] <= told[1][0] < time.monotonic_ns()
