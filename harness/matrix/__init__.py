"""The suites on every topology and release, one cell after the other, and what came of it as small files.

A cell is one (topology, release, Java, client, timers), or a way from one release to another. Its file holds one
verdict per promised guarantee with the digest of what that verdict depends on; what is stale is run again, what is not
is left alone.
"""

from __future__ import annotations

from harness.matrix.cells import Cell, CellSpec, Inputs, StoredRow
from harness.matrix.drive import Matrix, of_this_tree, show_status, upgrades_of_this_tree
from harness.matrix.plan import TOPOLOGIES, VERSIONS, crossed, narrowed, read_plan, upgrades
from harness.matrix.table import table

__all__ = [
    "TOPOLOGIES",
    "VERSIONS",
    "Cell",
    "CellSpec",
    "Inputs",
    "Matrix",
    "StoredRow",
    "crossed",
    "narrowed",
    "of_this_tree",
    "read_plan",
    "show_status",
    "table",
    "upgrades",
    "upgrades_of_this_tree",
]
