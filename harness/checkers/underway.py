"""Whether there was load where and when the faults struck: a broker that acknowledges nothing has nothing to lose."""

from __future__ import annotations

import math
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.hit import brokers_hit
from harness.checkers.kinds import traits
from harness.core.expectation import Gates
from harness.core.history import History
from harness.core.verdict import Assumption
from harness.core.window import FaultWindow
from harness.core.wording import several

_AT_MOST_NS: Final = 1_000_000_000
_SHARE: Final = 4
"""Of the load that is needed, a broker that is hit must have acknowledged one part in so many.

Others take their share of it, and after an outage clients return to it one by one. In stored runs of two masters the
thinnest was 143 of the 200 that are needed of all, 2 s after a restart; 50 are demanded.
"""


def warm(history: History, gates: Gates) -> Assumption:
    """Enough SEND_OK in the seconds before the faults, of whatever broker, and of every broker that is hit.

    Of any broker: before each fault that no other one preceded closely, for under a fault, or just after it, sends may
    well be few. Of the brokers that are hit (a slave stands for its broker name): before every fault, a quarter of
    that, unless another fault that hits the same broker is in force, which may leave it nothing to acknowledge. Faults
    on nameservers and clients alone hit no broker.
    """
    before_ns = int(gates.before_fault_s * 1e9)
    done = history.sends.filter(pl.col("outcome") == "ok").select("complete_ns", narrow.text("broker"))
    share = math.ceil(gates.min_acked_before_fault / _SHARE)
    first = _first_windows(history, before_ns)
    thin, idle = [], []
    for window in history.windows:
        within = pl.col("complete_ns").is_between(window.inject_ns - before_ns, window.inject_ns, closed="left")
        acked = done.filter(within)
        if window in first and acked.height < gates.min_acked_before_fault:
            thin.append(f"{acked.height} before {window.name}")
        for broker in _exposed(history, window):
            number = acked.filter(pl.col("broker") == broker).height
            if number < share:
                idle.append(f"{number} by {broker} before {window.name}")
    if thin or idle:
        needed = f"{gates.min_acked_before_fault} are needed in the {gates.before_fault_s:g} s before a fault"
        of_target = f", {share} of them by each broker it hits" if idle else ""
        message = f"acknowledged sends: {', '.join(thin + idle)}; {needed}{of_target}"
        return Assumption("load-before-fault", False, message)
    return Assumption("load-before-fault", True, f"the load was steady before {several(len(history.windows), 'fault')}")


def in_flight(history: History) -> Assumption:
    """Sends were under way when each fault hit, somewhere between its injection and the moment it was seen to bite.

    What ends a process or takes a disk away meets only those, and they are what it may cost. A fault that goes on meets
    whatever is begun until its heal: there one of these will do, for in the instant itself there may be none by chance.
    Where it hits brokers, to one of those as far as is known: what another broker answered was under way there, unless
    its client may have tried before; what nobody answered has no broker and may have been under way anywhere.
    """
    idle = []
    for window in history.windows:
        latest = window.inject_ns + _AT_MOST_NS
        hit = min(window.observed_ns if window.observed_ns is not None else window.inject_ns, latest)
        if traits(window.fault).goes_on:
            hit = narrow.FOREVER_NS if window.lasting or window.heal_ns is None else window.heal_ns
        done = pl.col("complete_ns").fill_null(_left_open_until(history))
        flying = history.sends.filter((pl.col("invoke_ns") <= hit) & (done > window.inject_ns))
        brokers = _exposed(history, window)
        if brokers:
            once = narrow.text("process").is_in(_tries_once(history))
            elsewhere = pl.col("broker").is_not_null() & ~narrow.text("broker").is_in(brokers)
            flying = flying.filter(~(elsewhere & once))
        if not flying.height:
            idle.append(window.name)
    if idle:
        return Assumption("in-flight", False, f"no send was under way when {', '.join(idle)} hit")
    return Assumption("in-flight", True, f"sends were under way at {several(len(history.windows), 'fault')}")


def _left_open_until(history: History) -> pl.Expr:
    """Until when a send without an answer was under way: to the end of time, or of its producer if a fault ended it."""
    until = pl.lit(narrow.FOREVER_NS)
    for window in history.windows:
        if traits(window.fault).ends_process:
            ended_ns = window.inject_ns if window.observed_ns is None else window.observed_ns
            until = pl.when(narrow.text("process").is_in(window.targets)).then(ended_ns).otherwise(until)
    return until


def _first_windows(history: History, before_ns: int) -> list[FaultWindow]:
    """Faults that no other one preceded closely."""
    return [
        window
        for window in history.windows
        if not any(other is not window and _in_force(other, window, before_ns) for other in history.windows)
    ]


def _exposed(history: History, window: FaultWindow) -> list[str]:
    """Brokers that this fault hits and no other one has hit already."""
    under = {
        broker
        for other in history.windows
        if other is not window and _in_force(other, window)
        for broker in brokers_hit(history, other)
    }
    return [broker for broker in brokers_hit(history, window) if broker not in under]


def _in_force(other: FaultWindow, window: FaultWindow, before_ns: int = 0) -> bool:
    """The other fault came first and had not been over for so long when this one came."""
    still = other.lasting or other.recovered_ns is None or other.recovered_ns > window.inject_ns - before_ns
    return other.inject_ns <= window.inject_ns and still


def _tries_once(history: History) -> list[str]:
    """Producers that said that they do not try again."""
    said = {name: about.get("config") for name, about in history.processes.items()}
    return [name for name, config in said.items() if isinstance(config, dict) and config.get("retries") == 0]
