"""The options of a run: declared once for pytest and read once into `Settings`, environment twins included."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from harness.clientele import check_proxies, with_clients
from harness.cluster.discovery import discover, parse_places
from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import (
    ReleaseSpec,
    check_proxy,
    default_cache,
    parse_java,
    parse_release,
)
from harness.runtime.base import CAPABILITIES, REACH
from harness.runtime.hooks import parse as parse_hooks
from harness.runtime.owner import default_state_dir
from harness.settings import (
    ENV_PREFIX,
    FLUSHES,
    RUNTIMES,
    TIMERS,
    Settings,
    choice,
    environment_default,
    environment_name,
    jvm_options,
    key_values,
    seed_of,
)
from harness.topology import MOST_NAMESERVERS, Topology, check_release, known_topologies, load_topology, with_changes

OFFICIAL = "apache/rocketmq"
"""The official image: a version stands for its tag where nodes are containers."""
LISTS = (
    "topology",
    "client",
    "broker-conf",
    "namesrv-conf",
    "jvm-opt",
    "guarantee",
    "allow-missing",
    "namesrv",
    "hook",
)
MOST_REPETITIONS = 1000
FLAGS = ("strict", "keep", "fresh-clusters")

UNKNOWN_JAVA = "unknown"
"""What is said of the Java of nodes that are somebody else's: no node tells it."""
OF_OUR_NODES = (
    *("topology", "rocketmq", "java", "nameservers", "flush", "timers", "keep"),
    *("broker-conf", "namesrv-conf", "jvm-opt", "upgrade-from", "upgrade-to"),
)
"""Options that say what nodes are to be. Of the timers, `documented` may be said: it is what they are."""

HELP = {
    "topology": "which cluster: a name, `all`, or a path to a YAML file (repeatable)",
    "nameservers": "so many nameservers (1 to 9) instead of the topology's own number",
    "flush": "async or sync, for every broker, instead of the topology's own",
    "rocketmq": "the release under test: a version, path:DIR, or image:REF with --runtime docker (default 5.3.3)",
    "upgrade-from": "the release that an upgrade begins with: what --rocketmq is otherwise (with --upgrade-to)",
    "upgrade-to": "the release that suites/upgrade moves nodes to: a version or path:DIR (with --upgrade-from)",
    "runtime": "where nodes run: local (default), docker: a container each, or existing: a cluster of somebody else's",
    "namesrv": "HOST:PORT[,HOST:PORT] of every nameserver of that cluster (with --runtime existing)",
    "hook": "NAME=CMD by which its owner supplies a fault: kill, start, stop, pause, resume (repeatable)",
    "java": "the JRE of the nodes: 25 (default), 21, 17, 11 or path:DIR",
    "client": "the client under load: java (default), java:VERSION, remoting, cpp, grpc or all (repeatable)",
    "timers": "fast (default) or documented: the product's own 30 s and 2 min timers",
    "broker-conf": "K=V passed to every broker; last word wins (repeatable)",
    "namesrv-conf": "K=V passed to every nameserver (repeatable)",
    "jvm-opt": "OPT, broker:OPT or namesrv:OPT passed to the JVMs (repeatable)",
    "seed": "the root of every random choice (default: drawn, printed and stored)",
    "guarantee": "run only what judges this guarantee (repeatable)",
    "reports": "where runs are stored (default reports/)",
    "allow-missing": "tolerate the absence of this capability (repeatable)",
    "strict": "also fail on promised rows that are not tested or known to be broken",
    "fresh-clusters": "give every scenario a cluster of its own, also where the one before left its own clean",
    "repeat": "run every suite function so many times (1 to 1000): how often each holds, and how its figures spread",
    "keep": "leave the last scenario's cluster up at the end and print how to reach it",
}


def cache_dir() -> Path:
    """Where downloads are kept: the environment twin, else the user's cache. Raises UsageError for an empty twin."""
    return Path(_twin("cache") or default_cache())


