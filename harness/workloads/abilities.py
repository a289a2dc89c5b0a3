"""What each client cannot be told: a scenario that needs it is not tested with that client, rather than half of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.workloads.load import Consume, Load, Produce

DEFAULT_RETRIES: Final = {"cpp": 4, "grpc": 2}
"""How often a client that is not the Java client tries a send again if nobody says otherwise."""
FIXED_TIMERS: Final = ("cpp", "grpc")
"""Clients that cannot be told how often to ask for the route and to send heartbeats (every 30 s, it is recorded)."""


def lacks(client: str, load: Load, brokers: int, *, later: bool = False) -> str | None:
    """Why this part of the load cannot be had of the client on a cluster of so many broker names; None: it can.

    `later` says that a step starts it, when messages have been sent already. A load that names a client of its own can
    be had of that one alone: no other one is at hand.
    """
    if load.client not in (None, client):
        return f"it is for the {load.client} client, and this run has the {client} client"
    if isinstance(load, Consume) and load.listener == "simple" and client != "grpc":
        return f"the {client} client is pushed to: only the grpc client asks for messages and acknowledges each"
    reasons = _REASONS.get(client)
    return None if reasons is None else next(reasons(load, brokers, later), None)


def _by_place(client: str) -> dict[str, str]:
    no_place = f"the {client} client does not tell queue and offset of what it sent"
    return {
        **dict.fromkeys(("lost-inside", "reordered", "reordered-store", "queue_share_deviation"), no_place),
        "rerouted_s": f"the {client} client does not tell its route",
    }


_GIVES_UP: Final = "the cpp client gives up a few sends of thousands, as if it had no route, though its broker is well"
_POPS: Final = "whoever of a group of grpc clients asks is given messages of a queue, which nobody owns"
_UNSEEN: Final = {
    "cpp": _by_place("cpp")
    | dict.fromkeys(("unacknowledged", "unacknowledged_in", "unacknowledged_begun_in", "unknown"), _GIVES_UP),
    "grpc": _by_place("grpc")
    | dict.fromkeys(("queues_per_member", "queues_in_use", "owners_per_queue", "taken_over_s"), _POPS)
    | {
        "stops_using_s": "the grpc client does not tell its route",
        "reordered-delivery": "the grpc client keeps the order of each message group, and not that of a queue",
    },
}
_OF_BROKERS: Final = frozenset({"lacking", "rpo_ms", "rpo_excess_ms", "broker_share", "answered_in", "full_service_s"})
"""Anomalies and metrics that are about what each broker acknowledged, whichever is asked for."""
NO_BROKER: Final = "the grpc client does not tell which of several broker names took a message: its proxy chooses"


def unseen(client: str, demanded: str, *, broker: bool = False, brokers: int = 1) -> str | None:
    """Why an anomaly or a metric cannot be judged by what this client records; None: it can.

    `broker` says that it is demanded of one broker name, of the cluster's `brokers`.
    """
    reason = _UNSEEN.get(client, {}).get(demanded)
    if reason is None and client == "grpc" and brokers > 1 and (broker or demanded in _OF_BROKERS):
        reason = NO_BROKER
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


def _grpc(load: Load, _brokers: int, later: bool) -> Iterator[str]:
    yield from _grpc_produces(load) if isinstance(load, Produce) else _grpc_consumes(load, later)
    if load.poll_nameserver_ms is not None:
        yield "the grpc client asks its proxy for the route every 30 s, and cannot be told another interval"


def _grpc_produces(load: Produce) -> Iterator[str]:
    if load.mode == "oneway":
        yield "the grpc client has no one-way send"
    if load.retries is not None:
        yield f"the grpc client is told by its proxy how often to try, and by nobody else ({load.retries} is asked for)"
    if load.only_brokers:
        yield "the grpc client cannot choose a queue: its proxy does"
    if not load.wait_store:
        yield "the grpc client cannot say that a message need not be waited for"


def _grpc_consumes(load: Consume, later: bool) -> Iterator[str]:
    if load.model == "broadcasting":
        yield "the grpc client cannot broadcast"
    if load.listener == "orderly" and load.fail_every is not None:
        yield "the grpc client gives a refused message of a message group again by itself, and does not tell how often"
    if load.retry_level is not None:
        yield "the grpc client cannot be told after which delay a refused message is to come again"
    if load.max_reconsume is not None:
        yield "the grpc client cannot be told how often a refused message is to come again"
    if later:
        yield "a new group of the grpc client begins at the last message, and cannot be told to begin at the first"


_REASONS: Final = {"remoting": _remoting, "cpp": _cpp, "grpc": _grpc}
