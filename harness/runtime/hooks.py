"""Commands by which the owner of a cluster supplies the faults: run without a shell, bounded, their output kept."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.core.errors import CapabilityMissing, FaultError, UsageError
from harness.runtime.base import NODE_CONFIG, NODE_KILL, NODE_PAUSE, NODE_STOP, Capabilities

HOOKS: Final = ("kill", "start", "stop", "pause", "resume")
PLACEHOLDERS: Final = ("node", "host", "address", "broker", "id")
TIMEOUT_S: Final = 90.0
"""Longer than systemd waits for a stop (90 s by default it kills): a hook that is not done by then hangs."""
KEPT_BYTES: Final = 16_384
_SECRET_CHARACTERS: Final = 4
_BETWEEN: Final = re.compile(r"""[\s'"=:@,;|&<>()]+|\{(?:""" + "|".join(PLACEHOLDERS) + r")\}")
"""What stands between the parts of a word that mean something by themselves."""
_PAIRS: Final = {NODE_KILL: ("kill", "start"), NODE_STOP: ("stop", "start"), NODE_PAUSE: ("pause", "resume")}


@dataclass(frozen=True, slots=True)
class Target:
    """The node that a hook is about: what its placeholders stand for."""

    node: str
    address: str
    broker: str
    id: str

    @property
    def host(self) -> str:
        """Its address without the port: what `ssh` takes."""
        return self.address.rpartition(":")[0]

    def values(self) -> dict[str, str]:
        """Placeholder -> value."""
        return {name: str(getattr(self, name)) for name in PLACEHOLDERS}


def parse(option: str, items: list[str]) -> dict[str, str]:
    """Reads `NAME=CMD` items. Raises UsageError, which tells the hook's name and never its command."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, command = item.partition("=")
        if not equals or name not in HOOKS:
            shown = name if equals else "(no NAME=)"
            raise UsageError(f"--{option} {shown!r}: write NAME=CMD, with one of {', '.join(HOOKS)} for NAME")
        if name in found:
            raise UsageError(f"--{option} {name}=... is given twice: leave one out")
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--{option} {name}=...: the command cannot be split into words ({error})") from None
        if not words:
            raise UsageError(f"--{option} {name}=... has no command: write {name}=CMD")
        found[name] = command
    for first, second in (("kill", "start"), ("stop", "start"), ("pause", "resume")):
        if first in found and second not in found:
            raise UsageError(f"--{option} {first}=... needs --{option} {second}=CMD too: what is hurt must be mended")
    return found


def capabilities(hooks: Mapping[str, str]) -> Capabilities:
    """What the hooks make possible; of the rest, which hooks would."""
    found: dict[str, str | None] = {
        NODE_CONFIG: "the cluster's nodes are somebody else's: only --runtime local may change them or read their files"
    }
    for capability, needed in _PAIRS.items():
        lacking = [f"--hook {name}=CMD" for name in needed if name not in hooks]
        why = f"the cluster's nodes are somebody else's; its owner can supply the fault with {' and '.join(lacking)}"
        found[capability] = why if lacking else None
    return found


@dataclass(frozen=True)
class Hooks:
    """The commands by name. What each printed is appended to `logs/NODE/logs/hooks.log`, without the command.

    Of the output, words of the command are blotted out, unless they are what a placeholder stands for.
    """

    commands: Mapping[str, str] = field(repr=False)
    logs: Path
    timeout_s: float = TIMEOUT_S

    def run(self, name: str, target: Target) -> None:
        """Runs one for a node. Raises CapabilityMissing for one that was not given, FaultError if it failed or hangs.

        That it ended with 0 proves nothing: what became of the node is looked at from outside.
        """
        if name not in self.commands:
            raise CapabilityMissing(
                f"node-{name}", f"{target.node} is somebody else's: give --hook {name}=CMD, or use --runtime local"
            )
        words = [filled(word, target) for word in shlex.split(self.commands[name])]
        began = time.monotonic()
        code, said = self._execute(words)
        took_s = time.monotonic() - began
        self._keep(name, target, code, took_s, blotted(said, shlex.split(self.commands[name]), target))
        if code != 0:
            how = f"did not end in {self.timeout_s:.0f} s and was killed" if code is None else f"ended with {code}"
            raise FaultError(f"hook {name} for {target.node} {how}; what it said is in {target.node}/logs/hooks.log")

    def _execute(self, words: list[str]) -> tuple[int | None, str]:
        # Into a file: a daemon that the command leaves behind may hold its output open for ever.
        with tempfile.TemporaryFile() as out:
            try:
                child = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, process_group=0
                )
            except OSError as error:
                return 127, f"the command cannot be run: {error.strerror}"
            try:
                code: int | None = child.wait(self.timeout_s)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                code = None
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                raise
            size = out.seek(0, os.SEEK_END)
            out.seek(max(0, size - KEPT_BYTES))
            return code, out.read().decode(errors="replace")

    def _keep(self, name: str, target: Target, code: int | None, took_s: float, said: str) -> None:
        log = self.logs / target.node / "logs" / "hooks.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        how = "killed" if code is None else f"exit code {code}"
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic_ns()} hook {name} of {target.node}: {how} after {took_s:.2f} s\n{said}")
            file.write("" if not said or said.endswith("\n") else "\n")


def filled(word: str, target: Target) -> str:
    """A word of a command with its placeholders replaced; any other brace stays as it is."""
    for name, value in target.values().items():
        word = word.replace(f"{{{name}}}", value)
    return word


def blotted(said: str, template: list[str], target: Target) -> str:
    """Output without the words of the command, which may be secrets; of the first word, the program, only its place.

    Nor with the parts of a word: a shell's script is one, and a URL with a password in it. Parts of up to four
    characters stay, and what a placeholder stands for.
    """
    parts = {part for word in template[1:] for part in (word, word.partition("=")[2], *_parts(word))}
    for part in sorted(parts, key=lambda part: (-len(part), part)):
        if len(part) > _SECRET_CHARACTERS and not any(f"{{{name}}}" in part for name in PLACEHOLDERS):
            said = said.replace(filled(part, target), "***")
    return said


def _parts(word: str) -> list[str]:
    return [part.strip("/") for part in _BETWEEN.split(word)]
