"""Nodes that want a processor and have none: by what the kernel counts, made up, and of a process of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtime.starving import Lack, ProcessorPulse, Turns, lacks, threads_of
from harness.waiting import pause_s, wait_for

S = 1_000_000_000
BUSY = Turns(ran_ns=S // 10, waited_ns=S // 5, count=900)
"""A thread of a broker on a busy machine: a look every two milliseconds, a fraction of one in wait each time."""
STARVED = Turns(ran_ns=S // 100, waited_ns=int(1.7 * S), count=6)
SELDOM = Turns(ran_ns=S // 1000, waited_ns=S // 5, count=2)
"""One that wants a processor now and then, and waits for it for a tenth of a second."""


def seen(*threads: Turns, processors: int = 2, others: tuple[Turns, ...] = (BUSY,)) -> dict[str, Lack]:
    return dict(lacks({"broker-a-0": threads, "broker-b-0": others}, 10 * S, 12 * S, processors))


def test_threads_that_take_turns_are_not_starved():
    assert seen(BUSY, BUSY) == {}
    # Ten at each processor, which all want it all the time: 27 ms of each 30.
    assert seen(*[Turns(S // 5, int(1.8 * S), 66)] * 3) == {}
    # Twenty-five: 72 ms of each 75. Fifty: 147 of each 150.
    assert seen(*[Turns(S // 10, int(1.9 * S), 26)] * 3) == {}
    lack = seen(*[Turns(S // 20, int(1.9 * S), 13)] * 3, BUSY)["broker-a-0"]
    assert (lack.from_ns, lack.to_ns, lack.waited_s) == (10 * S, 12 * S, 1.9)
    assert lack.each_s == pytest.approx(1.9 / 13, rel=0.1)
    assert (lack.ran, lack.long, lack.used) == (4, 3, pytest.approx(0.35 / 4, abs=0.001))


def test_who_waits_longest_says_for_how_long():
    lack = seen(STARVED, SELDOM, SELDOM)["broker-a-0"]
    assert (lack.waited_s, lack.each_s) == (1.7, pytest.approx(0.2484, abs=1e-3))


def test_one_thread_alone_proves_nothing():
    """A kernel may count its sleep, and one that was let down by the scheduler is not the node."""
    assert seen(Turns(1, 20 * S, 1)) == {}
    assert seen(STARVED, *[BUSY] * 3) == {}
    assert seen(STARVED, SELDOM, *[BUSY] * 6).keys() == {"broker-a-0"}
    assert seen(STARVED, SELDOM, *[BUSY] * 7) == {}


def test_moments_of_waiting_are_weighed_by_their_length():
    often = Turns(S // 100, int(1.7 * S), 250)
    briefly = Turns(S // 1000, S // 20, 1)
    assert seen(often, briefly, briefly) == {}
    assert seen(often, SELDOM, STARVED).keys() == {"broker-a-0"}


def test_many_threads_that_wait_for_a_moment_each_are_not_starved():
    """All of a process that goes on after a pause want a processor at once."""
    assert seen(*(Turns(S // 1000, S // 10, 1) for _ in range(200))) == {}


def test_waits_that_began_before_the_last_look_are_told_whole():
    lack = seen(Turns(1, 7 * S, 1), Turns(1, 6 * S, 1), Turns(1, 20 * S, 1))["broker-a-0"]
    assert (lack.from_ns, lack.to_ns, lack.waited_s) == (5 * S, 12 * S, 20.0)


def test_nodes_that_took_the_machine_themselves_are_not_starved():
    greedy = Turns(ran_ns=2 * S, waited_ns=0, count=100)
    assert seen(STARVED, STARVED, others=(greedy,)) == {}
    assert seen(STARVED, STARVED, others=(greedy,), processors=4).keys() == {"broker-a-0"}


def test_nothing_that_ran_is_nothing_that_waited():
    assert seen() == {}
    assert seen(Turns(0, 0, 0)) == {}


class Proc:
    """A made-up /proc."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "self").mkdir()
        (place / "self/schedstat").touch()

    def thread(self, pid: int, tid: int, ran: int, waited: int, count: int) -> None:
        task = self.place / f"{pid}/task/{tid}"
        task.mkdir(parents=True, exist_ok=True)
        (task / "schedstat").write_text(f"{ran} {waited} {count}\n")
        if not (task / "children").exists():
            (task / "children").touch()


def test_what_a_container_runs_is_below_its_first_process(tmp_path):
    proc = Proc(tmp_path)
    proc.thread(70, 70, 1, 2, 3)
    (tmp_path / "70/task/70/children").write_text("71 \n")
    proc.thread(71, 71, 4, 5, 6)
    proc.thread(71, 72, 7, 8, 9)
    (tmp_path / "71/task/72/schedstat").write_text("")  # it ended while it was read
    assert threads_of(70, tmp_path) == {70: Turns(1, 2, 3), 71: Turns(4, 5, 6)}
    assert threads_of(99, tmp_path) == {}


def test_a_thread_that_took_the_number_of_another_one_begins_anew():
    assert Turns(5, 6, 7).since(Turns(1, 2, 3)) == Turns(4, 4, 4)
    assert Turns(5, 6, 7).since(Turns(100, 200, 300)) == Turns(5, 6, 7)


def test_beat_by_beat(tmp_path):
    proc = Proc(tmp_path)
    pids, told, beats, waited = {"broker-a-0": 70}, [], [], []

    def asked() -> dict[str, int]:
        beats.append(len(beats))
        while waited:  # between two looks, so that no look sees half of it
            proc.thread(*waited.pop())
        return pids

    proc.thread(70, 70, 0, 50 * S, 5)  # before it was looked at
    pulse = ProcessorPulse(asked, lambda node, lack: told.append((node, lack)), beat_s=0.01, proc=tmp_path)
    wait_for(lambda: len(beats) >= 3, what="three beats", timeout_s=10)
    assert told == []
    waited += [(70, new, 0, 9 * S, 3) for new in (71, 72)]
    wait_for(lambda: told, what="a word of it", timeout_s=10)
    # Another process has the node's name now, and what it waited for before is not the node's.
    for tid in (80, 81):
        proc.thread(80, tid, 0, 90 * S, 5)
    pids["broker-a-0"] = 80
    before = len(beats)
    wait_for(lambda: len(beats) >= before + 3, what="three beats more", timeout_s=10)
    pulse.close()
    ((node, lack),) = told
    assert (node, lack.waited_s, lack.each_s) == ("broker-a-0", 9.0, 3.0)
    assert pulse.watches


def test_where_the_kernel_does_not_count_nothing_is_asked_or_told(tmp_path):
    asked: list[int] = []
    pulse = ProcessorPulse(lambda: asked.append(1) or {}, lambda *_: None, beat_s=0.01, proc=tmp_path)
    pause_s(0.05)
    pulse.close()
    assert not pulse.watches
    assert asked == []


def test_what_this_kernel_counts():
    pulse = ProcessorPulse(dict, lambda *_: None)
    pulse.close()
    if not pulse.watches:
        pytest.skip("this kernel counts no waits (no /proc/self/schedstat)")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        wait_for(lambda: threads_of(child.pid), what="threads of a child", timeout_s=10)
        (first,) = threads_of(child.pid).values()
        assert first.count > 0
        child.communicate(b"\n")
