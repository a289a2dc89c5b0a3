"""Every finder by the name of its anomaly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from harness.checkers import content, copies, keys, lacking, loss, order, torn
from harness.core.errors import UsageError
from harness.core.history import History
from harness.core.verdict import Finding

FINDERS: Final[Mapping[str, Callable[..., Finding]]] = MappingProxyType(
    {
        "lost": loss.lost,
        "lost-inside": loss.lost_inside,
        "lacking": lacking.lacking,
        "undelivered": loss.undelivered,
        "unread-or-undelivered": loss.unread_or_undelivered,
        "phantom": loss.phantom,
        "stored-though-failed": loss.stored_though_failed,
        "duplicate": copies.duplicate,
        "redelivered": copies.redelivered,
        "completed-twice": copies.completed_twice,
        "never-completed": copies.never_completed,
        "diverged": copies.diverged,
        "reordered": order.reordered,
        "reordered-store": order.reordered_store,
        "reordered-delivery": order.reordered_delivery,
        "reordered-key": keys.reordered_key,
        "offset-gap": order.offset_gap,
        "offset-reuse": order.offset_reuse,
        "altered": content.altered,
        "torn": torn.torn,
    }
)


def find(history: History, anomaly: str, params: Mapping[str, Any]) -> Finding:
    """What the finder of that anomaly sees. Raises UsageError for an unknown anomaly or parameter."""
    finding: Finding = known(FINDERS, anomaly, params, "anomaly")(history, **params)
    return finding


def known(
    table: Mapping[str, Callable[..., Any]], name: str, params: Mapping[str, Any], what: str
) -> Callable[..., Any]:
    """The entry of that name, if it takes these parameters. Raises UsageError naming what there is."""
    if name not in table:
        raise UsageError(f"no {what} is called {name!r}; there are {', '.join(sorted(table))}")
    function = table[name]
    try:
        inspect.signature(function).bind(None, **params)
    except TypeError as error:
        raise UsageError(f"{what} {name!r} does not take {dict(params)}: {error}") from None
    for key, value in params.items():
        choices = _choices(function, key)
        if choices and value not in choices:
            raise UsageError(f"{what} {name!r} of {key}={value!r}: {key} is one of {', '.join(map(str, choices))}")
    return function


@cache
def _choices(function: Callable[..., Any], parameter: str) -> tuple[Any, ...]:
    """What a parameter may be where its type lists it: a slip would mean whatever comes last in the function."""
    hint = get_type_hints(function).get(parameter)
    return get_args(hint) if get_origin(hint) is Literal else ()
