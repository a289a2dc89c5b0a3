"""The stages of a failover, each from the instant of the fault or of its heal: who learned of it when.

Bitten (the process is gone, the link is dead), dropped by the nameservers, left by the clients' routes, each client
acknowledged again; and on the way back registered, routed again, and each client acknowledged by that very broker.
What a client's route is it tells itself whenever that changes (`History.routes`); a client looks every fifth of a
second, so a stage that ends there is told late by as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from harness.checkers import narrow
from harness.checkers.hit import ended_by_faults
from harness.checkers.narrow import FOREVER_NS
from harness.checkers.observed import observed
from harness.core.errors import MetricUnavailable
from harness.core.history import History
from harness.core.names import DROPPED, REGISTERED

_TAIL_NS: Final = 1_000_000_000
"""A client that goes on for less than a second behind the instant that is counted from need not be acknowledged."""
_HUNG_NS: Final = 10_000_000_000
"""No client leaves a send under way for so long by its own time-outs: who begins none meanwhile hangs in it."""


def rerouted_s(history: History, *, window: str, back: bool = False, process: str | None = None) -> float:
    """Seconds until no client's route has the broker any more that the fault hit: of the slowest client.

    Or, with `back`, from the heal until every client's route has it again. Infinite for a client whose route did not
    change so before the heal (or the next fault, or the end). Raises MetricUnavailable if nobody was sending, if a
    client that was recorded no route before the fault, if none of them had the broker in its route then (what nobody
    used nobody can be seen to leave), or if the fault hit more brokers than one.
    """
    fault = narrow.window_of(history, window)
    begin = narrow.instant(history, window, "heal" if back else "inject")
    until = FOREVER_NS if fault.heal_ns is None else fault.heal_ns
    if back:
        until = min((w.inject_ns for w in history.windows if w.inject_ns > begin), default=FOREVER_NS)
    names = _some_sending(history, begin, process)
    broker = _hit(history, window)
    slowest, had = 0.0, False
    for name in names:
        seen = [route for route in history.routes if route.process == name]
        before = [route for route in seen if route.time_ns < fault.inject_ns]
        if not before:
            raise MetricUnavailable(f"{name} recorded no route before {window!r}: its client tells none")
        had = had or broker in max(before, key=lambda route: route.time_ns).brokers
        at = _since(begin, until, [(route.time_ns, (broker in route.brokers) is back) for route in seen])
        slowest = max(slowest, math.inf if at is None else (at - begin) / 1e9)
    if not had:
        raise MetricUnavailable(f"no client that was sending had {broker} in its route before {window!r}")
    return slowest


def first_ok_s(history: History, *, window: str, process: str | None = None) -> float:
    """Seconds from the injection to the first SEND_OK of a send begun after the fault bit: of the slowest client.

    Never "the first success of any client". Infinite for one that went on sending and was not acknowledged again.
    Raises MetricUnavailable if nobody was sending.
    """
    inject, bit = (narrow.instant(history, window, at) for at in ("inject", "observed"))
    return _slowest_ok(history, inject, bit, process, pl.lit(True))


def full_service_s(history: History, *, window: str, process: str | None = None) -> float:
    """Seconds from the heal until every client was acknowledged by the broker that the fault had hit.

    Of a send begun after the heal. Infinite for a client that went on sending and was not. Raises MetricUnavailable
    if nobody was sending, or if the fault hit more brokers than one.
    """
    heal = narrow.instant(history, window, "heal")
    return _slowest_ok(history, heal, heal, process, narrow.text("broker") == _hit(history, window))


def watched(history: History) -> str | None:
    """The one fault of a history in which nameservers were watched for it; None of any other history."""
    looked = any(seen.name == DROPPED for seen in history.observations)
    return history.windows[0].name if looked and len(history.windows) == 1 else None


def _bitten_s(history: History, window: str) -> float:
    inject, bit = (narrow.instant(history, window, at) for at in ("inject", "observed"))
    return (bit - inject) / 1e9


def _followed_s(history: History, name: str) -> float:
    """Until the slowest nameserver said so; infinite where one never did, of which `slowest_s` knows nothing.

    Raises MetricUnavailable where one did not answer.
    """
    return observed(history, name=f"{name}.slowest_s") if observed(history, name=f"{name}.all") else math.inf


def _since(begin: int, until: int, changes: list[tuple[int, bool]]) -> int | None:
    """The instant behind which it was so, until the end; None if it was not, `begin` if it had been so all along."""
    at: int | None = None
    for time_ns, so in sorted(changes):
        if time_ns > until:
            break
        at = None if not so else max(begin, time_ns) if at is None else at
    return at


def _slowest_ok(history: History, begin: int, sent_after: int, process: str | None, by: pl.Expr) -> float:
    names = _some_sending(history, begin, process)
    oks = narrow.acked_of(history, process).filter((pl.col("invoke_ns") >= sent_after) & by)
    first = dict(oks.group_by(narrow.text("process")).agg(pl.col("complete_ns").min()).iter_rows())
    return max((first[name] - begin) / 1e9 if name in first else math.inf for name in names)


def _some_sending(history: History, at: int, process: str | None) -> list[str]:
    """See `_sending`. Raises MetricUnavailable if there is none: of nobody there is no slowest."""
    names = _sending(history, at, process)
    if not names:
        raise MetricUnavailable("no producer was sending then; there is no first success, and no route that is left")
    return names


def _sending(history: History, at: int, process: str | None) -> list[str]:
    """Producers that had begun by then and went on for a second, or would have but for a send that they hang in."""
    sends = narrow.sends_of(history, process)
    done = pl.col("complete_ns").fill_null(FOREVER_NS)
    hung = (
        (done - pl.col("invoke_ns") >= _HUNG_NS)
        & (done >= at + _TAIL_NS)
        & ~narrow.text("process").is_in(sorted(ended_by_faults(history)))
    )
    about = sends.group_by(narrow.text("process")).agg(
        first=pl.col("invoke_ns").min(), last=pl.col("invoke_ns").max(), hung=hung.any()
    )
    going = about.filter((pl.col("first") < at) & ((pl.col("last") >= at + _TAIL_NS) | pl.col("hung")))
    return sorted(going.get_column("process").to_list())


def _hit(history: History, window: str) -> str:
    """The broker name of what the fault hit, or of whom every cut link leads to. A node is `<broker name>-<id>`."""
    fault = narrow.window_of(history, window)
    links = [set(str(link).split("->")) for link in fault.detail.get("links", ())]
    nodes = set.intersection(*links) if links else set(fault.targets)
    names = {node.rpartition("-")[0] for node in nodes}
    if len(names) != 1:
        raise MetricUnavailable(f"{window!r} hit {len(names)} brokers: of whose absence clients learn is not said")
    return names.pop()


STAGES: Final[Mapping[str, Callable[[History, str], float]]] = MappingProxyType(
    {
        "bitten_s": _bitten_s,
        "dropped_s": lambda history, _: _followed_s(history, DROPPED),
        "rerouted_s": lambda history, window: rerouted_s(history, window=window),
        "first_ok_s": lambda history, window: first_ok_s(history, window=window),
        "registered_s": lambda history, _: _followed_s(history, REGISTERED),
        "routed_again_s": lambda history, window: rerouted_s(history, window=window, back=True),
        "full_service_s": lambda history, window: full_service_s(history, window=window),
    }
)
"""The stages by the name of their figure, in the order in which they come; each in seconds, or MetricUnavailable."""
