"""Whether a cluster of others is still the one that a scenario began on: what somebody else did proves nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.cluster.looks import Looks

_BORN = "bootTimestamp"


@dataclass(frozen=True, slots=True)
class Seen:
    """Of each broker node when its process began and what it is configured to; None where it did not tell."""

    born: Mapping[str, str | None]
    keys: Mapping[str, Mapping[str, str] | None]


def see(looks: Looks, brokers: Iterable[str]) -> Seen:
    """Asks each broker once."""
    nodes = tuple(brokers)
    born = {node: (looks.runtime_info(node) or {}).get(_BORN) for node in nodes}
    return Seen(born, {node: looks.config(node) for node in nodes})


def disturbed(before: Seen, now: Seen, ended: Collection[str]) -> Iterator[str]:
    """What is otherwise than it was by nobody's doing of ours, one line each; `ended` are the nodes that hooks ended.

    A node that does not tell has not said anything. Of keys only the names are told: values may be secrets.
    """
    for node, born in before.born.items():
        again = now.born.get(node)
        if born is None or again is None:
            continue
        if node in ended and again == born:
            yield f"{node} is the very process that a hook was to end: what it did was something else"
        elif node not in ended and again != born:
            yield f"{node} was started anew meanwhile, and not by this run"
    for node, keys in before.keys.items():
        other = now.keys.get(node)
        if keys is None or other is None:
            continue
        changed = sorted(key for key in {*keys, *other} if keys.get(key) != other.get(key))
        if changed:
            yield f"{node} is configured otherwise than before ({', '.join(changed[:4])})"
