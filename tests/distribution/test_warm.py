"""When start caches are made anew: for another release, another Java, and other options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import warm
from harness.core.version import Version
from harness.distribution.jre import Jre
from harness.distribution.release import Release
from harness.topology import Topology, load_topology

ONE = load_topology("1m")
JRE = Jre("25", 25, "25.0.2", "build-1", Path("/j"), Path("/j/bin/java"), Path("/j/lib/libjvm.so"))


def release(text: str) -> Release:
    return Release(text, Version.parse(text), (Path("/jars/a.jar"),), {"a.jar": f"sum of {text}"})


def test_other_options_make_them_anew(monkeypatch: Any) -> None:
    """A start cache is good for the options that it was made with, and a mark that did not know would stop the next."""
    before = warm._digest(release("4.9.7"), JRE, ONE)
    assert warm._digest(release("4.9.7"), JRE, ONE) == before
    assert warm._digest(release("5.3.3"), JRE, ONE) != before
    assert warm._digest(release("4.9.7"), JRE, Topology.model_validate(ONE.model_dump() | {"proxies": 1})) != before
    monkeypatch.setattr(warm, "jvm_flags", lambda *_: ("-Xmx1g",))
    assert warm._digest(release("4.9.7"), JRE, ONE) != before
