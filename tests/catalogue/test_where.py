"""Which topologies a promise is made for, and which it is not."""

from __future__ import annotations

import pytest

from harness.core.where import Where
from harness.topology import known_topologies, load_topology

SYNC = {"1m-1s-sync", "1m-2s-sync", "2m-2s-sync", "2m-2s-sync-stock", "2m-2s-sync-syncflush", "2m-4s-sync"} | {
    "2m-2s-sync-proxy"
}
ASYNC = {"2m-2s-async", "2m-2s-async-stock", "2m-2s-async-syncflush"}
NOSLAVE = {"2m-noslave", "2m-noslave-stock", "3m-noslave"}
EVERY = SYNC | ASYNC | NOSLAVE | {"1m"}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("all", EVERY),
        ("1m", {"1m"}),
        ("*-sync", SYNC),
        ("*-async", ASYNC),
        ("*m-noslave", NOSLAVE),
        ("*-2s-*", (SYNC | ASYNC) - {"1m-1s-sync"}),
        ("1m-2s-sync, 2m-4s-sync", {"1m-2s-sync", "2m-4s-sync"}),
        ("2m-2s-*", {name for name in SYNC | ASYNC if name.startswith("2m")}),
        ("2m-*, 3m-*", {name for name in EVERY if name[0] in "23"}),
        ("nameservers>=2", EVERY - {"1m"}),
        ("slaves>=1", SYNC | ASYNC),
        ("proxies>=1", {"2m-2s-sync-proxy"}),
        ("proxies>=3", set()),
        ("masters>=3", {"3m-noslave"}),
        ("stock", {name for name in EVERY if name.endswith("-stock")}),
        ("flush=SYNC", {"2m-2s-async-syncflush", "2m-2s-sync-syncflush"}),
        ("*-sync & flush=SYNC", {"2m-2s-sync-syncflush"}),
        ("dledger-3", {"dledger-3"}),
        ("controller-1m-2s", {"controller-1m-2s"}),
        ("dledger-3 & flush=ASYNC", {"dledger-3"}),
        ("dledger-3 & flush=SYNC", set()),
    ],
)
def test_where(where: str, expected: set[str]):
    parsed = Where.parse(where)
    assert {name for name in known_topologies() if parsed.matches(load_topology(name))} == expected


def test_the_two_ways_of_flushing_share_all_topologies_out():
    sync, rest = Where.parse("flush=SYNC"), Where.parse("flush=ASYNC")
    for name in EVERY:
        assert sync.matches(load_topology(name)) != rest.matches(load_topology(name))


@pytest.mark.parametrize("wrong", ["", "all,", "flush=FAST", "masters>2", "2M-2S", "a & "])
def test_a_wrong_term_is_refused(wrong: str):
    with pytest.raises(ValueError, match="is no term"):
        Where.parse(wrong)