def state_dir() -> Path:
    """Where owner marks of runs are kept: the environment twin, else the user's state directory.

    Raises UsageError for an empty twin.
    """
    return Path(_twin("state") or default_state_dir())


def check_environment() -> None:
    """Raises UsageError for a variable of ours that stands for nothing: what it was to say would not be heard."""
    known = [environment_name(name) for name in (*HELP, "cache", "state")]
    for name in sorted(os.environ):
        if name.startswith(ENV_PREFIX) and name not in known:
            tails = {twin.removeprefix(ENV_PREFIX): twin for twin in known}
            near = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), tails, n=3)
            hint = f"did you mean {', '.join(tails[tail] for tail in near)}?" if near else f"known: {', '.join(known)}."
            raise UsageError(f"{name} stands for no option; {hint} Correct it, or unset it")


def add_options(group: Any) -> None:
    """Declares every option on a pytest option group."""
    for name, text in HELP.items():
        dest = "rmq_" + name.replace("-", "_")
        if name == "strict":
            continue  # pytest has that option already; the plugin reads it from there
        if name in LISTS:
            group.addoption(f"--{name}", dest=dest, action="append", metavar=name.upper(), help=text)
        elif name in FLAGS:
            group.addoption(f"--{name}", dest=dest, action="store_true", default=None, help=text)
        else:
            group.addoption(f"--{name}", dest=dest, metavar=name.upper(), help=text)


def asked(get: Callable[[str], Any], name: str) -> Any:
    """The option's value, else its environment twin's (comma separated for lists), else None.

    Raises UsageError for a value that is empty: it asks for something, and the default would be something else.
    """
    value = get("rmq_" + name.replace("-", "_"))
    if name in FLAGS:
        text = environment_default(name)
        return value if value is not None or text is None else _flag(name, text)
    if value in (None, []):
        text = _twin(name)
        mark = "\n" if name == "hook" else ","  # a command may have commas in it
        return [part.strip() for part in text.split(mark) if part.strip()] if text and name in LISTS else text
    for item in value if isinstance(value, list) else [value]:
        told(name, item)
    return value


def told(name: str, value: str | None) -> str | None:
    """What a command line says of an option, else its environment twin, else None. Raises UsageError if empty."""
    if value is None:
        return _twin(name)
    if not value.strip():
        raise UsageError(f"--{name} is empty: give it a value, or leave it out")
    return value


def _twin(name: str) -> str | None:
    """The environment twin of an option. Raises UsageError for one that is set and says nothing."""
    text = environment_default(name)
    if text is not None and not text.strip(" ,"):
        raise UsageError(f"{environment_name(name)} is set but empty: give it a value, or unset it")
    return text


def _flag(name: str, text: str) -> bool:
    """Raises UsageError for a twin that says neither yes nor no."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    twin = environment_name(name)
    raise UsageError(f"{twin} = {text!r} is neither yes nor no: write 1 or 0, or leave it out")


def from_environment(get: Callable[[str], Any]) -> list[str]:
    """What environment twins added to the command line, as the options that would have said the same."""
    words: list[str] = []
    for name in HELP:
        if get("rmq_" + name.replace("-", "_")) in (None, []) and environment_default(name) is not None:
            value = asked(get, name)
            if name in FLAGS:
                words += [f"--{name}"] * bool(value)
            else:
                words += [f"--{name}={item}" for item in (value if isinstance(value, list) else [value])]
    return words


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
        check_proxies(runtime, topology)
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
        for more in with_clients(asked(get, "client") or [], [found.topology])
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


@contextmanager
def naming(option: str, value: str) -> Iterator[None]:
    """Puts the option and its value before an error of what reads the value."""
    try:
        yield
    except UsageError as error:
        text = str(error)
        # Many an error begins with the value itself, which is told once.
        for said in (f"{value!r} ", f"{option} {value!r} "):
            if text.startswith(said):
                raise UsageError(f"--{option} {value!r} {text.removeprefix(said)}") from None
        raise UsageError(f"--{option} {value!r}: {text}") from None
