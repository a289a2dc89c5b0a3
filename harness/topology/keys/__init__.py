"""Which configuration keys a release knows: the broker ignores the others without a word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from harness.core.version import Version

Server = Literal["broker", "namesrv"]

_SPELLINGS: Final = (
    ("mapedFileSizeCommitLog", "mappedFileSizeCommitLog"),
    ("mapedFileSizeConsumeQueue", "mappedFileSizeConsumeQueue"),
)
"""The setters of MessageStoreConfig up to 4.4.0, and from 4.5.2 on."""


@dataclass(frozen=True, slots=True)
class _Table:
    releases: tuple[Version, ...]
    spans: dict[str, tuple[Version, Version]]


@cache
def _table(server: Server) -> _Table:
    header, *lines = (Path(__file__).parent / f"{server}.txt").read_text(encoding="utf-8").splitlines()
    releases = tuple(Version.parse(text) for text in header.rpartition(":")[2].split())
    spans = {}
    for line in lines:
        key, first, *last = line.split()
        spans[key] = (Version.parse(first), Version.parse(last[0]) if last else releases[-1])
    return _Table(releases, spans)


@cache
def known_keys(server: Server, version: Version) -> frozenset[str]:
    """Every key that release sets something by."""
    release = _nearest(server, version)
    return frozenset(key for key, (first, last) in _table(server).spans.items() if first <= release <= last)


def knows(server: Server, key: str, version: Version) -> bool:
    """Whether that release sets anything by that key.

    Read from the setters of some releases: one between two of them is taken for the older, one outside them for the
    nearest. So it is no proof for a release that was not read; keys of plug-ins (tiered storage) are not in it.
    """
    return key in known_keys(server, version)


def spelled(server: Server, key: str, version: Version) -> str:
    """The key as that release spells it: another one only where it does not know the key, and knows that."""
    if knows(server, key, version):
        return key
    others = (name for names in _SPELLINGS if key in names for name in names)
    return next((name for name in others if knows(server, name, version)), key)


def was_read(server: Server, version: Version) -> bool:
    """The setters of exactly that release were read: what it does not know it surely ignores."""
    return version in _table(server).releases


@cache
def _nearest(server: Server, version: Version) -> Version:
    releases = _table(server).releases
    older = [release for release in releases if release <= version]
    return older[-1] if older else releases[0]
