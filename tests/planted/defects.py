"""The defects, and how one is planted in a copy of a release."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from harness.distribution import default_cache, obtain_release


@dataclass(frozen=True, slots=True)
class Defect:
    """Java source put before the body of a method; `$1` is its first argument."""

    jar: str
    classes: tuple[str, ...]
    """the first that the release has"""
    method: str
    source: str


def _sleep(ms: int) -> str:
    return f"try {{ Thread.sleep({ms}L); }} catch (InterruptedException e) {{ }}"


_PROCESSOR = "org.apache.rocketmq.broker.processor.SendMessageProcessor"
_STATUS = "org.apache.rocketmq.store.PutMessageStatus"
_HA = "org.apache.rocketmq.store.ha."
DEFECTS: Final = MappingProxyType(
    {
        # Two milliseconds more a send: nobody's guarantee, and a regression all the same.
        "slow-send": Defect("broker", (_PROCESSOR,), "processRequest", _sleep(2)),
        # A replication that sends a tenth of a second late what it has.
        "slow-replication": Defect(
            "store",
            (f"{_HA}DefaultHAConnection$WriteSocketService", f"{_HA}HAConnection$WriteSocketService"),
            "transferData",
            _sleep(100),
        ),
        # A slave that did not answer in time is no reason to say anything but SEND_OK.
        "timeout-is-ok": Defect(
            "broker",
            (_PROCESSOR,),
            "handlePutMessageResult",
            f"if ($1.getPutMessageStatus() == {_STATUS}.FLUSH_SLAVE_TIMEOUT) $1.setPutMessageStatus({_STATUS}.PUT_OK);",
        ),
    }
)


def plant(name: str, version: str, directory: Path) -> Path:
    """Makes `directory`, which must not be there, a release of that version with the defect. Returns it."""
    defect = DEFECTS[name]
    release = obtain_release(version, default_cache())
    lib = directory / "lib"
    lib.mkdir(parents=True)
    for jar in release.jars:
        shutil.copy(jar, lib)
    jar = lib / f"rocketmq-{defect.jar}-{version}.jar"
    with zipfile.ZipFile(jar) as packed:
        there = next(c for c in defect.classes if f"{c.replace('.', '/')}.class" in packed.namelist())
    # In a process of its own: a JVM cannot be started twice in one.
    words = [sys.executable, "-m", "tests.planted.classes", there, defect.method, defect.source]
    changed = subprocess.run([*words, *map(str, release.jars)], check=True, stdout=subprocess.PIPE).stdout
    _replace(jar, f"{there.replace('.', '/')}.class", changed)
    return directory


def _replace(jar: Path, entry: str, content: bytes) -> None:
    part = jar.with_suffix(".part")
    with zipfile.ZipFile(jar) as before, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as after:
        for item in before.infolist():
            # A signature would not fit what it signs any more, and RocketMQ's jars have none.
            after.writestr(item, content if item.filename == entry else before.read(item))
    part.replace(jar)
