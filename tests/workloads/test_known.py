"""Whether every proxy knows every member of a group: a proxy that is silent, or lists others, knows nobody."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import WireError
from harness.workloads.probes import AwaitKnown

BOTH = ("c-1@7@0@abc", "c-2@9@0@abd")
Listed = tuple[str, ...] | None
"""The client ids that a proxy answers with; None: it does not answer."""


def stage(looks: list[dict[str, Listed]], members: frozenset[str] = frozenset({"c-1", "c-2"})) -> Any:
    """Proxies that answer so, one look after the other, and as the last time for good."""
    asked: dict[str, int] = {}
    dropped: list[str] = []

    def consumer_ids(address: str, group: str, *, timeout_s: float) -> tuple[str, ...]:
        assert (group, timeout_s > 0) == ("g", True)
        node, _, port = address.partition(":")
        assert port == "8080", "gRPC's port answers no such question"
        number = asked.get(node, 0)
        asked[node] = number + 1
        listed = looks[min(number, len(looks) - 1)][node]
        if listed is None:
            raise WireError(f"{node} does not answer")
        return listed

    cluster = SimpleNamespace(
        admin=SimpleNamespace(consumer_ids=consumer_ids, drop=dropped.append),
        ip=lambda node: node,
        proxies=lambda: tuple(looks[0]),
        clients=tuple,
        masters=tuple,
        slaves=tuple,
        brokers=tuple,
        nameservers=tuple,
    )
    return SimpleNamespace(cluster=cluster, crew=SimpleNamespace(members=lambda _group: members), now_ns=lambda: 0)


@pytest.mark.parametrize(
    ("looks", "known", "missing"),
    [
        ([{"a": BOTH, "b": BOTH}], True, 0),
        ([{"a": BOTH, "b": ()}, {"a": BOTH, "b": BOTH[:1]}, {"a": BOTH, "b": BOTH}], True, 0),
        ([{"a": BOTH, "b": BOTH[:1]}], False, 1),
        ([{"a": BOTH, "b": None}], False, 2),
        ([{"a": BOTH, "b": ("c-1@7@0@abc", "c-22@9@0@abd")}], False, 1),
    ],
)
def test_it_is_known_when_each_proxy_lists_each_member(
    looks: list[dict[str, Listed]], known: bool, missing: int
) -> None:
    seen = AwaitKnown(timeout_s=30 if known else 0.7).run(stage(looks))
    assert set(seen) == AwaitKnown.SEEN
    assert (seen["known"], seen["missing"]) == (known, missing)


def test_of_a_group_without_members_nothing_is_known() -> None:
    assert AwaitKnown(timeout_s=0.1).run(stage([{"a": BOTH}], frozenset()))["known"] is False
