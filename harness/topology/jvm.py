"""How the JVM of a node is started: small heaps, a quick start, its own home."""

from __future__ import annotations

from collections.abc import Sequence

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
        *_heap(node.role),
        *quick,
        *compiler,
        *_needed_by(java_major),
        f"-Drocketmq.home.dir={directory}",
        f"-Duser.home={directory}",
        *extra,
    )


def _heap(role: Role) -> tuple[str, ...]:
    if role is Role.NAMESERVER:
        return ("-Xms32m", "-Xmx96m")
    if role is Role.PROXY:
        return ("-Xms64m", "-Xmx256m", "-XX:MaxDirectMemorySize=256m")
    # As runbroker.sh has it: a limit, and no use. Every thread that ever stores a message keeps a direct buffer of
    # maxMessageSize, 4 MiB, and touches a page of it. Eighteen threads deliver delayed messages and a dozen or more end
    # transactions; where the limit is too low the next one dies of an OutOfMemoryError that its executor swallows, and
    # what it was to deliver never comes.
    return ("-Xms128m", "-Xmx256m", "-XX:MaxDirectMemorySize=15g")


def _needed_by(java_major: int) -> tuple[str, ...]:
    if java_major < 9:
        return ()
    unsafe = ("--sun-misc-unsafe-memory-access=allow",) if java_major >= 23 else ()
    return _REFLECTION + unsafe
