"""What a run is asked to be: its options read into `Settings`; what cannot be is refused before anything starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from harness.clientele import check_proxies, with_clients
from harness.cluster.discovery import discover, parse_places
from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import ReleaseSpec, check_proxy, parse_java, parse_release
from harness.options import asked, cache_dir, naming, state_dir
from harness.runtime.base import CAPABILITIES, REACH
from harness.runtime.hooks import parse as parse_hooks
from harness.settings import FLUSHES, RUNTIMES, TIMERS, Settings, choice, jvm_options, key_values, seed_of
from harness.topology import MOST_NAMESERVERS, Topology, check_release, known_topologies, load_topology, with_changes

OFFICIAL = "apache/rocketmq"
"""The official image: a version stands for its tag where nodes are containers."""
MOST_REPETITIONS = 1000
UNKNOWN_JAVA = "unknown"
"""What is said of the Java of nodes that are somebody else's: no node tells it."""
OF_OUR_NODES = (
    *("topology", "rocketmq", "java", "nameservers", "flush", "timers", "keep"),
    *("broker-conf", "namesrv-conf", "jvm-opt", "upgrade-from", "upgrade-to"),
)
"""Options that say what nodes are to be. Of the timers, `documented` may be said: it is what they are."""


def settings_from(get: Callable[[str], Any]) -> list[Settings]:
    """One `Settings` per topology and client. Raises UsageError naming the option, the value and the remedy.

    With --runtime existing the cluster is asked what it is.
    """
    runtime = choice("runtime", asked(get, "runtime") or "local", RUNTIMES)
    if runtime == "existing":
        return _of_existing(get)
    for name in ("namesrv", "hook"):
        if asked(get, name):
            raise UsageError(f"--{name} is of a cluster that is there already: add --runtime existing, or leave it out")
    wanted = asked(get, "topology") or []
    names = [n for name in wanted for n in (known_topologies() if name == "all" else [name])]
    option, rocketmq, upgrade_to = _releases(get)
    java = java_for(runtime, asked(get, "java"))
    rocketmq, release = release_for(runtime, option, rocketmq)
    if upgrade_to is not None:
        upgrade_to, _ = release_for(runtime, "upgrade-to", upgrade_to)
    common: dict[str, Any] = {
        **_common(get, frozenset()),
        "rocketmq": rocketmq,
        "java": java,
        "timers": choice("timers", asked(get, "timers") or "fast", TIMERS),
        "broker_conf": key_values("broker-conf", asked(get, "broker-conf") or []),
        "namesrv_conf": key_values("namesrv-conf", asked(get, "namesrv-conf") or []),
        "jvm_opts": jvm_options(asked(get, "jvm-opt") or []),
        "keep": bool(asked(get, "keep")),
        "upgrade_to": upgrade_to,
    }
    changes: dict[str, Any] = {
        "nameservers": _number("nameservers", asked(get, "nameservers"), MOST_NAMESERVERS),
        "flush": choice("flush", flush, FLUSHES) if (flush := asked(get, "flush")) is not None else None,
    }
    with naming("flush", changes["flush"]) if changes["flush"] else nullcontext():
        topologies = [with_changes(topology, **changes) for topology in _topologies(names)]
    twice = {t.name for t in topologies if [other.name for other in topologies].count(t.name) > 1}
    if twice:
        raise UsageError(f"with --flush and --nameservers two topologies are both {', '.join(sorted(twice))}: drop one")
    for topology in topologies:
        check_proxies(runtime, topology, upgrade=upgrade_to is not None)
    upgrade = None if upgrade_to is None else parse_release(upgrade_to)
    for known in (release, upgrade):
        if known is not None and known.version is not None:
            for topology in topologies:
                check_release(topology, known.version)
                if topology.proxies and known.kind == "version":
                    check_proxy(known.version)
    if upgrade is not None:
        check_order((rocketmq, release.version), (str(upgrade_to), upgrade.version))
    return [Settings(**common, **more) for more in with_clients(asked(get, "client") or [], topologies)]


def _common(get: Callable[[str], Any], missing: frozenset[str]) -> dict[str, Any]:
    """What is asked for alike of every runtime; `missing` is tolerated without being asked for."""
    return {
        "runtime": asked(get, "runtime") or "local",
        "seed": seed_of(asked(get, "seed")),
        "reports": Path(asked(get, "reports") or "reports").resolve(),
        "cache": cache_dir(),
        "state": state_dir(),
        "guarantees": tuple(asked(get, "guarantee") or ()),
        "allow_missing": missing.union(
            choice("allow-missing", c, (*CAPABILITIES, *REACH)) for c in asked(get, "allow-missing") or ()
        ),
        "strict": bool(asked(get, "strict")),
        "fresh_clusters": bool(asked(get, "fresh-clusters")),
        "repeat": _number("repeat", asked(get, "repeat"), MOST_REPETITIONS) or 1,
    }


