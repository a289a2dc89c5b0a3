"""Whether a fault bites is told by an answer: a refusal, a stopped process, a packet. Silence tells nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import FaultError, SetupError
from harness.faults import Kill, LoseFiles, Partition
from harness.faults.process import listens
from harness.runtime.base import HUB, FileEntry


class Machine:
    """A master and a slave; `dials` is what a dial raises, `dead` are ended, `lost` links pass nothing."""

    def __init__(self) -> None:
        self.dials: Exception | None = None
        self.dead: set[str] = set()
        self.lost: set[tuple[str, str]] = set()
        self.deaf: set[str] = set()

    def dial(self, source: str, host: str, port: int, timeout_s: float) -> Any:
        if self.dials is not None:
            raise self.dials
        return SimpleNamespace(close=lambda: None)

    def state(self, node: str) -> Any:
        return SimpleNamespace(alive=node not in self.dead)

    def passes(self, source: str, destination: str) -> bool:
        return (source, destination) not in self.lost and destination not in self.deaf


@pytest.fixture
def machine() -> Machine:
    return Machine()


def cluster_of(machine: Machine) -> Any:
    return SimpleNamespace(
        runtime=machine,
        nameservers=lambda: (),
        masters=lambda: ("broker-a-0",),
        slaves=lambda: ("broker-a-1",),
        brokers=lambda: ("broker-a-0", "broker-a-1"),
        topology=SimpleNamespace(elects=False),
        clients=lambda: (),
        links=SimpleNamespace(nodes=()),
        address=lambda node: "10.0.0.1:10911",
    )


@pytest.mark.parametrize(
    ("dials", "told"),
    [
        (None, True),
        (ConnectionRefusedError(111, "refused"), False),
        (TimeoutError("timed out"), None),
        (OSError(113, "No route to host"), None),
        (SetupError("the machine does not answer"), None),
    ],
)
def test_only_a_refusal_says_that_nobody_listens(machine: Machine, dials: Exception | None, told: bool | None) -> None:
    machine.dials = dials
    assert listens(cluster_of(machine), "broker-a-0") is told
    machine.dead.add("broker-a-0")
    assert Kill(target="master/0").bites(cluster_of(machine)) is (told is False)


CUT = Partition(sources="master/0", sinks="slave/0", one_way=True)
LINK = ("broker-a-0", "broker-a-1")


def test_a_cut_link_between_two_able_nodes_bites(machine: Machine) -> None:
    assert not CUT.bites(cluster_of(machine))
    machine.lost = {LINK}
    assert CUT.bites(cluster_of(machine))


@pytest.mark.parametrize("lost", [(HUB, "broker-a-1"), ("broker-a-0", HUB), ("broker-a-1", "broker-a-0")])
def test_a_node_that_is_deaf_or_mute_altogether_is_no_cut(machine: Machine, lost: tuple[str, str]) -> None:
    machine.lost = {LINK, lost}
    assert not CUT.bites(cluster_of(machine))


def test_a_receiver_that_hears_nobody_proves_nothing(machine: Machine) -> None:
    machine.deaf = {"broker-a-1"}
    assert not Partition(sources="master/0", sinks="slave/0").bites(cluster_of(machine))


def test_a_cut_goes_by_no_link_that_stands_before_either_end(machine: Machine) -> None:
    cluster = cluster_of(machine)
    cluster.links.nodes = ("link-broker-a-0", "link-broker-a-1", "link-namesrv-0")
    cut: set[tuple[str, str]] = set()
    machine.cut = lambda *pairs: cut.update(pairs)  # type: ignore[attr-defined]
    detail = CUT.inject(cluster)
    assert cut == {LINK, ("broker-a-0", "link-broker-a-1"), ("link-broker-a-0", "broker-a-1")}
    assert detail == {"links": ["broker-a-0->broker-a-1"]}
    machine.lost = {LINK}
    assert not CUT.bites(cluster), "the connection that goes by the link is as it was"
    machine.lost = cut
    assert CUT.bites(cluster)


class Store(Machine):
    """Offsets with their backup, and messages."""

    def __init__(self) -> None:
        super().__init__()
        self.dials = ConnectionRefusedError(111, "refused")
        names = ("config/consumerOffset.json", "config/consumerOffset.json.bak", "config/topics.json", "commitlog/0")
        self.files = {f"store/{name}": 7 for name in names}

    def signal(self, node: str, number: int) -> None:
        self.dead.add(node)

    def wait_exit(self, node: str, timeout_s: float) -> None:
        assert node in self.dead

    def list_files(self, node: str, subdir: str) -> tuple[FileEntry, ...]:
        return tuple(FileEntry(path, size, 0) for path, size in self.files.items() if path.startswith(subdir))

    def write_file(self, node: str, path: str, data: bytes) -> None:
        assert node in self.dead, "it would write them anew"
        self.files[path] = len(data)


def test_files_are_lost_with_their_backups_and_no_others():
    store = Store()
    fault = LoseFiles(target="master/0", files="config/consumerOffset.json*")
    assert not fault.bites(cluster_of(store))
    detail = fault.inject(cluster_of(store))
    assert detail == {"lost": {"broker-a-0": [p for p in store.files if "consumerOffset" in p]}}
    assert fault.bites(cluster_of(store))
    assert sorted(store.files.values()) == [0, 0, 7, 7]
    store.files["store/config/consumerOffset.json"] = 1
    assert not fault.bites(cluster_of(store)), "something wrote it anew"


def test_a_fault_that_takes_no_file_away_is_none():
    with pytest.raises(FaultError, match=r"broker-a-0 has no file 'config/none\.json'"):
        LoseFiles(target="master/0", files="config/none.json").inject(cluster_of(Store()))
