"""Whether the product heeds what was asked for: keys that it knows, values and JVM options that it takes."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, get_args

from harness.cluster import Cluster
from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import Jre
from harness.settings import Settings
from harness.topology import keys

JVM_TIMEOUT_S: Final = 30.0


def check_keys(settings: Settings, release: str, version: Version, say: Callable[[str], None]) -> None:
    """Raises UsageError for a key that the release is known to ignore without a word: what is judged would not be it.

    `release` is how it was asked for, `version` what it turned out to be.

    Of a candidate, and of a release whose keys were not read, only a word is said: it may know more.
    """
    for server, key, value in _asked(settings):
        if keys.knows(server, key, version):
            continue
        near = difflib.get_close_matches(key, keys.known_keys(server, version), n=1)
        hint = f"did you mean {near[0]}?" if near else f"leave it out, or see the {server}'s own documentation"
        text = f"--{server}-conf {key}={value}: RocketMQ {version} has no such key and ignores it; {hint}"
        if keys.was_read(server, version) and not release.startswith("path:"):
            raise UsageError(text)
        say(f"{text} (nothing is refused: this release's keys are not known for certain)")


def check_keys_of_both(
    settings: Settings, first: tuple[str, Version], last: tuple[str, Version], say: Callable[[str], None]
) -> None:
    """The same for an upgrade: a key that one of the two releases knows is no mistake, and where it counts is said.

    Each release is (how it was asked for, what it turned out to be). Under another spelling it is the same key.
    """
    nowhere: dict[str, dict[str, str]] = {"broker": {}, "namesrv": {}}
    for server, key, value in _asked(settings):
        spelled = {v: keys.spelled(server, key, v) for _, v in (first, last)}
        knowing = [v for v, name in spelled.items() if keys.knows(server, name, v)]
        if not knowing:
            nowhere[server][key] = value
        elif len(knowing) < len(spelled):
            (lacking,) = set(spelled) - set(knowing)
            say(f"--{server}-conf {key}={value}: counts with RocketMQ {knowing[0]} alone; {lacking} has no such key")
    known_to_none = replace(settings, broker_conf=nowhere["broker"], namesrv_conf=nowhere["namesrv"])
    # Where a candidate is among the two, it may be the one that knows the key.
    release, version = last if last[0].startswith("path:") else first
    check_keys(known_to_none, release, version, say)


def _asked(settings: Settings) -> Iterator[tuple[keys.Server, str, str]]:
    for server in get_args(keys.Server):
        asked = settings.broker_conf if server == "broker" else settings.namesrv_conf
        for key, value in asked.items():
            yield server, key, value


def check_jvm_opts(settings: Settings, jre: Jre) -> None:
    """Raises UsageError for options with which that Java does not even tell its version."""
    for role, options in settings.jvm_opts.items():
        if not options:
            continue
        words = [str(jre.java), *options, "-version"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=JVM_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            continue  # slow is not refused: the node itself will tell
        if done.returncode:
            said = next((line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()), "nothing")
            raise UsageError(
                f"--jvm-opt {' '.join(options)} (of the {role}): Java {jre.major} does not start with it and says"
                f" {said!r}; correct it or leave it out"
            )


def unheeded(cluster: Cluster, asked: Mapping[str, str]) -> list[str]:
    """One line for each value that a broker, by its own word, runs without; `asked` as `--broker-conf` has it.

    A key that the broker does not tell, one that was taken out, and one on which a scenario insists are passed over.
    """
    asked = {key: value for key, value in asked.items() if value and cluster.plan.broker_conf.get(key) == value}
    wrong = []
    for node in cluster.brokers():
        config = cluster.looks.config(node) if asked else None
        for key, value in asked.items():
            told = config.get(key) if config is not None else None
            if told is not None and told.strip().lower() != value.strip().lower():
                wrong.append(f"--broker-conf {key}={value}: {node} runs with {key}={told}")
    return wrong
