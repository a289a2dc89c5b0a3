"""Which nodes a selector stands for: none is an error, for a fault without a target proves nothing."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.faults import (
    ALL_BROKERS,
    ALL_CLIENTS,
    ALL_NODES,
    ALL_PROXIES,
    isolate,
    master,
    nameserver,
    proxy,
    select,
    slave,
)


class Names:
    def nameservers(self) -> list[str]:
        return ["namesrv-1", "namesrv-2"]

    def masters(self) -> list[str]:
        return ["broker-a-0", "broker-b-0"]

    def slaves(self) -> list[str]:
        return ["broker-a-1", "broker-b-1"]

    def brokers(self) -> list[str]:
        return ["broker-a-0", "broker-a-1", "broker-b-0", "broker-b-1"]

    def proxies(self) -> list[str]:
        return ["proxy-1", "proxy-2"]

    def clients(self) -> list[str]:
        return ["p-1", "p-2", "c-1"]


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (master(), ["broker-a-0"]),
        (master(1), ["broker-b-0"]),
        (slave(1), ["broker-b-1"]),
        (nameserver(0), ["namesrv-1"]),
        ("nameserver/*", ["namesrv-1", "namesrv-2"]),
        (ALL_BROKERS, ["broker-a-0", "broker-a-1", "broker-b-0", "broker-b-1"]),
        (
            ALL_NODES,
            ["namesrv-1", "namesrv-2", "broker-a-0", "broker-a-1", "broker-b-0", "broker-b-1", "proxy-1", "proxy-2"],
        ),
        (proxy(1), ["proxy-2"]),
        ("proxy/proxy-1", ["proxy-1"]),
        (ALL_PROXIES, ["proxy-1", "proxy-2"]),
        (ALL_CLIENTS, ["p-1", "p-2", "c-1"]),
        ("client/p", ["p-1", "p-2"]),
        ("client/p-2", ["p-2"]),
        ("broker/broker-b-1", ["broker-b-1"]),
        ("master/0+slave/1", ["broker-a-0", "broker-b-1"]),
    ],
)
def test_who_is_chosen(selector: str, chosen: list[str]) -> None:
    assert list(select(selector, Names())) == chosen


@pytest.mark.parametrize("selector", ["master/2", "slave/9", "client/q", "master/broker-a-1", "master/0+slave/7"])
def test_nobody_is_an_error_that_names_who_there_is(selector: str) -> None:
    with pytest.raises(UsageError, match="no such node; it has ") as refused:
        select(selector, Names())
    assert "-" in str(refused.value)


@pytest.mark.parametrize("selector", ["", "master", "master/", "king/0", "+", "*"])
def test_what_is_no_selector(selector: str) -> None:
    with pytest.raises(UsageError, match="not a selector"):
        select(selector, Names())


def test_a_cluster_without_slaves() -> None:
    class Lonely(Names):
        def slaves(self) -> list[str]:
            return []

    with pytest.raises(UsageError, match="it has none"):
        select("slave/*", Lonely())


class TestPartition:
    def pairs(self, fault) -> set[tuple[str, str]]:
        return set(fault.pairs(Names()))

    def test_it_cuts_both_ways_and_nobody_from_itself(self) -> None:
        cut = self.pairs(isolate(master(), from_clients=False))
        others = {"namesrv-1", "namesrv-2", "broker-b-0", "broker-a-1", "broker-b-1", "proxy-1", "proxy-2"}
        assert cut == {("broker-a-0", o) for o in others} | {(o, "broker-a-0") for o in others}

    def test_clients_are_cut_off_too_unless_told_otherwise(self) -> None:
        assert ("p-1", "broker-a-0") in self.pairs(isolate(master()))
        assert ("p-1", "broker-a-0") not in self.pairs(isolate(master(), from_clients=False))

    def test_one_way(self) -> None:
        from harness.faults import Partition

        cut = self.pairs(Partition(sources=master(), sinks=slave(), one_way=True))
        assert cut == {("broker-a-0", "broker-a-1")}
