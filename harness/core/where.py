"""Where a promise is made: a small language over what a topology is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

_COUNT = re.compile(r"(masters|slaves|nameservers|proxies)>=(\d+)")
_SHAPE = re.compile(r"[a-z0-9*-]+")
_FLUSH = {"flush=SYNC": "sync", "flush=ASYNC": "async"}


class TopologyFacts(Protocol):
    """What is asked of a topology. `shapes` are the names that its nodes give it: see `Topology.shapes`."""

    @property
    def shapes(self) -> frozenset[str]:
        """The shapes it has, such as 2m-2s-sync."""
        ...

    @property
    def masters(self) -> int:
        """How many masters."""
        ...

    @property
    def slaves(self) -> int:
        """How many slaves in all."""
        ...

    @property
    def nameservers(self) -> int:
        """How many nameservers."""
        ...

    @property
    def proxies(self) -> int:
        """How many proxies."""
        ...

    @property
    def flush(self) -> str:
        """`sync` or `async`."""
        ...

    @property
    def stock(self) -> bool:
        """Whether it is configured by the release's own files alone."""
        ...

    @property
    def elects(self) -> bool:
        """Whether its masters are elected and change."""
        ...


@dataclass(frozen=True, slots=True)
class Where:
    """Alternatives separated by commas, each of terms joined by `&`.

    A term is `all`, `stock`, `flush=SYNC`, `flush=ASYNC`, `masters>=2` (slaves, nameservers, proxies), or a pattern of
    shapes such as `2m-2s-*`. Flush and stock are no part of a shape, so `*-sync` takes in 2m-2s-sync-syncflush, and a
    topology with several slaves to a master has the shape with one as well. A topology that elects its masters promises
    only what names its shape: what the documents say of all is said of fixed roles.
    """

    text: str
    alternatives: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Where:
        """Reads the text. Raises `ValueError` naming a term that is none."""
        alternatives = tuple(tuple(term.strip() for term in part.split("&")) for part in text.split(","))
        for term in (term for alternative in alternatives for term in alternative):
            if not (term in _FLUSH or _COUNT.fullmatch(term) or _SHAPE.fullmatch(term)):
                raise ValueError(f"{term!r} in where {text!r} is no term: write all, stock, flush=SYNC, 2m-2s-* ...")
        return cls(text, alternatives)

    def matches(self, topology: TopologyFacts) -> bool:
        """Whether any alternative holds for that topology."""
        return any(
            all(_holds(term, topology) for term in alternative)
            and (not topology.elects or any(_names_shape(term) for term in alternative))
            for alternative in self.alternatives
        )


EVERYWHERE = Where.parse("all")


def _names_shape(term: str) -> bool:
    return term not in ("all", "stock", *_FLUSH) and not _COUNT.fullmatch(term)


def _holds(term: str, topology: TopologyFacts) -> bool:
    if term == "all":
        return True
    if term == "stock":
        return topology.stock
    if term in _FLUSH:
        return topology.flush == _FLUSH[term]
    if counted := _COUNT.fullmatch(term):
        return int(getattr(topology, counted[1])) >= int(counted[2])
    return any(fnmatchcase(shape, term) for shape in topology.shapes)