def _of_existing(get: Callable[[str], Any]) -> list[Settings]:
    """A run on a cluster that is there: nothing of it may be asked for, for it is what it is."""
    for name in OF_OUR_NODES:
        if asked(get, name) not in (None, False) and (name, asked(get, name)) != ("timers", "documented"):
            raise UsageError(
                f"--{name} says what a cluster is to be, and with --runtime existing it is there: leave it out"
            )
    hooks = parse_hooks("hook", asked(get, "hook") or [])
    common = _common(get, frozenset((*CAPABILITIES, *REACH)))
    found = discover(parse_places(asked(get, "namesrv") or []))
    return [
        Settings(
            **common,
            **more,
            rocketmq=str(found.version),
            java=UNKNOWN_JAVA,
            timers="documented",
            found=found,
            hooks=hooks,
        )
        for more in with_clients(asked(get, "client") or [], [found.topology], ours=False)
    ]


def names_a_cluster(get: Callable[[str], Any]) -> bool:
    """Whether the options ask for a run at all. Raises UsageError for one that is of no use without."""
    return any(asked(get, name) for name in ("topology", "namesrv", "hook")) or asked(get, "runtime") == "existing"


def _releases(get: Callable[[str], Any]) -> tuple[str, str, str | None]:
    """The option that names the release under test, the release, and the one that nodes are moved to, if any."""
    rocketmq, first, last = (asked(get, name) for name in ("rocketmq", "upgrade-from", "upgrade-to"))
    if first is None and last is None:
        return "rocketmq", rocketmq or "5.3.3", None
    if first is None or last is None:
        given, lacking = ("to", "from") if first is None else ("from", "to")
        raise UsageError(f"--upgrade-{given} {last or first!r} needs --upgrade-{lacking} too: an upgrade has two ends")
    if rocketmq not in (None, first):
        raise UsageError(f"--rocketmq {rocketmq!r} and --upgrade-from {first!r} are two releases: leave --rocketmq out")
    if first == last:
        raise UsageError(f"--upgrade-from and --upgrade-to are both {first!r}: name two releases")
    return "upgrade-from", first, last


def check_order(first: tuple[str, Version | None], last: tuple[str, Version | None]) -> None:
    """Raises UsageError for an upgrade to an older release, where both versions are known (each: as told, version)."""
    if first[1] is not None and last[1] is not None and last[1] < first[1]:
        raise UsageError(
            f"--upgrade-to {last[0]!r} is older than --upgrade-from {first[0]!r}: name the older one as "
            "--upgrade-from; the way back is judged by suites/upgrade as well"
        )


def release_for(runtime: str, option: str, text: str) -> tuple[str, ReleaseSpec]:
    """A release as that runtime has it, and what it says: with docker a version stands for its official image.

    Raises UsageError for what that runtime cannot run.
    """
    if runtime == "docker" and re.fullmatch(r"\d+\.\d+\.\d+", text):
        text = f"image:{OFFICIAL}:{text}"
    with naming(option, text):
        release = parse_release(text)
    if release.kind == "image" and runtime != "docker":
        raise UsageError(f"--{option} {text!r} needs --runtime docker")
    if release.kind != "image" and runtime == "docker":
        raise UsageError(
            f"--{option} {text!r} is no image, and --runtime docker runs nothing else: make one of it with "
            f"`rmq-harness image {text}`, and name that as image:REF"
        )
    return text, release


def java_for(runtime: str, text: str | None) -> str:
    """The Java as that runtime has it. Raises UsageError for one that cannot be had, or is not ours to choose."""
    if runtime == "docker":
        if text is not None:
            raise UsageError(f"--java {text!r}: with --runtime docker nodes run the Java of their image; leave it out")
        return "image"
    java = text or "25"
    with naming("java", java):
        parse_java(java)
    return java


def _number(option: str, text: str | None, most: int) -> int | None:
    """Raises UsageError for anything that is no whole number from 1 to `most`."""
    if text is None:
        return None
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= most:
        raise UsageError(f"--{option} {text!r} is not a number from 1 to {most}")
    return int(text)


def _topologies(names: Iterable[str]) -> list[Topology]:
    """Each of them once. Raises UsageError for two that go by one name, under which their results would be filed."""
    loaded: dict[str, tuple[str, Topology]] = {}
    for asked_for in dict.fromkeys(names):
        with naming("topology", asked_for):
            topology = load_topology(asked_for)
            if topology.name in loaded:
                raise UsageError(
                    f"its name is {topology.name!r}, and so is that of {loaded[topology.name][0]!r}: "
                    "change the name in one of them, or leave one out"
                )
        loaded[topology.name] = (asked_for, topology)
    return [topology for _asked_for, topology in loaded.values()]
