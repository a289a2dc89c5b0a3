"""The cluster's network as seen from the holder: one bridge without a way out, one namespace per node."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from harness.core.errors import SetupError, UsageError
from harness.runtime.base import HUB, HUB_ADDRESS
from harness.runtime.namespaces import CLONE_NEWNET, HOSTS, enter, network_of, unshare

PREFIX_BITS = 16
PROBE_PORT = 9
VOID_MAC = "02:00:00:00:00:00"
NUD_PERMANENT = 0x80


@dataclass(frozen=True)
class Place:
    """A network namespace, kept alive by `fd` alone, so that it outlives the node's process."""

    address: str
    fd: int
    route: IPRoute
    index: int
    probe: socket.socket

    def close(self) -> None:
        """Lets the namespace go, as soon as nothing runs in it any more."""
        self.route.close()
        self.probe.close()
        os.close(self.fd)


def _namespace_fd() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _probe_socket(address: str) -> socket.socket:
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.bind((address, PROBE_PORT))
    probe.setblocking(False)
    return probe


def _quiet() -> None:
    for scope in ("all", "default"):
        with suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")


class Network:
    """Addresses, names and cuts. Must be made in the new, empty outer network namespace."""

    def __init__(self) -> None:
        _quiet()
        route = IPRoute()
        route.link("set", index=1, state="up")
        # Without an own address the bridge takes that of its newest port, and every node forgets the hub.
        route.link("add", ifname="hub", kind="bridge", address="02:00:c6:12:00:01")
        index = route.link_lookup(ifname="hub")[0]
        route.addr("add", index=index, address=HUB_ADDRESS, prefixlen=PREFIX_BITS)
        route.link("set", index=index, state="up")
        hub = Place(HUB_ADDRESS, _namespace_fd(), route, index, _probe_socket(HUB_ADDRESS))
        self.places: dict[str, Place] = {HUB: hub}
        self.cuts: set[tuple[str, str]] = set()
        self._used = 1

    def place(self, node: str) -> Place:
        """The namespace of a node. Raises `UsageError` for one that does not exist."""
        if node not in self.places:
            known = ", ".join(self.places)
            raise UsageError(f"node {node!r} does not exist: add it first; there are {known}")
        return self.places[node]

    def add(self, node: str) -> Place:
        """A new namespace on the bridge with the next free address. An address is never used twice."""
        self._used += 1
        number = self._used
        address, mac = f"198.18.{number >> 8}.{number & 255}", f"02:00:c6:12:{number >> 8:02x}:{number & 255:02x}"
        hub = self.places[HUB]
        unshare(CLONE_NEWNET)
        try:
            _quiet()
            fd, route = _namespace_fd(), IPRoute()
        finally:
            enter(hub.fd, CLONE_NEWNET)
        peer = {"ifname": "eth0", "net_ns_fd": fd, "address": mac}
        port = f"n{number}"
        hub.route.link("add", ifname=port, kind="veth", peer=peer)
        port_index = hub.route.link_lookup(ifname=port)[0]
        hub.route.link("set", index=port_index, master=hub.index, state="up")
        index = route.link_lookup(ifname="eth0")[0]
        route.link("set", index=1, state="up")
        route.addr("add", index=index, address=address, prefixlen=PREFIX_BITS)
        route.link("set", index=index, state="up")
        with network_of(fd, hub.fd):
            probe = _probe_socket(address)
        self.places[node] = Place(address, fd, route, index, probe)
        self._write_names()
        return self.places[node]

    def rehouse(self, node: str, fd: int) -> Place:
        """Moves a node's link, address and cuts to another namespace, whose descriptor this object takes over.

        Nothing may run in the node yet. Its probe is another one afterwards.
        """
        old, hub = self.place(node), self.places[HUB]
        old.route.link("set", index=old.index, net_ns_fd=fd)
        with network_of(fd, hub.fd):
            _quiet()
            route = IPRoute()
            index = route.link_lookup(ifname="eth0")[0]
            route.link("set", index=1, state="up")
            route.addr("add", index=index, address=old.address, prefixlen=PREFIX_BITS)
            route.link("set", index=index, state="up")
            probe = _probe_socket(old.address)
        old.close()
        self.places[node] = Place(old.address, fd, route, index, probe)
        for source, destination in self.cuts:
            if source == node:
                self.cut(source, destination)
        return self.places[node]

    def remove(self, node: str) -> None:
        """Takes a node off the network and forgets its cuts."""
        place = self.places.pop(node)
        with suppress(NetlinkError):
            place.route.link("del", index=place.index)
        place.close()
        gone = {pair for pair in self.cuts if node in pair}
        for source, destination in gone:
            if source in self.places:
                self._drop_entry(self.places[source], place.address)
            self.cuts.discard((source, destination))
        self._write_names()

    def check_pair(self, source: str, destination: str) -> None:
        """Raises `UsageError` for what cannot be cut, so that of several none is when one is wrong."""
        if HUB in (source, destination):
            raise UsageError(f"cannot cut {source} -> {destination}: the hub is the harness's own place")
        if source == destination:
            raise UsageError(f"cannot cut {source} from itself: packets to oneself never leave the node")
        self.place(source)
        self.place(destination)

    def cut(self, source: str, destination: str) -> None:
        """Sends what goes from one node to another to an address that nobody has. Idempotent."""
        origin, target = self.place(source), self.place(destination)
        origin.route.neigh("replace", dst=target.address, lladdr=VOID_MAC, ifindex=origin.index, state=NUD_PERMANENT)
        self.cuts.add((source, destination))

    def heal(self, source: str, destination: str) -> None:
        """Undoes a cut; the next packet asks for the right address again. Idempotent."""
        origin, target = self.place(source), self.place(destination)
        if (source, destination) in self.cuts:
            self._drop_entry(origin, target.address)
            self.cuts.discard((source, destination))

    @staticmethod
    def _drop_entry(origin: Place, address: str) -> None:
        try:
            origin.route.neigh("del", dst=address, ifindex=origin.index)
        except NetlinkError as error:
            if error.code != errno.ENOENT:
                raise SetupError(f"the neighbour entry for {address} cannot be deleted: {error}") from None

    def tcp_socket(self, node: str) -> socket.socket:
        """An unconnected TCP socket whose packets leave from this node, wherever it is used."""
        with network_of(self.place(node).fd, self.places[HUB].fd):
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def _write_names(self) -> None:
        lines = ["127.0.0.1 localhost"]
        lines += [f"{place.address} {name}" for name, place in self.places.items()]
        HOSTS.write_text("\n".join(lines) + "\n")
