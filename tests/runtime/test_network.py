from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.runtime.base import Process
from harness.runtime.local import LocalRuntime
from harness.waiting import wait_for

pytestmark = pytest.mark.real

SERVER = Process(
    [
        "python3",
        "-uc",
        "import socket, threading\n"
        "listener = socket.create_server(('0.0.0.0', 7000))\n"
        "def echo(peer):\n"
        "    while data := peer.recv(4096): peer.sendall(data)\n"
        "print('up')\n"
        "while True: threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()",
    ]
)


@pytest.fixture
def trio(runtime: LocalRuntime) -> LocalRuntime:
    for node in ("a", "b", "c"):
        runtime.add_node(node)
    runtime.start("b", SERVER)
    wait_for(lambda: runtime.tail("b") == "up", what="the echo server", timeout_s=10)
    return runtime


@pytest.fixture
def flow(trio: LocalRuntime) -> Iterator[socket.socket]:
    with trio.dial("a", "b", 7000, 2) as sock:
        yield sock


def echoed(sock: socket.socket, data: bytes, timeout_s: float) -> bool:
    sock.sendall(data)
    return arrives(sock, data, timeout_s)


def arrives(sock: socket.socket, data: bytes, timeout_s: float) -> bool:
    got, deadline = b"", time.monotonic() + timeout_s
    while len(got) < len(data) and (left := deadline - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            got += sock.recv(4096)
    return got == data


def test_every_node_has_a_fixed_address_and_knows_the_others_by_name(trio: LocalRuntime):
    assert [node.address for node in trio.nodes.values()] == ["198.18.0.2", "198.18.0.3", "198.18.0.4"]
    out = trio.run("c", ["python3", "-c", "import socket; print(socket.gethostbyname('a'), socket.gethostname())"], 10)
    assert out[1] == b"198.18.0.2 c\n"


def test_a_cut_is_one_way_idempotent_reported_and_heals(trio: LocalRuntime):
    for _round in range(2):
        assert trio.passes("a", "b")
        trio.cut(("a", "b"))
        trio.cut(("a", "b"))
        assert trio.cuts() == {("a", "b")}
        open_ = (("b", "a"), ("c", "b"), ("a", "c"), ("hub", "b"), ("a", "hub"))
        assert not trio.passes("a", "b")
        assert {pair: trio.passes(*pair) for pair in open_} == dict.fromkeys(open_, True)
        trio.heal(("a", "b"))
        trio.heal(("a", "b"))
        assert trio.cuts() == frozenset()
        assert trio.passes("a", "b")


def test_all_cuts_heal_at_once(trio: LocalRuntime):
    pairs = [("a", "b"), ("b", "a"), ("c", "a")]
    trio.cut(*pairs)
    assert trio.cuts() == set(pairs)
    assert not any(trio.passes(*pair) for pair in pairs)
    trio.heal()
    assert all(trio.passes(*pair) for pair in pairs)


@pytest.mark.parametrize("pair", [("a", "b"), ("b", "a")])
def test_an_established_flow_stops_and_resumes(trio: LocalRuntime, flow: socket.socket, pair: tuple[str, str]):
    assert echoed(flow, b"before", 2)
    trio.cut(pair)
    assert not echoed(flow, b"during", 0.4)
    trio.heal(pair)
    assert arrives(flow, b"during", 3)
    assert echoed(flow, b"after", 2)


def test_a_flow_stops_in_the_middle_of_continuous_traffic(trio: LocalRuntime, flow: socket.socket):
    for _round in range(3):
        for number in range(200):
            assert echoed(flow, b"%d" % number, 2)
        trio.cut(("a", "b"))
        assert not echoed(flow, b"lost", 0.25)
        trio.heal(("a", "b"))
        assert arrives(flow, b"lost", 3)


def test_a_new_connection_through_a_cut_times_out_silently(trio: LocalRuntime):
    trio.cut(("a", "b"))
    with pytest.raises(TimeoutError):
        trio.dial("a", "b", 7000, 0.3)
    trio.dial("c", "b", 7000, 2).close()
    trio.dial("hub", "b", 7000, 2).close()


def test_a_dial_leaves_from_the_node_it_names(trio: LocalRuntime):
    for node, address in (("a", "198.18.0.2"), ("hub", "198.18.0.1")):
        with trio.dial(node, "198.18.0.3", 7000, 2) as sock:
            assert sock.getsockname()[0] == address
    with pytest.raises(ConnectionRefusedError):
        trio.dial("a", "b", 7001, 2)


def test_there_is_no_way_out(trio: LocalRuntime):
    for node in ("a", "hub"):
        began = time.monotonic()
        with pytest.raises(OSError, match="unreachable") as refused:
            trio.dial(node, "192.0.2.1", 80, 5)
        assert refused.value.errno == errno.ENETUNREACH
        assert time.monotonic() - began < 0.5
    assert trio.run("a", ["cat", "/proc/net/if_inet6"], 5)[1] == b""
    # The machine's own loopback is another one.
    with socket.create_server(("127.0.0.1", 0)) as outside, pytest.raises(ConnectionRefusedError):
        trio.dial("a", "127.0.0.1", outside.getsockname()[1], 1)


def test_the_network_outlives_the_process(trio: LocalRuntime, run_id: str):
    trio.cut(("b", "a"))
    trio.signal("b", 9)
    trio.wait_exit("b", 5)
    assert trio.passes("a", "b")
    assert not trio.passes("b", "a")
    trio.start("b", SERVER)
    assert not trio.passes("b", "a")


def test_a_removed_node_is_gone_and_its_address_is_not_used_again(trio: LocalRuntime):
    trio.cut(("a", "b"), ("b", "c"))
    trio.remove_node("b")
    trio.remove_node("b")
    assert trio.cuts() == frozenset()
    with pytest.raises(UsageError, match="'b' does not exist"):
        trio.passes("a", "b")
    assert trio.add_node("b").address == "198.18.0.5"
    assert trio.passes("a", "b")
    assert not (Path("/sys/class/net") / "n3").exists()


def test_bad_cuts_are_refused(trio: LocalRuntime):
    for other, message in (("hub", "the hub is"), ("a", "from itself"), ("z", "'z' does not exist")):
        with pytest.raises(UsageError, match=message):
            trio.cut(("a", "b"), ("a", other))
    assert trio.cuts() == frozenset()


def test_cuts_are_quick(trio: LocalRuntime):
    took = []
    for _round in range(10):
        began = time.monotonic()
        trio.cut(("a", "b"))
        trio.heal(("a", "b"))
        took.append(time.monotonic() - began)
    assert min(took) < 0.02
