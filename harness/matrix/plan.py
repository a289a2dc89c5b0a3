"""Which cells there are: a cross of topologies and releases, or a list in a YAML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from harness.catalogue import load_catalogue
from harness.clientele import lacks_proxies
from harness.core.errors import UsageError
from harness.core.fields import refused
from harness.core.version import Version
from harness.distribution import check_proxy, parse_release, supported_releases
from harness.matrix.cells import CellSpec
from harness.topology import check_release, load_topology

TOPOLOGIES: Final = (
    "1m",
    "1m-1s-sync",
    "1m-2s-sync",
    "2m-noslave",
    "3m-noslave",
    "2m-2s-async",
    "2m-2s-async-syncflush",
    "2m-2s-sync",
    "2m-2s-sync-proxy",
    "2m-2s-sync-syncflush",
    "2m-4s-sync",
    "2m-noslave-stock",
    "2m-2s-async-stock",
    "2m-2s-sync-stock",
    "dledger-3",
    "controller-1m-2s",
)
VERSIONS: Final = ("4.9.7", "5.3.3")
"""Those on which every topology is run."""
PLAIN: Final = ("1m", "2m-noslave", "2m-2s-async", "2m-2s-sync")
"""The topologies that are run on every other release as well."""


def crossed(
    topologies: Sequence[str] | None = None, versions: Sequence[str] | None = None, **common: str
) -> tuple[CellSpec, ...]:
    """Every topology on every release, release by release. Raises `UsageError`.

    Without topologies and releases: all topologies on `VERSIONS`, but those that a release cannot have, and then the
    plain ones on every other release. With releases alone, all topologies that they can have; with topologies alone,
    these on `VERSIONS`.
    """
    if topologies is not None:
        return _cells(product(versions or VERSIONS, topologies), common)
    if versions is not None:
        return _cells(_possible(versions, TOPOLOGIES, common), common)
    others = [str(version) for version in supported_releases() if str(version) not in VERSIONS]
    return _cells((*_possible(VERSIONS, TOPOLOGIES, common), *_possible(others, PLAIN, common)), common)


def upgrades(
    topologies: Sequence[str], first: Sequence[str], last: Sequence[str], clients: Sequence[str], **common: str
) -> tuple[CellSpec, ...]:
    """Every way from one of the first releases to a newer one of the last, with every client.

    Raises `UsageError`, also if there is no way at all.
    """
    for word in (*first, *last):
        parse_release(word)
    pairs = [(a, b) for a, b in product(first, last) if Version.parse(a) < Version.parse(b)]
    if not pairs:
        raise UsageError(
            f"no upgrade leads from {', '.join(first)} to {', '.join(last)}: name newer releases with --to"
        )
    each = product(dict.fromkeys(topologies), dict.fromkeys(pairs), dict.fromkeys(clients))
    cells = tuple(
        _spec({"topology": t, "rocketmq": a, "upgrade_to": b, "client": client, **common}, "the upgrade matrix")
        for t, (a, b), client in each
    )
    catalogue = load_catalogue()
    for cell in cells:
        topology, version = load_topology(cell.topology), Version.parse(cell.rocketmq)
        if catalogue.promised(topology, version, upgrade=True) == catalogue.promised(topology, version):
            raise UsageError(f"{cell.topology} promises nothing of an upgrade: name another with --topology")
    return cells


def _cells(pairs: Iterable[tuple[str, str]], common: Mapping[str, str]) -> tuple[CellSpec, ...]:
    """One cell for each release and topology, each once; where there are proxies, with the client that uses them.

    Raises `UsageError`, also if there is none.
    """
    cells = tuple(
        _spec({"topology": topology, "rocketmq": version, **_client_of(topology), **common}, "the matrix")
        for version, topology in dict.fromkeys(pairs)
    )
    if not cells:
        raise UsageError(f"no topology can be had with {', '.join(common.values())} on these releases: name others")
    return cells


def _client_of(topology: str) -> dict[str, str]:
    return {"client": "grpc"} if load_topology(topology).proxies else {}


def _possible(versions: Iterable[str], topologies: Iterable[str], common: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every combination that there can be: nobody asked for the others."""
    each = product(versions, topologies)
    return [(version, topology) for version, topology in each if _can_be(topology, version, common)]


def _can_be(topology: str, version: str, common: Mapping[str, str]) -> bool:
    declared, release = load_topology(topology), Version.parse(version)
    try:
        check_release(declared, release)
        if declared.proxies:
            check_proxy(release)
    except UsageError:
        return False
    return not lacks_proxies({**_client_of(topology), **common}.get("client", ""), declared)


def read_plan(path: Path) -> tuple[CellSpec, ...]:
    """The cells of a YAML file: a mapping with the one key `cells`, a list. Raises `UsageError`, one line."""
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path.name} cannot be read as YAML: {' '.join(str(error).split())}") from None
    cells = document.get("cells") if isinstance(document, dict) and set(document) == {"cells"} else None
    if not isinstance(cells, list) or not cells:
        raise UsageError(f"{path.name}: write `cells:` and below it one `- {{topology: ..., rocketmq: ...}}` each")
    specs = tuple(_spec(cell, path.name) for cell in cells)
    names = [spec.name for spec in specs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{path.name}: cell {twice[0]} is listed twice; remove one")
    return specs


def narrowed(
    specs: Sequence[CellSpec], topologies: Sequence[str] | None, versions: Sequence[str] | None
) -> tuple[CellSpec, ...]:
    """These topologies of a plan, and these releases in place of its own (None: as planned). Raises `UsageError`."""
    kept = [spec for spec in specs if topologies is None or spec.topology in topologies]
    if not kept:
        raise UsageError(f"the plan has no cell of {', '.join(topologies or ())}: name one of its topologies")
    if versions is not None:
        kept = [spec.model_copy(update={"rocketmq": version}) for version in versions for spec in kept]
    return tuple({spec.name: spec.checked() for spec in kept}.values())


def _spec(cell: Any, source: str) -> CellSpec:
    try:
        return CellSpec.model_validate(cell).checked()
    except ValidationError as error:
        raise UsageError(f"{source}: {refused(error, 'cell')[0]} in {cell!r}; releases are quoted text") from None
