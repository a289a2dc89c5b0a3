"""Loads that take turns: one at a time, each as often as the other, and who is first changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from harness.workloads.probes import TakeTurns

SECOND_NS = 1_000_000_000


def test_one_sends_at_a_time_and_each_is_first_as_often_as_the_other() -> None:
    sending: set[str] = {"a-1", "b-1", "b-2"}
    now_ns = [0]
    during: list[frozenset[str]] = []

    def wait(seconds: float, _pause: Any) -> None:
        during.append(frozenset(sending))
        now_ns[0] += int(seconds * SECOND_NS)

    crew = SimpleNamespace(
        named=lambda prefix: [name for name in ("a-1", "b-1", "b-2") if name.startswith(f"{prefix}-")],
        go=sending.update,
        hold=sending.difference_update,
    )
    stage = SimpleNamespace(crew=crew, wait=wait, now_ns=lambda: now_ns[0])
    seen = TakeTurns(first="a", second="b", rounds=4, turn_s=2).run(stage)  # type: ignore[arg-type]
    assert set(seen) == TakeTurns.SEEN
    assert set(during) == {frozenset({"a-1"}), frozenset({"b-1", "b-2"})}
    assert [(turn["who"], turn["round"]) for turn in seen["turns"]] == [
        (who, number) for number, pair in enumerate(("ab", "ba", "ab", "ba")) for who in pair
    ]
    assert {turn["end_ns"] - turn["begin_ns"] for turn in seen["turns"]} == {2 * SECOND_NS}
    ends = [turn["end_ns"] for turn in seen["turns"]]
    assert all(turn["begin_ns"] > end for turn, end in zip(seen["turns"][1:], ends, strict=False))
    assert sending == {"a-1", "b-1", "b-2"}, "in the end all go on"
