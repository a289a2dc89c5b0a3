"""What each client comes to, guarantee by guarantee, where a run has several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from harness.core.verdict import Verdict
from harness.report.rows import Row

CAVEATS: Final = MappingProxyType(
    {
        "grpc": "poor for the truth about durability: what a broker answers with FLUSH_DISK_TIMEOUT, "
        "FLUSH_SLAVE_TIMEOUT or SLAVE_NOT_AVAILABLE it sends again, and if that is answered so too it takes it for an "
        "error: it counts as unknown"
    }
)
"""What must be known of a client before its verdicts are believed."""


def client_table(rows: Sequence[Row], verdict_of: Callable[[Row], Text]) -> Table | None:
    """One line for each guarantee that any client was put to, one column for each client; None where there is one.

    A guarantee that no client was put to is left out: why, is told below the table.
    """
    clients = list(dict.fromkeys(row.client for row in rows))
    if len(clients) < 2:
        return None
    several = len({row.topology for row in rows}) > 1
    lines: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        lines.setdefault((row.topology, row.id), {})[row.client] = row
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("by client", no_wrap=True)
    for client in clients:
        table.add_column(client)
    for (topology, guarantee), cells in lines.items():
        if all(row.verdict is Verdict.NOT_TESTED for row in cells.values()):
            continue
        name = f"{guarantee} ({topology})" if several else guarantee
        table.add_row(name, *(verdict_of(cells[c]) if c in cells else Text("not promised", "dim") for c in clients))
    return table if table.row_count else None


def client_notes(rows: Sequence[Row], options: Mapping[str, JsonValue]) -> list[str]:
    """What is to be known of the clients of these rows, and of each that `--client all` could not have; one line each.

    A caveat is told only where something was judged with that client.
    """
    tested = dict.fromkeys(row.client for row in rows if row.verdict is not Verdict.NOT_TESTED)
    absent = options.get("absent_clients")
    return [
        *(f"client {name}: {CAVEATS[name]}" for name in tested if name in CAVEATS),
        *((f"no client {name}: {why}" for name, why in absent.items()) if isinstance(absent, dict) else ()),
    ]
