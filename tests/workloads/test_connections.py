"""Whether a broker still counts on a producer: silence of the broker is neither yes nor no."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import WireError
from harness.workloads.probes import AwaitDropped

OWN, OTHER = "198.18.0.9", "198.18.0.19"
SECOND_NS = 1_000_000_000
Held = list[str] | None
"""The addresses that a broker answers with; None: it does not answer."""


def stage(looks: list[dict[str, Held]]) -> Any:
    """Brokers that answer so, one look after the other, and as the last time for good. A second passes per look."""
    asked: dict[str, int] = {}
    ticks = [0]

    def producers(node: str, group: str) -> tuple[tuple[str, str], ...]:
        assert group == "producers-p"
        number = asked.get(node, 0)
        asked[node] = number + 1
        held = looks[min(number, len(looks) - 1)][node]
        if held is None:
            raise WireError(f"{node} does not answer")
        return tuple(("id", f"{address}:4711") for address in held)

    def now_ns() -> int:
        ticks[0] += 1
        return ticks[0] * SECOND_NS

    names = tuple(looks[0])
    cluster = SimpleNamespace(
        runtime=SimpleNamespace(nodes={"p-1": SimpleNamespace(address=OWN)}),
        admin=SimpleNamespace(producers=producers),
        address=lambda node: node,
        masters=lambda: names,
        brokers=lambda: names,
        nameservers=tuple,
        slaves=tuple,
        clients=tuple,
    )
    return SimpleNamespace(cluster=cluster, instant=lambda _name: 0, now_ns=now_ns)


@pytest.mark.parametrize(
    ("looks", "dropped", "seconds", "at_least_s", "listed"),
    [
        ([{"a": [OWN, OTHER]}, {"a": [OWN]}, {"a": [OTHER]}], True, 4, 2, 1),
        ([{"a": [OWN], "b": [OWN]}, {"a": [], "b": [OWN]}, {"a": [], "b": []}], True, 4, 2, 2),
        ([{"a": [OWN]}], False, None, 1, 1),
        ([{"a": [OTHER]}], True, 2, 0, 0),
        ([{"a": [OWN]}, {"a": None}, {"a": []}], True, 4, 1, 1),
        ([{"a": [OWN]}, {"a": None}], None, None, 1, 1),
        ([{"a": [OWN], "b": [OWN]}, {"a": None, "b": [OWN]}], False, None, 1, 2),
        ([{"a": None}], None, None, 0, 0),
    ],
)
def test_only_an_answer_counts(
    looks: list[dict[str, Held]], dropped: bool | None, seconds: float | None, at_least_s: float, listed: int
) -> None:
    # What is to be seen is waited for however slow the machine is; what never comes need not be waited for long.
    seen = AwaitDropped(who="p-1", since="silent", timeout_s=30 if dropped else 0.7).run(stage(looks))
    assert set(seen) == AwaitDropped.SEEN
    last = seen.pop("at_least_s")
    assert last >= at_least_s if dropped is False else last == at_least_s
    assert seen == {"dropped": dropped, "seconds": seconds, "listed": listed}
