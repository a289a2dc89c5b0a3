"""Topologies: what a cluster is declared to be, and the configuration each of its nodes is started with."""

from __future__ import annotations

from harness.topology.election import check_release
from harness.topology.load import known_topologies, load_topology, parse_topology
from harness.topology.model import MOST_NAMESERVERS, BrokerGroup, NodeSpec, Replica, Role, Topology
from harness.topology.moved import changes_of_conf
from harness.topology.vary import with_changes

__all__ = [
    "MOST_NAMESERVERS",
    "BrokerGroup",
    "NodeSpec",
    "Replica",
    "Role",
    "Topology",
    "changes_of_conf",
    "check_release",
    "known_topologies",
    "load_topology",
    "parse_topology",
    "with_changes",
]
