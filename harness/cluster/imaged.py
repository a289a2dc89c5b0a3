"""How a node is started from an image: by its own scripts, as its users do, with our options added to theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.core.errors import SetupError
from harness.distribution.release import Release
from harness.runtime.base import Process
from harness.topology import NodeSpec, layout

_CHOSEN: Final = (("UseG1GC", 99), ("UseConcMarkSweepGC", 14), ("UseParNewGC", 10))
"""Collectors that scripts choose, and the first Java that does not know the option. A JVM told two does not start."""
_OURS: Final = "-XX:+UseSerialGC"
_YOUNG: Final = {True: "-Xmn64m", False: "-Xmn24m"}
"""The scripts name a young generation of gigabytes, which would take the whole of our heaps. Brokers, nameservers."""


def image_process(spec: NodeSpec, release: Release, flags: Sequence[str]) -> Process:
    """The script that starts the node, as in the official images; our flags come after the script's own and so win.

    Raises `SetupError` for a flag that the script would take for several.
    """
    if release.inside is None:
        raise SetupError(f"{release.label} is no image that was looked into: it cannot start {spec.name}")
    split = [flag for flag in flags if len(flag.split()) != 1]
    if split:
        raise SetupError(f"{split[0]!r} has a blank in it: JAVA_OPT_EXT of an image cannot say it; leave it out")
    chosen = [f"-XX:-{name}" for name, gone in _CHOSEN if release.inside.jre.major < gone]
    options = [*(chosen if _OURS in flags else ()), _YOUNG[spec.is_broker], *flags]
    script = "mqbroker" if spec.is_broker else "mqnamesrv"
    return Process(
        argv=("sh", script, "-c", layout.conf_path(spec)),
        env={"JAVA_OPT_EXT": " ".join(options), "ROCKETMQ_HOME": release.inside.home},
        cwd=release.inside.scripts,
        image=release.image,
    )
