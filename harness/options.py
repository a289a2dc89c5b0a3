"""The options of a run: declared once for pytest, and what is said of each, environment twins included."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.distribution import default_cache
from harness.runtime.owner import default_state_dir
from harness.settings import ENV_PREFIX, environment_default, environment_name

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
FLAGS = ("strict", "keep", "fresh-clusters")

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
