"""How the JVM of a node is started: small heaps, a quick start, its own home."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.version import Version
from harness.topology import layout
from harness.topology.model import NodeSpec, Role

# 4.x unmaps its files by reflection; without these the first deleted file ends in InaccessibleObjectException.
_REFLECTION = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
)

# TLS is off because every start would make an RSA key, by far the largest cost of one.
_QUICK = ("-XX:+UseSerialGC", "-XX:-UseLargePages", "-XX:-UsePerfData", "-Xss512k", "-Dtls.server.mode=disabled")


def jvm_flags(
    node: NodeSpec,
    version: Version,
    java_major: int,
    *,
    stock: bool = False,
    short_run: bool = True,
    extra: Sequence[str] = (),
) -> tuple[str, ...]:
    """The options between `java` and the main class, class path excepted; `extra` comes last and so wins.

    `stock` keeps to heap sizes, the node's home and what the JVM needs to run the release at all. `short_run` stops
    at the first compiler: quicker to start, dearer after some minutes. Flags that a start cache needs are not here.
    """
    quick = () if stock else _QUICK
    compiler = ("-XX:TieredStopAtLevel=1",) if short_run and not stock else ()
    directory = layout.home(node)
    return (
        *_heap(node.role, version),
        *quick,
        *compiler,
        *_needed_by(java_major),
        f"-Drocketmq.home.dir={directory}",
        f"-Duser.home={directory}",
        *extra,
    )


def _heap(role: Role, version: Version) -> tuple[str, ...]:
    if role is Role.NAMESERVER:
        return ("-Xms32m", "-Xmx96m")
    # 5.x takes 38.7 MB of direct memory for its timer wheel alone.
    direct = "256m" if version.major >= 5 else "128m"
    return ("-Xms128m", "-Xmx256m", f"-XX:MaxDirectMemorySize={direct}")


def _needed_by(java_major: int) -> tuple[str, ...]:
    if java_major < 9:
        return ()
    unsafe = ("--sun-misc-unsafe-memory-access=allow",) if java_major >= 23 else ()
    return _REFLECTION + unsafe
