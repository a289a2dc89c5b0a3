"""What each client cannot be told: a scenario that needs it is not tested with that client, rather than half of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.workloads.load import Consume, Load, Produce

DEFAULT_RETRIES: Final = {"cpp": 4}
"""How often a client that is not the Java client tries a send again if nobody says otherwise."""


def lacks(client: str, load: Load, brokers: int, *, later: bool = False) -> str | None:
    """Why this part of the load cannot be had of the client on a cluster of so many broker names; None: it can.

    `later` says that a step starts it, when messages have been sent already. A load that names a client of its own can
    be had of that one alone: no other one is at hand.
    """
    if load.client not in (None, client):
        return f"it is for the {load.client} client, and this run has the {client} client"
    reasons = _REASONS.get(client)
    return None if reasons is None else next(reasons(load, brokers, later), None)


_NO_PLACE: Final = "the cpp client does not tell queue and offset of what it sent"
_UNSEEN: Final = {
    "cpp": {
        **dict.fromkeys(("lost-inside", "reordered", "reordered-store", "queue_share_deviation"), _NO_PLACE),
        "rerouted_s": "the cpp client does not tell its route",
    }
}


def unseen(client: str, demanded: str) -> str | None:
    """Why an anomaly or a metric cannot be judged by what this client records; None: it can."""
    reason = _UNSEEN.get(client, {}).get(demanded)
    return None if reason is None else f"{demanded} cannot be judged: {reason}"


def _remoting(load: Load, _brokers: int, _later: bool) -> Iterator[str]:
    if isinstance(load, Produce) and load.mode == "transaction":
        yield "the remoting client has no transactions"


def _cpp(load: Load, brokers: int, later: bool) -> Iterator[str]:
    if brokers > 1:
        # Whatever is demanded of one of several brokers would be judged without the sends that it answered.
        yield "the cpp client does not tell which broker a message went to or came from: it needs one broker name"
    yield from _cpp_produces(load) if isinstance(load, Produce) else _cpp_consumes(load, later)
    if load.poll_nameserver_ms is not None:
        yield "the cpp client asks the nameserver every 30 s, and cannot be told another interval"


def _cpp_produces(load: Produce) -> Iterator[str]:
    if load.mode == "async":
        yield "the cpp client's Python layer has no asynchronous send"
    if load.mode == "transaction" and load.threads > 1:
        yield "the cpp client has one local transaction at a time: its callback is the producer's, not the message's"
    if load.retries is not None:
        yield f"the cpp client cannot be told how often to try a send again ({load.retries} is asked for)"
    if load.only_brokers:
        yield "the cpp client's Python layer cannot send to a queue of one's choice"


def _cpp_consumes(load: Consume, later: bool) -> Iterator[str]:
    if load.model == "broadcasting" and later:
        yield "a cpp client that broadcasts begins at the last message, and cannot be told to begin at the first"
    if load.retry_level is not None:
        yield "the cpp client cannot be told after which delay a refused message is to come again"
    if load.max_reconsume is not None:
        yield "the cpp client cannot be told how often a refused message is to come again"


_REASONS: Final = {"remoting": _remoting, "cpp": _cpp}
