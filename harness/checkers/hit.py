"""Which broker names a fault hits, and which faults end a stretch of a broker's log."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.kinds import traits
from harness.checkers.narrow import FOREVER_NS
from harness.core.history import History
from harness.core.window import FaultWindow

_BROKER_NODE: Final = re.compile(r"(?!namesrv-|nameserver-|proxy-)(.+)-(n?\d+|master|slave)")


def brokers_hit(history: History, window: FaultWindow) -> tuple[str, ...]:
    """Broker names of the nodes that the fault hits, a slave's being its master's; none for one on others alone.

    A target that no client process has the name of and that is no nameserver or proxy is taken for a broker, also one
    that never acknowledged anything: else a fault on an idle broker would pass for one on a nameserver.
    """
    clients = _clients(history)
    nodes = (_BROKER_NODE.fullmatch(node) for node in window.targets if node not in clients)
    return tuple(dict.fromkeys(found.group(1) for found in nodes if found))


def ended_by_faults(history: History) -> frozenset[str]:
    """Nodes and workers that a fault ended: what such a worker did not do any more says nothing of the product."""
    ends = (window for window in history.windows if traits(window.fault).ends_process)
    return frozenset(name for window in ends for name in window.targets)


def with_stretch(history: History, sends: pl.DataFrame) -> pl.DataFrame:
    """Answered sends with `epoch`, the stretch of their broker's log, and `ended_ns`, when the fault bit that ended it.

    A stretch ends with the heal of a fault that ended the master's process: what is written afterwards may be given
    the offsets of what was lost. A send belongs to the stretch in which it completed: one that waited for the broker
    to come back was stored after that, whenever it was begun. A broker whose master no such fault hit has one stretch,
    and so do all before the first; without a fault that ends it, `ended_ns` is the end of time.
    """
    epoch, ended = pl.lit(0), pl.lit(FOREVER_NS)
    for broker in sends.get_column("broker").drop_nulls().unique().cast(pl.String).to_list():
        mine = narrow.text("broker") == broker
        ends = [w for w in history.windows if _ends_process_of(w, broker)]
        heals = sorted((w.heal_ns, _bit_ns(w)) for w in ends if w.heal_ns is not None and not w.lasting)
        last = max((_bit_ns(w) for w in ends if w.heal_ns is None or w.lasting), default=FOREVER_NS)
        for number, (heal_ns, _) in enumerate(heals, start=1):
            epoch = pl.when(mine & (pl.col("complete_ns") >= heal_ns)).then(number).otherwise(epoch)
        here = pl.lit(last)
        for heal_ns, bit_ns in reversed(heals):
            here = pl.when(pl.col("complete_ns") < heal_ns).then(bit_ns).otherwise(here)
        ended = pl.when(mine).then(here).otherwise(ended)
    return sends.with_columns(epoch=epoch.cast(pl.Int32), ended_ns=ended.cast(pl.Int64))


def _ends_process_of(window: FaultWindow, broker: str) -> bool:
    masters = {node.rpartition("-")[0] for node in window.targets if narrow.is_master(node)}
    return traits(window.fault).ends_process and broker in masters


def _bit_ns(window: FaultWindow) -> int:
    """A stop is orderly and goes on acknowledging until it is seen to be gone; over a failing disk, until the heal."""
    if window.fault == "fail-disk" and window.heal_ns is not None:
        return window.heal_ns
    return window.inject_ns if window.observed_ns is None else window.observed_ns


def _clients(history: History) -> frozenset[str]:
    frames = (history.sends, history.deliveries)
    seen = {str(name) for frame in frames for name in frame.get_column("process").unique().to_list()}
    return frozenset(seen | set(history.processes))
