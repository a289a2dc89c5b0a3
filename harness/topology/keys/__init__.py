"""Which configuration keys a release knows: the broker ignores the others without a word."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from harness.core.version import Version

Server = Literal["broker", "namesrv"]

NEWEST_TAG = Version(5, 3, 3)


@cache
def _table(server: Server) -> dict[str, tuple[Version, Version]]:
    rows = {}
    for line in (Path(__file__).parent / f"{server}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        key, first, *last = line.split()
        rows[key] = (Version.parse(first), Version.parse(last[0]) if last else NEWEST_TAG)
    return rows


def knows(server: Server, key: str, version: Version) -> bool:
    """Whether that release sets anything by that key.

    Read from the setters of some release tags only: a release between two of them is taken for the older one, and
    releases outside them for the nearest. What came after the newest tag is not known here.
    """
    if key not in _table(server):
        return False
    first, last = _table(server)[key]
    tag = _nearest_tag(server, version)
    return first <= tag <= last


@cache
def _nearest_tag(server: Server, version: Version) -> Version:
    tags = sorted({tag for span in _table(server).values() for tag in span})
    older = [tag for tag in tags if tag <= version]
    return older[-1] if older else tags[0]
